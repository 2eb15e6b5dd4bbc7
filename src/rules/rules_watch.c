#include "base/clock.h"
#include "base/error.h"
#include "base/thread.h"
#include "rules/rule_set.h"
#include "rules/rules_holder.h"
#include "rules/watch_folders.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

// A change is looked at when nothing more happened for SETTLE, yet not later than LATEST after it began: a folder that
// never rests must not hold a reload up for ever.
enum { SETTLE_US = 200 * 1000, LATEST_US = 2 * 1000 * 1000, POLL_US = 1000 * 1000 };

struct RulesWatch {
    RulesHolder *holder;
    const Catalogue *catalogue;
    char **files; // as given, for messages
    char **paths; // absolute
    void (*loaded)(const RuleSet *set, const DiagList *diags, void *user);
    void *user;
    int stop;
    pthread_t thread;

    // The thread's own.
    WatchFolders *folders; // NULL: the kernel has no watches left, the files are read each second
    char *fingerprint;     // of what was loaded or refused last
    int64_t began_us;      // of the change that is settling; 0: none is
    int64_t last_us;
};

static void reload_if_changed(RulesWatch *watch) {
    // The way to the files may have changed. The new watches are set before the files are read.
    g_clear_pointer(&watch->folders, watch_folders_free);
    watch->folders = watch_folders_new((const char *const *)watch->paths, NULL);
    g_autofree char *fingerprint = rules_fingerprint((const char *const *)watch->paths);
    if (strcmp(fingerprint, watch->fingerprint) == 0)
        return;
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(RuleSet) set = rule_set_load((const char *const *)watch->files, watch->catalogue, diags);
    g_free(watch->fingerprint);
    watch->fingerprint = set ? g_strdup(set->fingerprint) : g_steal_pointer(&fingerprint);
    if (set)
        rules_holder_swap(watch->holder, rule_set_ref(set));
    watch->loaded(set, diags, watch->user);
}

static int64_t next_look_us(const RulesWatch *watch, int64_t now_us) {
    if (watch->began_us)
        return MIN(watch->last_us + SETTLE_US, watch->began_us + LATEST_US);
    return watch->folders ? INT64_MAX : now_us + POLL_US;
}

static void *watch_run(void *argument) {
    RulesWatch *watch = argument;
    // What changed since the first load is found when the files have been at rest as after any change.
    watch->folders = watch_folders_new((const char *const *)watch->paths, NULL);
    watch->began_us = watch->last_us = clock_monotonic_us(clock_system());
    int64_t look_us = next_look_us(watch, watch->last_us);
    for (;;) {
        int64_t now_us = clock_monotonic_us(clock_system());
        if (now_us >= look_us) {
            watch->began_us = 0;
            reload_if_changed(watch);
            look_us = next_look_us(watch, clock_monotonic_us(clock_system()));
            continue;
        }
        struct pollfd fds[2] = {{.fd = watch->stop, .events = POLLIN},
                                {.fd = watch->folders ? watch_folders_fd(watch->folders) : -1, .events = POLLIN}};
        int timeout_ms = look_us == INT64_MAX ? -1 : (int)((look_us - now_us) / 1000 + 1);
        // A signal, or no memory for a moment: what is due is looked at all the same.
        if (poll(fds, 2, timeout_ms) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        if (fds[1].revents && watch_folders_read(watch->folders)) {
            watch->last_us = clock_monotonic_us(clock_system());
            watch->began_us = watch->began_us ? watch->began_us : watch->last_us;
            look_us = next_look_us(watch, watch->last_us);
        }
    }
}

static char **absolute(const char *const *files) {
    g_autoptr(GPtrArray) paths = g_ptr_array_new();
    g_autofree char *here = g_get_current_dir();
    for (size_t i = 0; files[i]; i++)
        g_ptr_array_add(paths, files[i][0] == '/' ? g_strdup(files[i]) : g_build_filename(here, files[i], NULL));
    g_ptr_array_add(paths, NULL);
    return (char **)g_ptr_array_steal(paths, NULL);
}

static void watch_free(RulesWatch *watch) {
    watch_folders_free(watch->folders);
    close(watch->stop);
    g_strfreev(watch->files);
    g_strfreev(watch->paths);
    g_free(watch->fingerprint);
    g_free(watch);
}

RulesWatch *rules_watch_start(RulesHolder *holder, const char *const *files, const Catalogue *catalogue,
                              void (*loaded)(const RuleSet *set, const DiagList *diags, void *user), void *user,
                              GError **error) {
    int stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop < 0) {
        stoop_error_set_errno(error, errno, "watching the rules");
        return NULL;
    }
    g_autoptr(RuleSet) set = rules_holder_get(holder);
    RulesWatch *watch = g_new0(RulesWatch, 1);
    *watch = (RulesWatch){
        .holder = holder,
        .catalogue = catalogue,
        .files = g_strdupv((char **)files),
        .paths = absolute(files),
        .loaded = loaded,
        .user = user,
        .stop = stop,
        .fingerprint = g_strdup(set->fingerprint),
    };
    if (!thread_start(&watch->thread, "rules-watch", 1024, watch_run, watch, error)) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void rules_watch_stop(RulesWatch *watch) {
    if (!watch)
        return;
    uint64_t one = 1;
    // Nobody else writes to the counter, so that it cannot be full.
    while (write(watch->stop, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    pthread_join(watch->thread, NULL);
    watch_free(watch);
}
