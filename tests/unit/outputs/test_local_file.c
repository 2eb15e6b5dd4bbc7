#include "base/error.h"
#include "outputs/output.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const Output *find_output(const char *name) {
    for (size_t i = 0; outputs_all[i]; i++)
        if (strcmp(outputs_all[i]->info.name, name) == 0)
            return outputs_all[i];
    g_error("there is no output %s", name);
}

typedef struct {
    char *folder;
    const Output *output;
    void *params;
    GError *error;
} Fixture;

static void *params_for(const Output *output, const char *folder) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autofree char *yaml = g_strdup_printf("destination: %s\n", folder);
    g_autoptr(YamlDoc) doc = yaml_parse(yaml, strlen(yaml), "test", NULL, diags);
    void *params = param_decode(&output->info.params, yaml_root(doc), NULL, "local:file", diags);
    g_assert_nonnull(params);
    return params;
}

static void set_up(Fixture *f, gconstpointer data) {
    f->folder = g_dir_make_tmp("stoop-local-file-XXXXXX", NULL);
    g_assert_nonnull(f->folder);
    f->output = find_output("local:file");
    f->params = params_for(f->output, f->folder);
}

static void tear_down(Fixture *f, gconstpointer data) {
    g_autoptr(GDir) dir = g_dir_open(f->folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(f->folder, name, NULL);
        g_unlink(path);
    }
    g_rmdir(f->folder);
    g_free(f->folder);
    param_free(&f->output->info.params, f->params);
    g_clear_error(&f->error);
}

static unsigned count_files(const char *folder) {
    g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
    unsigned count = 0;
    while (g_dir_read_name(dir))
        count++;
    return count;
}

static OutputStream *open_stream(Fixture *f, const char *name) {
    return f->output->open(f->params, &(OutputJob){.name = name}, &f->error);
}

// The location of an artifact of these bytes.
static char *store(Fixture *f, const char *name, const char *bytes) {
    OutputStream *stream = open_stream(f, name);
    g_assert_no_error(f->error);
    g_assert_true(f->output->write(stream, bytes, strlen(bytes), &f->error));
    char *location = NULL;
    g_assert_true(f->output->finish(stream, &location, &f->error));
    g_assert_no_error(f->error);
    return location;
}

static void assert_file(const char *path, const char *bytes) {
    g_autofree char *contents = NULL;
    g_assert_true(g_file_get_contents(path, &contents, NULL, NULL));
    g_assert_cmpstr(contents, ==, bytes);
}

static void test_store(Fixture *f, gconstpointer data) {
    mode_t old = umask(0);
    OutputStream *stream = open_stream(f, "2026-01-02T15-04-05Z_shop_web-1_web-1.log");
    umask(old);
    g_assert_no_error(f->error);
    g_autofree char *path = g_build_filename(f->folder, "2026-01-02T15-04-05Z_shop_web-1_web-1.log", NULL);
    g_assert_true(f->output->write(stream, "one ", 4, &f->error));
    g_assert_true(f->output->write(stream, "", 0, &f->error));
    g_assert_true(f->output->write(stream, "two", 3, &f->error));
    // Nobody sees its name before it is whole.
    g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
    g_assert_cmpuint(count_files(f->folder), <=, 1);
    g_autofree char *location = NULL;
    g_assert_true(f->output->finish(stream, &location, &f->error));
    g_assert_cmpstr(location, ==, path);
    assert_file(path, "one two");
    g_assert_cmpuint(count_files(f->folder), ==, 1);
    struct stat st;
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_mode & 07777, ==, 0600);
}

static void test_collision(Fixture *f, gconstpointer data) {
    g_autofree char *first = store(f, "a_b_c.log", "first");
    g_autofree char *second = store(f, "a_b_c.log", "second");
    g_autofree char *third = store(f, "a_b_c.log", "third");
    g_assert_true(g_str_has_suffix(second, "/a_b_c-2.log"));
    g_assert_true(g_str_has_suffix(third, "/a_b_c-3.log"));
    assert_file(first, "first");
    assert_file(second, "second");
    assert_file(third, "third");
    // Without an extension; a dot in an earlier part is none.
    g_autofree char *plain = store(f, "a.b_c", "1");
    assert_file(plain, "1");
    g_autofree char *plain_again = store(f, "a.b_c", "2");
    g_assert_true(g_str_has_suffix(plain_again, "/a.b_c-2"));
}

// Both begin before either ends, so they meet twice: under the temporary name and under their own.
static void test_at_the_same_time(Fixture *f, gconstpointer data) {
    OutputStream *one = open_stream(f, "x.log");
    OutputStream *two = open_stream(f, "x.log");
    g_assert_no_error(f->error);
    g_assert_true(f->output->write(one, "1", 1, &f->error));
    g_assert_true(f->output->write(two, "2", 1, &f->error));
    g_autofree char *location_two = NULL, *location_one = NULL;
    g_assert_true(f->output->finish(two, &location_two, &f->error));
    g_assert_true(f->output->finish(one, &location_one, &f->error));
    g_assert_cmpstr(location_one, !=, location_two);
    assert_file(location_one, "1");
    assert_file(location_two, "2");
    g_assert_cmpuint(count_files(f->folder), ==, 2);
}

static void test_abort(Fixture *f, gconstpointer data) {
    OutputStream *stream = open_stream(f, "x.log");
    g_assert_true(f->output->write(stream, "half", 4, &f->error));
    f->output->abort(stream);
    g_assert_cmpuint(count_files(f->folder), ==, 0);
}

