// SIGKILL at any moment: what was acknowledged is there afterwards, whole, with its recorded results.
#include "store_fixture.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 25

typedef struct {
    char kind; // 'a': accepted, 'c': committed
    uint64_t id;
} Note;

static int notes_fd;

static void note(char kind, uint64_t id) {
    Note n = {kind, id};
    if (write(notes_fd, &n, sizeof n) != sizeof n)
        _exit(1);
}

static void note_committed(uint64_t id, const GError *error, void *user) {
    if (!error)
        note('c', id);
}

// Accepts without end; event n gets n % 3 results, and is done when n % 4 is 0.
static void child(Fixture *f) {
    g_autoptr(GError) error = NULL;
    f->options.health_changed = NULL;
    Store *store = f->store = store_open(&f->options, &error);
    if (!store)
        _exit(2);
    for (;;) {
        g_autoptr(Event) event = event_numbered((unsigned)store_last_id(store) + 1);
        uint64_t id = store_accept(store, event, note_committed, NULL);
        if (id == 0) {
            g_usleep(100);
            continue;
        }
        for (unsigned i = 0; i < id % 3; i++)
            record(f, id, i, "r", "action");
        if (id % 4 == 0)
            store_done(store, id);
        if (id % 64 == 0)
            g_usleep(500);
    }
}

static void check_event(const StorePending *one) {
    g_autofree char *body = g_strdup_printf("{\"rule\":\"r\",\"output_fields\":{\"n\":%u}}", (unsigned)one->id);
    g_assert_cmpstr(one->body, ==, body);
    guint recorded = one->recorded ? one->recorded->len : 0;
    g_assert_cmpuint(recorded, <=, one->id % 3);
    for (guint i = 0; i < recorded; i++) {
        g_autofree char *wanted = g_strdup_printf("%u:r", i);
        g_assert_cmpstr(one->recorded->pdata[i], ==, wanted);
    }
}

static void test_kill(void) {
    Fixture f;
    fixture_begin(&f);
    GRand *random = g_rand_new_with_seed(42);
    g_autoptr(GHashTable) committed = g_hash_table_new(g_direct_hash, g_direct_equal);
    uint64_t highest = 0;
    for (int round = 0; round < ROUNDS; round++) {
        int ends[2];
        g_assert_cmpint(pipe(ends), ==, 0);
        pid_t pid = fork();
        g_assert_cmpint(pid, >=, 0);
        if (pid == 0) {
            close(ends[0]);
            notes_fd = ends[1];
            child(&f);
        }
        close(ends[1]);
        // The first note says that it is up; then a random moment.
        int64_t until = 0;
        unsigned seen = 0;
        for (Note n; read(ends[0], &n, sizeof n) == sizeof n;) {
            g_hash_table_add(committed, GSIZE_TO_POINTER(n.id));
            highest = MAX(highest, n.id);
            int64_t now = clock_monotonic_us(clock_system());
            if (seen++ == 0)
                until = now + g_rand_int_range(random, 0, 60000);
            if (until && now >= until) {
                kill(pid, SIGKILL);
                until = 0;
            }
        }
        int status;
        g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
        g_assert_true(WIFSIGNALED(status));
        close(ends[0]);
        g_assert_cmpuint(seen, >, 0);

        fixture_open(&f);
        g_assert_cmpuint(store_last_id(f.store), >=, highest);
        g_autoptr(GPtrArray) pending = pending_of(&f);
        g_autoptr(GHashTable) found = g_hash_table_new(g_direct_hash, g_direct_equal);
        for (guint i = 0; i < pending->len; i++) {
            check_event(pending->pdata[i]);
            g_hash_table_add(found, GSIZE_TO_POINTER(((StorePending *)pending->pdata[i])->id));
        }
        GHashTableIter iter;
        gpointer key;
        g_hash_table_iter_init(&iter, committed);
        while (g_hash_table_iter_next(&iter, &key, NULL))
            if (GPOINTER_TO_SIZE(key) % 4 != 0)
                g_assert_true(g_hash_table_contains(found, key));
        // Keep the next rounds small.
        for (guint i = 0; i < pending->len; i++)
            store_done(f.store, ((StorePending *)pending->pdata[i])->id);
        store_close(f.store);
        f.store = NULL;
        g_hash_table_remove_all(committed);
    }
    g_rand_free(random);
    fixture_end(&f);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/crash/kill", test_kill);
    return g_test_run();
}
