// Reloading: whatever way a file changes, the new rules are taken whole or not at all.
#include "base/clock.h"
#include "base/thread.h"
#include "fake_catalogue.h"
#include "rules/rule_set.h"
#include "rules/rules_holder.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WAIT_US = 20 * 1000 * 1000 };

typedef struct {
    char *folder;
    RulesHolder *holder;
    RulesWatch *watch;
    Mutex mutex;
    Cond cond;
    unsigned loads; // how often `loaded` was called
    bool good;      // what it said last
    char *findings;
} Fixture;

static char *in_folder(const Fixture *f, const char *name) {
    return g_build_filename(f->folder, name, NULL);
}

static char *rules_text(const char *name) {
    return g_strdup_printf("- rule: %s\n  match: {rules: [X]}\n  actions: [{actionner: kubernetes:cordon}]\n", name);
}

// In place: the same file, new content.
static void write_text(const Fixture *f, const char *name, const char *text) {
    g_autofree char *path = in_folder(f, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, text, strlen(text)), ==, (gssize)strlen(text));
    close(fd);
}

static void write_rules(const Fixture *f, const char *file, const char *rule) {
    g_autofree char *text = rules_text(rule);
    write_text(f, file, text);
}

static void make_folder(const Fixture *f, const char *name) {
    g_autofree char *path = in_folder(f, name);
    g_assert_cmpint(g_mkdir(path, 0700), ==, 0);
}

static void make_link(const Fixture *f, const char *target, const char *name) {
    g_autofree char *path = in_folder(f, name);
    g_assert_cmpint(symlink(target, path), ==, 0);
}

static void move(const Fixture *f, const char *from, const char *to) {
    g_autofree char *a = in_folder(f, from), *b = in_folder(f, to);
    g_assert_cmpint(g_rename(a, b), ==, 0);
}

static void delete (const Fixture *f, const char *name) {
    g_autofree char *path = in_folder(f, name);
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void loaded(const RuleSet *set, const DiagList *diags, void *user) {
    Fixture *f = user;
    mutex_lock(&f->mutex);
    f->loads++;
    f->good = set != NULL;
    g_free(f->findings);
    f->findings = diag_list_text(diags);
    cond_broadcast(&f->cond);
    mutex_unlock(&f->mutex);
}

static void start(Fixture *f, const char *const *files) {
    g_autoptr(DiagList) diags = diag_list_new();
    RuleSet *set = rule_set_load(files, fake_catalogue(), diags);
    g_assert_nonnull(set);
    f->holder = rules_holder_new(set);
    g_autoptr(GError) error = NULL;
    f->watch = rules_watch_start(f->holder, files, fake_catalogue(), loaded, f, &error);
    g_assert_no_error(error);
}

static void start_with(Fixture *f, const char *name) {
    g_autofree char *path = in_folder(f, name);
    const char *const files[] = {path, NULL};
    start(f, files);
}

static char *rule_in_force(const Fixture *f) {
    g_autoptr(RuleSet) set = rules_holder_get(f->holder);
    return g_strdup(rule_set_get(set, 0)->name);
}

static bool in_force(const Fixture *f, const char *rule) {
    g_autofree char *name = rule_in_force(f);
    return strcmp(name, rule) == 0;
}

static void wait_for_rule(Fixture *f, const char *rule) {
    int64_t deadline = clock_monotonic_us(clock_system()) + WAIT_US;
    mutex_lock(&f->mutex);
    while (!in_force(f, rule))
        g_assert_true(cond_wait_until(&f->cond, &f->mutex, deadline));
    mutex_unlock(&f->mutex);
}

// Waits until the last load was refused with these words.
static void wait_for_refusal(Fixture *f, const char *words) {
    int64_t deadline = clock_monotonic_us(clock_system()) + WAIT_US;
    mutex_lock(&f->mutex);
    while (f->good || !f->findings || !strstr(f->findings, words))
        g_assert_true(cond_wait_until(&f->cond, &f->mutex, deadline));
    mutex_unlock(&f->mutex);
}

static void set_up(Fixture *f, const void *data) {
    f->folder = g_dir_make_tmp("stoop-watch-XXXXXX", NULL);
    g_assert_nonnull(f->folder);
    mutex_init(&f->mutex);
    cond_init(&f->cond);
}

static void remove_all(const char *path) {
    g_autoptr(GDir) dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *entry = g_build_filename(path, name, NULL);
        remove_all(entry);
    }
    g_remove(path);
}

