// A folder of a test's own, and files in it.
#pragma once

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct {
    char *path;
} Scratch;

static inline Scratch scratch_new(void) {
    GError *error = NULL;
    Scratch scratch = {g_dir_make_tmp("stoop-kube-XXXXXX", &error)};
    g_assert_no_error(error);
    return scratch;
}

static inline void scratch_clear(Scratch *scratch) {
    GDir *dir = g_dir_open(scratch->path, 0, NULL);
    for (const char *name = g_dir_read_name(dir); name; name = g_dir_read_name(dir)) {
        g_autofree char *path = g_build_filename(scratch->path, name, NULL);
        g_remove(path);
    }
    g_dir_close(dir);
    g_rmdir(scratch->path);
    g_free(scratch->path);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Scratch, scratch_clear)

static inline char *scratch_path(const Scratch *scratch, const char *name) {
    return g_build_filename(scratch->path, name, NULL);
}

// Replaces the file by renaming, as a ConfigMap or a kubelet would, so that it is another inode.
static inline void scratch_write(const Scratch *scratch, const char *name, const char *text, int mode) {
    GError *error = NULL;
    g_autofree char *path = scratch_path(scratch, name);
    g_file_set_contents_full(path, text, (gssize)strlen(text), G_FILE_SET_CONTENTS_CONSISTENT, mode, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_chmod(path, mode), ==, 0);
}
