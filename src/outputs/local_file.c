// local:file: a file in a folder of this machine. It grows without a name, so that nothing is left of it should Stoop
// be killed, and gets its name only when every byte is on the disk, so that whoever sees the name sees the whole
// artifact. Where the file system knows no files without a name (NFS), it grows under a hidden temporary one.
#include "base/error.h"
#include "outputs/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *destination;
} LocalFileParams;

static const ParamRow local_file_rows[] = {
    PARAM_ROW_TEXT(LocalFileParams, destination, .required = true,
                   .summary = "Folder that the file is written to; it must exist."),
    PARAM_ROW_END,
};

// Another artifact of the same second and name, or what a crash left: beyond so many, something else is wrong.
enum { MOST_NAMES = 1000 };

struct OutputStream {
    char *destination;
    char *name;    // the wanted one
    char *partial; // the temporary one, which exists as long as the stream does; NULL: the file has no name yet
    int folder, file;
    const Cancel *cancel;
};

static void stream_free(OutputStream *stream) {
    if (stream->file >= 0)
        close(stream->file);
    if (stream->folder >= 0)
        close(stream->folder);
    g_free(stream->destination);
    g_free(stream->name);
    g_free(stream->partial);
    g_free(stream);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputStream, stream_free)

static void local_file_abort(OutputStream *stream) {
    if (stream->partial)
        unlinkat(stream->folder, stream->partial, 0);
    stream_free(stream);
}

// File names end at 255 bytes, and the temporary name and a number must fit too. A longer one keeps its start (time,
// namespace) and its end, with a hash of the whole between them so that two of them stay different.
static char *short_name(const char *name) {
    enum { LONGEST = 230, START = 130, END = 80 };
    size_t len = strlen(name);
    if (len <= LONGEST)
        return g_strdup(name);
    g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, name, (gssize)len);
    g_autofree char *text = g_strdup_printf("%.*s~%.12s~%s", START, name, hash, name + len - END);
    return g_utf8_make_valid(text, -1);
}

static char *numbered(const char *name, unsigned number) {
    if (number == 1)
        return g_strdup(name);
    // Before the extension, so that the file still opens with what its kind opens with.
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || strchr(dot, '_'))
        return g_strdup_printf("%s-%u", name, number);
    return g_strdup_printf("%.*s-%u%s", (int)(dot - name), name, number, dot);
}

// The kernel gives such a file its name through /proc.
static int open_nameless(int folder) {
    if (access("/proc/self/fd", X_OK) != 0)
        return -1;
    return openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, S_IRUSR | S_IWUSR);
}

static OutputStream *local_file_open(const void *params, const OutputJob *job, GError **error) {
    const LocalFileParams *own = params;
    if (job->name[0] == '\0' || strchr(job->name, '/') || strcmp(job->name, ".") == 0 || strcmp(job->name, "..") == 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' is no name for a file", job->name);
        return NULL;
    }
    g_autoptr(OutputStream) stream = g_new0(OutputStream, 1);
    stream->destination = g_strdup(own->destination);
    stream->name = short_name(job->name);
    stream->cancel = job->cancel;
    stream->file = -1;
    stream->folder = open(own->destination, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (stream->folder < 0) {
        stoop_error_set_errno(error, errno, "cannot open the folder '%s'", own->destination);
        return NULL;
    }
    stream->file = open_nameless(stream->folder);
    if (stream->file >= 0)
        return g_steal_pointer(&stream);
    for (unsigned number = 1; number <= MOST_NAMES; number++) {
        g_autofree char *wanted = numbered(stream->name, number);
        g_autofree char *partial = g_strdup_printf(".%s.partial", wanted);
        stream->file =
            openat(stream->folder, partial, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (stream->file >= 0) {
            stream->partial = g_steal_pointer(&partial);
            return g_steal_pointer(&stream);
        }
        if (errno != EEXIST)
            break;
    }
    stoop_error_set_errno(error, errno, "cannot create a file in '%s'", own->destination);
    return NULL;
}

static bool local_file_write(OutputStream *stream, const char *data, size_t len, GError **error) {
    while (len > 0) {
        if (cancel_is_set(stream->cancel)) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "stopped while writing to '%s'",
                        stream->destination);
            return false;
        }
        ssize_t written = write(stream->file, data, len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            stoop_error_set_errno(error, errno, "cannot write to '%s'", stream->destination);
            return false;
        }
        data += written;
        len -= (size_t)written;
    }
    return true;
}