static void tear_down(Fixture *f, const void *data) {
    rules_watch_stop(f->watch);
    rules_holder_free(f->holder);
    remove_all(f->folder);
    g_free(f->folder);
    g_free(f->findings);
    cond_destroy(&f->cond);
    mutex_destroy(&f->mutex);
}

static void test_in_place(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    write_rules(f, "rules.yaml", "two");
    wait_for_rule(f, "two");
    write_rules(f, "rules.yaml", "three");
    wait_for_rule(f, "three");
}

static void test_rename_over(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    write_rules(f, "rules.yaml.swp", "two");
    move(f, "rules.yaml.swp", "rules.yaml");
    wait_for_rule(f, "two");
    write_rules(f, "4913", "three");
    move(f, "4913", "rules.yaml");
    wait_for_rule(f, "three");
}

// As the kubelet updates a ConfigMap: the file is a link through ..data, which is swapped whole.
static void test_config_map(Fixture *f, const void *data) {
    make_folder(f, "..2026_01");
    write_rules(f, "..2026_01/rules.yaml", "one");
    make_link(f, "..2026_01", "..data");
    make_link(f, "..data/rules.yaml", "rules.yaml");
    start_with(f, "rules.yaml");
    static const char *const folders[] = {"..2026_02", "..2026_03", "..2026_04"}, *const rules[] = {"two", "three",
                                                                                                    "four"};
    for (size_t i = 0; i < G_N_ELEMENTS(folders); i++) {
        make_folder(f, folders[i]);
        g_autofree char *file = g_build_filename(folders[i], "rules.yaml", NULL);
        write_rules(f, file, rules[i]);
        make_link(f, folders[i], "..data_tmp");
        move(f, "..data_tmp", "..data");
        wait_for_rule(f, rules[i]);
    }
    // Also what stands behind the links.
    write_rules(f, "..2026_04/rules.yaml", "five");
    wait_for_rule(f, "five");
}

// The link leads out of the folder, by an absolute path and through a folder that is a link itself.
static void test_far_link(Fixture *f, const void *data) {
    make_folder(f, "etc");
    make_folder(f, "v1");
    make_folder(f, "v2");
    write_rules(f, "v1/r.yaml", "one");
    write_rules(f, "v2/r.yaml", "two");
    make_link(f, "v1", "current");
    g_autofree char *target = in_folder(f, "etc/../current/r.yaml");
    make_link(f, target, "etc/rules.yaml");
    start_with(f, "etc/rules.yaml");
    make_link(f, "v2", "next");
    move(f, "next", "current");
    wait_for_rule(f, "two");
}

static void test_bad_then_good(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    write_text(f, "rules.yaml", "- rule: bad\n  actions: [{actionner: kubernetes:nothing}]\n");
    wait_for_refusal(f, "unknown actionner");
    g_assert_true(in_force(f, "one"));
    write_rules(f, "rules.yaml", "two");
    wait_for_rule(f, "two");
}

static void test_deleted(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    delete (f, "rules.yaml");
    wait_for_refusal(f, "cannot be read: No such file or directory");
    g_assert_true(in_force(f, "one"));
    write_rules(f, "rules.yaml", "two");
    wait_for_rule(f, "two");
}

static void test_folder_replaced(Fixture *f, const void *data) {
    make_folder(f, "etc");
    make_folder(f, "new");
    write_rules(f, "etc/rules.yaml", "one");
    write_rules(f, "new/rules.yaml", "two");
    start_with(f, "etc/rules.yaml");
    move(f, "etc", "old");
    wait_for_refusal(f, "cannot be read");
    move(f, "new", "etc");
    wait_for_rule(f, "two");
}

static bool is_dry(const Fixture *f) {
    g_autoptr(RuleSet) set = rules_holder_get(f->holder);
    return rule_set_get(set, 0)->dry_run;
}

static void test_second_file(Fixture *f, const void *data) {
    write_rules(f, "a.yaml", "one");
    write_text(f, "b.yaml", "");
    g_autofree char *a = in_folder(f, "a.yaml"), *b = in_folder(f, "b.yaml");
    const char *const files[] = {a, b, NULL};
    start(f, files);
    write_text(f, "b.yaml", "- rule: one\n  dry_run: true\n");
    int64_t deadline = clock_monotonic_us(clock_system()) + WAIT_US;
    mutex_lock(&f->mutex);
    while (!is_dry(f))
        g_assert_true(cond_wait_until(&f->cond, &f->mutex, deadline));
    mutex_unlock(&f->mutex);
}

