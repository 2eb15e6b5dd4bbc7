#include "rules/watch_folders.h"

#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

// As many links as the kernel follows in one path.
enum { LINKS_MAX = 40 };

struct WatchFolders {
    int fd;
    GHashTable *names; // of GHashTable of names, by watch descriptor
};

static void names_free(void *names) {
    g_hash_table_unref(names);
}

// Changes of `name` in `folder` matter from now on. Writes are asked for only where `name` may be the file itself: in
// the folders above, others may write all day. A folder that is missing or closed to us is no error.
static bool watch(WatchFolders *folders, const char *folder, const char *name, bool file, GError **error) {
    uint32_t mask = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |
                    IN_ONLYDIR | IN_MASK_ADD;
    if (file)
        mask |=
            IN_CLOSE_WRITE; // not IN_MODIFY: the store or the log may be written in this very folder, event by event
    int descriptor = inotify_add_watch(folders->fd, folder, mask);
    if (descriptor < 0 && (errno == ENOSPC || errno == ENOMEM)) {
        stoop_error_set_errno(error, errno, "watching %s", folder);
        return false;
    }
    if (descriptor < 0)
        return true;
    GHashTable *names = g_hash_table_lookup(folders->names, GINT_TO_POINTER(descriptor));
    if (!names) {
        names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_hash_table_insert(folders->names, GINT_TO_POINTER(descriptor), names);
    }
    g_hash_table_add(names, g_strdup(name));
    return true;
}

// Where a link in `folder` leads to, with `rest` behind it. NULL when it is none.
static char *follow(const char *folder, const char *path, const char *rest) {
    char target[PATH_MAX];
    ssize_t len = readlink(path, target, sizeof target - 1);
    if (len <= 0)
        return NULL;
    target[len] = '\0';
    const char *base = target[0] == '/' ? "/" : folder;
    return g_build_filename(base, target, *rest ? rest : NULL, NULL);
}

// Walks the path name by name, as the kernel would. Each folder is watched before its entry is looked at, so that no
// change falls between the two.
static bool watch_path(WatchFolders *folders, const char *path, GError **error) {
    g_autofree char *way = g_strdup(path);
    unsigned links = 0;
    g_autoptr(GString) folder = g_string_new("/");
    for (const char *rest = way + strspn(way, "/"); *rest;) {
        size_t len = strcspn(rest, "/");
        g_autofree char *name = g_strndup(rest, len);
        const char *after = rest + len + strspn(rest + len, "/");
        if (strcmp(name, ".") == 0) {
            rest = after;
            continue;
        }
        // Links were followed on the way here, so the folder above is the one that the text names.
        if (strcmp(name, "..") == 0) {
            char *slash = strrchr(folder->str, '/');
            g_string_truncate(folder, slash == folder->str ? 1 : (gsize)(slash - folder->str));
            rest = after;
            continue;
        }
        if (!watch(folders, folder->str, name, *after == '\0', error))
            return false;
        g_autofree char *entry = g_build_filename(folder->str, name, NULL);
        char *target = links < LINKS_MAX ? follow(folder->str, entry, after) : NULL;
        if (target) {
            links++;
            g_free(way);
            way = target;
            rest = way + strspn(way, "/");
            g_string_assign(folder, "/");
            continue;
        }
        g_string_assign(folder, entry);
        rest = after;
    }
    return true;
}

WatchFolders *watch_folders_new(const char *const *paths, GError **error) {
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0) {
        stoop_error_set_errno(error, errno, "watching files");
        return NULL;
    }
    g_autoptr(WatchFolders) folders = g_new0(WatchFolders, 1);
    folders->fd = fd;
    folders->names = g_hash_table_new_full(NULL, NULL, NULL, names_free);
    for (size_t i = 0; paths[i]; i++)
        if (!watch_path(folders, paths[i], error))
            return NULL;
    return g_steal_pointer(&folders);
}

void watch_folders_free(WatchFolders *folders) {
    if (!folders)
        return;
    close(folders->fd);
    g_hash_table_unref(folders->names);
    g_free(folders);
}

int watch_folders_fd(const WatchFolders *folders) {
    return folders->fd;
}

static bool matters(const WatchFolders *folders, const struct inotify_event *event) {
    // The queue overflowed, or something happened to a watched folder itself.
    if (event->wd < 0 || event->len == 0)
        return true;
    GHashTable *names = g_hash_table_lookup(folders->names, GINT_TO_POINTER(event->wd));
    return names && g_hash_table_contains(names, event->name);
}

bool watch_folders_read(WatchFolders *folders) {
    bool touched = false;
    _Alignas(struct inotify_event) char buffer[16 * 1024];
    for (;;) {
        ssize_t got = read(folders->fd, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return touched;
        for (char *at = buffer; at < buffer + got;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            touched |= matters(folders, event);
            at += sizeof *event + event->len;
        }
    }
}