static void test_names(Fixture *f, gconstpointer data) {
    static const char *const bad[] = {"", ".", "..", "a/b", "../x", "/etc/passwd"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_null(open_stream(f, bad[i]));
        g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_INVALID);
        g_clear_error(&f->error);
    }
    g_assert_cmpuint(count_files(f->folder), ==, 0);
    // Longer than a file's name may be: still different from its neighbour.
    g_autofree char *stem = g_strnfill(400, 'x');
    g_autofree char *a = g_strconcat(stem, "a", stem, ".log", NULL);
    g_autofree char *b = g_strconcat(stem, "b", stem, ".log", NULL);
    g_autofree char *location_a = store(f, a, "a");
    g_autofree char *location_b = store(f, b, "b");
    g_autofree char *location_a2 = store(f, a, "a2");
    assert_file(location_a, "a");
    assert_file(location_b, "b");
    assert_file(location_a2, "a2");
    g_assert_true(g_str_has_suffix(location_a, ".log"));
}

static void test_no_symlink_followed(Fixture *f, gconstpointer data) {
    // Somebody who may write to the folder lays a link under the temporary name and under the final one.
    g_autofree char *target = g_build_filename(f->folder, "target", NULL);
    g_autofree char *partial = g_build_filename(f->folder, ".x.log.partial", NULL);
    g_autofree char *final = g_build_filename(f->folder, "x.log", NULL);
    g_assert_true(g_file_set_contents(target, "precious", -1, NULL));
    g_assert_cmpint(symlink(target, partial), ==, 0);
    g_assert_cmpint(symlink(target, final), ==, 0);
    g_autofree char *location = store(f, "x.log", "new");
    g_assert_cmpstr(location, !=, final);
    assert_file(location, "new");
    assert_file(target, "precious");
}

static void test_no_folder(Fixture *f, gconstpointer data) {
    g_autofree char *missing = g_build_filename(f->folder, "missing", NULL);
    void *params = params_for(f->output, missing);
    g_assert_null(f->output->open(params, &(OutputJob){.name = "x"}, &f->error));
    g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_IO);
    g_assert_nonnull(strstr(f->error->message, missing));
    g_clear_error(&f->error);
    param_free(&f->output->info.params, params);

    g_assert_true(g_file_set_contents(missing, "a file", -1, NULL));
    params = params_for(f->output, missing);
    g_assert_null(f->output->open(params, &(OutputJob){.name = "x"}, &f->error));
    g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_IO);
    param_free(&f->output->info.params, params);
}

static void test_folder_goes_away(Fixture *f, gconstpointer data) {
    OutputStream *stream = open_stream(f, "x.log");
    // Nothing to be seen of it yet: the folder counts as empty. Else (a file system without nameless files) its name
    // goes.
    if (g_rmdir(f->folder) != 0) {
        g_autofree char *partial = g_build_filename(f->folder, ".x.log.partial", NULL);
        g_assert_cmpint(g_unlink(partial), ==, 0);
    }
    g_assert_true(f->output->write(stream, "x", 1, &f->error));
    char *location = NULL;
    g_assert_false(f->output->finish(stream, &location, &f->error));
    g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_IO);
    g_assert_null(location);
}

static void test_cancel(Fixture *f, gconstpointer data) {
    Cancel cancel = {false};
    OutputStream *stream = f->output->open(f->params, &(OutputJob){.name = "x", .cancel = &cancel}, &f->error);
    g_assert_true(f->output->write(stream, "x", 1, &f->error));
    cancel_set(&cancel);
    g_assert_false(f->output->write(stream, "x", 1, &f->error));
    g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
    f->output->abort(stream);
    g_assert_cmpuint(count_files(f->folder), ==, 0);
}

// Writes until it fails, at most 16 MiB, and gives up.
static void fill(Fixture *f, OutputStream *stream) {
    g_autofree char *block = g_strnfill(65536, 'x');
    bool ok = true;
    for (int i = 0; ok && i < 256; i++)
        ok = f->output->write(stream, block, 65536, &f->error);
    f->output->abort(stream);
    g_assert_false(ok);
}

// A limit of the process stands in for a disk that ends, where no small one can be mounted: the write fails half done.
static void test_write_fails(Fixture *f, gconstpointer data) {
    struct rlimit old;
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &(struct rlimit){.rlim_cur = 100000, .rlim_max = old.rlim_max}), ==, 0);
    OutputStream *stream = open_stream(f, "x.log");
    fill(f, stream);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_IO);
    g_assert_cmpuint(count_files(f->folder), ==, 0);
}

static void test_disk_full(Fixture *f, gconstpointer data) {
    if (mount("none", f->folder, "tmpfs", 0, "size=1m") != 0) {
        // Not allowed here: /write-fails has tried the same path with another errno.
        g_assert_true(errno == EPERM || errno == EACCES);
        return;
    }
    OutputStream *stream = open_stream(f, "x.log");
    fill(f, stream);
    unsigned left = count_files(f->folder);
    g_assert_cmpint(umount(f->folder), ==, 0);
    g_assert_error(f->error, STOOP_ERROR, STOOP_ERROR_NO_SPACE);
    g_assert_cmpuint(left, ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
#define TEST(path, function) g_test_add("/local-file/" path, Fixture, NULL, set_up, function, tear_down)
    TEST("store", test_store);
    TEST("collision", test_collision);
    TEST("at-the-same-time", test_at_the_same_time);
    TEST("abort", test_abort);
    TEST("names", test_names);
    TEST("no-symlink-followed", test_no_symlink_followed);
    TEST("no-folder", test_no_folder);
    TEST("folder-goes-away", test_folder_goes_away);
    TEST("cancel", test_cancel);
    TEST("write-fails", test_write_fails);
    TEST("disk-full", test_disk_full);
    return g_test_run();
}