// A touch, a new file of the same content, and other files beside it are no reload.
static void test_no_change(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    g_autofree char *path = in_folder(f, "rules.yaml");
    g_assert_cmpint(g_chmod(path, 0644), ==, 0);
    write_rules(f, "same.yaml", "one");
    move(f, "same.yaml", "rules.yaml");
    write_rules(f, "other.yaml", "other");
    // Nothing tells that the watch has looked and found no change; three times the rest that it waits for must do.
    int64_t deadline = clock_monotonic_us(clock_system()) + 600 * 1000;
    mutex_lock(&f->mutex);
    while (cond_wait_until(&f->cond, &f->mutex, deadline))
        continue;
    g_assert_cmpuint(f->loads, ==, 0);
    mutex_unlock(&f->mutex);
    write_rules(f, "new.yaml", "two");
    move(f, "new.yaml", "rules.yaml");
    wait_for_rule(f, "two");
}

// What changed between the first load and the start of the watch is not missed.
static void test_change_before_start(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    g_autofree char *path = in_folder(f, "rules.yaml");
    const char *const files[] = {path, NULL};
    g_autoptr(DiagList) diags = diag_list_new();
    f->holder = rules_holder_new(rule_set_load(files, fake_catalogue(), diags));
    write_rules(f, "rules.yaml", "two");
    f->watch = rules_watch_start(f->holder, files, fake_catalogue(), loaded, f, NULL);
    g_assert_nonnull(f->watch);
    wait_for_rule(f, "two");
}

static void test_stop_at_once(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    int64_t before = clock_monotonic_us(clock_system());
    rules_watch_stop(g_steal_pointer(&f->watch));
    g_assert_cmpint(clock_monotonic_us(clock_system()) - before, <, 5 * 1000 * 1000);
}

static void test_old_set_lives_while_used(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    g_autoptr(RuleSet) old = rules_holder_get(f->holder);
    write_rules(f, "rules.yaml", "two");
    wait_for_rule(f, "two");
    g_assert_cmpstr(rule_set_get(old, 0)->name, ==, "one");
}

typedef struct {
    Fixture *fixture;
    atomic_bool stop;
    atomic_uint matches;
} Reader;

static void *read_on(void *argument) {
    Reader *reader = argument;
    static const uint8_t random16[16] = {1};
    static const char body[] = "{\"rule\":\"X\"}";
    g_autoptr(Event) event = event_parse(body, strlen(body), NULL, random16, NULL);
    while (!reader->stop) {
        g_autoptr(RuleSet) set = rules_holder_get(reader->fixture->holder);
        const Rule *found[1];
        g_assert_cmpuint(rule_set_match(set, event, found, 1), ==, 1);
        g_assert_cmpuint(strlen(found[0]->name), >=, 3);
        reader->matches++;
    }
    return NULL;
}

// Threads go on matching while the rules are swapped beneath them.
static void test_readers(Fixture *f, const void *data) {
    write_rules(f, "rules.yaml", "one");
    start_with(f, "rules.yaml");
    Reader reader = {.fixture = f};
    pthread_t threads[2];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_true(thread_start(&threads[i], "reader", 0, read_on, &reader, NULL));
    static const char *const rules[] = {"two", "three", "four"};
    for (size_t i = 0; i < G_N_ELEMENTS(rules); i++) {
        write_rules(f, "rules.yaml", rules[i]);
        wait_for_rule(f, rules[i]);
    }
    while (reader.matches == 0)
        sched_yield();
    reader.stop = true;
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}

#define ADD(name, function) g_test_add("/rules/watch/" name, Fixture, NULL, set_up, function, tear_down)

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    ADD("in-place", test_in_place);
    ADD("rename-over", test_rename_over);
    ADD("config-map", test_config_map);
    ADD("far-link", test_far_link);
    ADD("bad-then-good", test_bad_then_good);
    ADD("deleted", test_deleted);
    ADD("folder-replaced", test_folder_replaced);
    ADD("second-file", test_second_file);
    ADD("no-change", test_no_change);
    ADD("change-before-start", test_change_before_start);
    ADD("stop-at-once", test_stop_at_once);
    ADD("old-set", test_old_set_lives_while_used);
    ADD("readers", test_readers);
    return g_test_run();
}