// renameat2 without overwriting; where the file system does not know that (NFS), a hard link has the same effect.
static bool rename_new(int folder, const char *from, const char *to) {
    if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (linkat(folder, from, folder, to, 0) != 0)
        return false;
    unlinkat(folder, from, 0);
    return true;
}

static bool name_new(OutputStream *stream, const char *name) {
    if (stream->partial)
        return rename_new(stream->folder, stream->partial, name);
    char path[64];
    g_snprintf(path, sizeof path, "/proc/self/fd/%d", stream->file);
    return linkat(AT_FDCWD, path, stream->folder, name, AT_SYMLINK_FOLLOW) == 0;
}

// Gives the file its name, or the next free one. NULL with errno set when there is none.
static char *publish(OutputStream *stream) {
    for (unsigned number = 1; number <= MOST_NAMES; number++) {
        g_autofree char *wanted = numbered(stream->name, number);
        if (name_new(stream, wanted)) {
            g_clear_pointer(&stream->partial, g_free);
            return g_steal_pointer(&wanted);
        }
        if (errno != EEXIST)
            return NULL;
    }
    return NULL;
}

static bool finish_or_fail(OutputStream *stream, char **location, GError **error) {
    if (fsync(stream->file) != 0) {
        stoop_error_set_errno(error, errno, "cannot write to '%s'", stream->destination);
        return false;
    }
    // Some file systems (NFS) tell of a full disk only now. A file without a name is open until it has one.
    int closed = stream->partial ? close(stream->file) : 0;
    stream->file = stream->partial ? -1 : stream->file;
    if (closed != 0 && errno != EINTR) {
        stoop_error_set_errno(error, errno, "cannot write to '%s'", stream->destination);
        return false;
    }
    g_autofree char *name = publish(stream);
    if (!name) {
        stoop_error_set_errno(error, errno, "cannot give the file in '%s' its name '%s'", stream->destination,
                              stream->name);
        return false;
    }
    if (fsync(stream->folder) != 0 && errno != EINVAL) {
        stoop_error_set_errno(error, errno, "cannot sync the folder '%s'", stream->destination);
        unlinkat(stream->folder, name, 0);
        return false;
    }
    *location = g_build_filename(stream->destination, name, NULL);
    return true;
}

static bool local_file_finish(OutputStream *stream, char **location, GError **error) {
    bool ok = finish_or_fail(stream, location, error);
    local_file_abort(stream);
    return ok;
}

const Output output_local_file = {
    .info = {.name = "local:file",
             .summary = "Stores the artifact as a file in a folder of the machine that Stoop runs on.",
             .description =
                 "The file grows without a name (under a hidden one where the file system wants that, as NFS does), is "
                 "synced to the disk and then gets its name, so a file with its name is always whole, and nothing "
                 "half done is left when Stoop is killed. Only Stoop's user can read it (mode "
                 "0600). An existing file is never overwritten: the next one gets `-2` before its extension. A name "
                 "too long for a file system is shortened in its middle. In a container, mount a volume there.",
             .params = {.size = sizeof(LocalFileParams), .rows = local_file_rows},
             .example = "output:\n"
                        "  target: local:file\n"
                        "  parameters:\n"
                        "    destination: /var/lib/stoop/artifacts\n"},
    .open = local_file_open,
    .write = local_file_write,
    .finish = local_file_finish,
    .abort = local_file_abort,
};
