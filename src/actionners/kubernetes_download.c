// kubernetes:download: a file of the pod, into an output.
#include "actionners/containers.h"
#include "actionners/shell.h"
#include "actionners/target.h"
#include "actionners/variables.h"
#include "actionners/waiter.h"
#include "base/error.h"
#include "kube/kube_ephemeral.h"
#include "kube/kube_pod.h"

#include <string.h>
#include <sys/random.h>

typedef struct {
    char *file, *image;
} DownloadParams;

static const ParamRow download_rows[] = {
    PARAM_ROW_TEXT(DownloadParams, file, .required = true,
                   .summary =
                       "Full path of the file in the container; ${FD_NAME} and the like are the event's values."),
    PARAM_ROW_TEXT(DownloadParams, image,
                   .summary = "Image of the ephemeral container that reads where the container itself cannot; it needs "
                              "`sh`, `cat`, `readlink` and `grep`. Default: the one that is configured for "
                              "kubernetes:tcpdump."),
    PARAM_ROW_END,
};

enum { PATH_MAX_BYTES = 4096 };

// How the script in the container ends.
enum { END_DIRECTORY = 101, END_MISSING, END_SPECIAL, END_UNREADABLE, END_NO_CAT, END_NO_ROOT };

// Type first, then bytes: reading a pipe or a device would never end.
static const char SCRIPT_READ[] = "if [ -d \"$f\" ]; then exit 101; fi\n"
                                  "if [ ! -e \"$f\" ]; then exit 102; fi\n"
                                  "if [ ! -f \"$f\" ]; then exit 103; fi\n"
                                  "if [ ! -r \"$f\" ]; then exit 104; fi\n"
                                  "command -v cat >/dev/null 2>&1 || exit 105\n"
                                  "exec cat \"$f\"\n";

// In an ephemeral container, which sees the processes of the other: its root is that of a process of the container.
// Symbolic links are followed by hand, part by part, since an absolute one would lead into our own root. `id`: the
// container's, where all containers of the pod share their processes.
static const char SCRIPT_ROOT[] = "r=/proc/1/root\n"
                                  "if [ -n \"$id\" ]; then r=\n"
                                  "  for p in /proc/[0-9]*; do\n"
                                  "    if grep -q \"$id\" \"$p/cgroup\" 2>/dev/null; then r=$p/root; break; fi\n"
                                  "  done\n"
                                  "  [ -n \"$r\" ] || exit 106\n"
                                  "fi\n"
                                  "[ -d \"$r/\" ] || exit 106\n"
                                  // Where the runtime does not let it see the other's processes, it sees itself.
                                  "[ ! \"$r/\" -ef / ] || exit 106\n"
                                  "p= rest=$f n=0\n"
                                  "while [ -n \"$rest\" ]; do\n"
                                  "  c=${rest%%/*}\n"
                                  "  case $rest in */*) rest=${rest#*/} ;; *) rest= ;; esac\n"
                                  "  case $c in\n"
                                  "  '' | .) continue ;;\n"
                                  "  ..) p=${p%/*}; continue ;;\n"
                                  "  esac\n"
                                  "  if [ -L \"$r$p/$c\" ]; then\n"
                                  "    n=$((n + 1)); [ $n -le 40 ] || exit 102\n"
                                  "    l=$(readlink \"$r$p/$c\" && echo .) || exit 102\n"
                                  "    l=${l%??}\n"
                                  "    case $l in /*) p= ;; esac\n"
                                  "    rest=$l/$rest\n"
                                  "  else\n"
                                  "    p=$p/$c\n"
                                  "  fi\n"
                                  "done\n"
                                  "f=$r$p\n";

static const char *const ROOT_CAPABILITIES[] = {"SYS_PTRACE", "DAC_READ_SEARCH", NULL};

typedef struct {
    ArtifactSink *sink;
    const char *file;
    bool came, begun; // a byte of the file; the artifact
} Download;

// The artifact begins with the first byte, so that a refusal leaves nothing behind.
static bool begin(Download *download, GError **error) {
    if (!download->begun && !download->sink->begin(download->sink, download->file, error))
        return false;
    download->begun = true;
    return true;
}

static bool take(const char *data, size_t len, void *user, GError **error) {
    Download *download = user;
    download->came = true;
    return begin(download, error) && download->sink->write(download->sink, data, len, error);
}

static char *file_of(const ActionContext *context, GError **error) {
    const DownloadParams *params = context->params;
    g_autoptr(GPtrArray) variables = variables_of(context);
    g_autofree char *file = variables_expand(variables, params->file, error);
    if (!file)
        return NULL;
    const char *wrong = file[0] != '/'                  ? "is not a full path"
                        : strlen(file) > PATH_MAX_BYTES ? "is longer than a path can be"
                                                        : NULL;
    if (!wrong)
        return g_steal_pointer(&file);
    if (strlen(file) > 200)
        file[200] = '\0';
    g_autofree char *valid = g_utf8_make_valid(file, -1);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the file '%s' %s", valid, wrong);
    return NULL;
}

static void assign(GString *script, const char *name, const char *value) {
    g_string_append_printf(script, "%s=", name);
    shell_quote(script, value, strlen(value));
    g_string_append_c(script, '\n');
}

// What a script that ended says of the file. True: all of it was read.
static bool judge(const ShellEnd *end, const char *file, GError **error) {
    static const struct {
        int code;
        StoopError kind;
        const char *text;
    } ends[] = {
        {END_DIRECTORY, STOOP_ERROR_INVALID, "is a directory"},
        {END_MISSING, STOOP_ERROR_NOT_FOUND, "does not exist"},
        {END_SPECIAL, STOOP_ERROR_INVALID, "is no regular file: a device, a pipe or a socket"},
        {END_UNREADABLE, STOOP_ERROR_FAILED, "may not be read by the container's user"},
        {END_NO_ROOT, STOOP_ERROR_FAILED, "cannot be reached: the container's processes are not to be seen"},
    };
    if (end->exit_code == 0)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        if (end->exit_code == ends[i].code) {
            g_set_error(error, STOOP_ERROR, (gint)ends[i].kind, "the file '%s' %s", file, ends[i].text);
            return false;
        }
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the file '%s' cannot be read (exit status %d)%s%s", file,
                end->exit_code, *end->errors ? ": " : "", end->errors);
    return false;
}

static bool run_script(const ActionContext *context, const char *container, Download *download, const GString *script,
                       ShellEnd *end, GError **error) {
    ShellJob job = {
        .shell = "sh", .script = script->str, .script_len = script->len, .on_stdout = take, .user = download};
    if (shell_run(context, container, &job, end, error))
        return true;
    target_explain(context, error);
    return false;
}

// --- With what the container has ---

typedef enum { READ_DONE, READ_FAILED, READ_NO_TOOLS, READ_NO_FILE } ReadResult;

static ReadResult read_inside(const ActionContext *context, const char *container, Download *download, GError **error) {
    g_autoptr(GString) script = g_string_new(NULL);
    assign(script, "f", download->file);
    g_string_append(script, SCRIPT_READ);
    g_auto(ShellEnd) end = {0};
    g_autoptr(GError) failure = NULL;
    bool ok = run_script(context, container, download, script, &end, &failure);
    // Reading does no harm: a connection that breaks before anything came is made anew, once.
    if (!ok && !download->came && stoop_error_is(failure, STOOP_ERROR_UNAVAILABLE)) {
        g_clear_error(&failure);
        ok = run_script(context, container, download, script, &end, &failure);
    }
    if (!ok) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return READ_FAILED;
    }
    if (end.stopped) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the container '%s' does not run (%s)", container, end.why);
        return READ_FAILED;
    }
    if (!end.ran || end.exit_code == END_NO_CAT)
        return READ_NO_TOOLS;
    if (judge(&end, download->file, error))
        return READ_DONE;
    return end.exit_code == END_MISSING ? READ_NO_FILE : READ_FAILED;
}

// --- From an ephemeral container ---

static char *ephemeral_name(const char *purpose) {
    uint32_t random[2] = {0};
    if (getrandom(random, sizeof random, 0) != sizeof random)
        random[0] = (uint32_t)g_get_real_time();
    return g_strdup_printf("stoop-%s-%08x%04x", purpose, random[0], random[1] & 0xffff);
}

// NULL: none is named.
static const char *image_of(const ActionContext *context) {
    const DownloadParams *params = context->params;
    const char *image = params->image ? params->image : context->clients->tcpdump_image;
    return image && *image ? image : NULL;
}

static bool start_helper(const ActionContext *context, yyjson_val *pod, const char *container, const char *name,
                         GError **error) {
    const char *image = image_of(context);
    if (!image) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                    "the container '%s' has no shell with `cat`, and no image is named for an ephemeral container that "
                    "could read its files: give the parameter `image`",
                    container);
        return false;
    }
    int64_t left_s = (context->deadline_us - clock_monotonic_us(context->clock)) / G_USEC_PER_SEC + 1;
    g_autofree char *seconds = g_strdup_printf("%" G_GINT64_FORMAT, MAX(left_s, 1));
    const char *command[8];
    waiter_command(command, seconds);
    KubeEphemeral helper = {.name = name,
                            .image = image,
                            .target = container,
                            .command = command,
                            .capabilities = ROOT_CAPABILITIES,
                            .run_as_user = 0};
    KubeCall call = action_call(context);
    if (kube_ephemeral_start(context->clients->kube, context->event->pod_namespace, context->event->pod,
                             kube_object_uid(pod), &helper, &call, error))
        return true;
    target_explain(context, error);
    g_prefix_error(error, "the container '%s' has no shell with `cat`, and an ephemeral container cannot read for it: ",
                   container);
    return false;
}

// The container's id where /proc/1 is not the container's own first process.
static const char *shared_id(yyjson_val *pod, const char *container) {
    KubeContainer found;
    bool shared = yyjson_get_bool(kube_object_get(pod, "spec", "shareProcessNamespace", NULL)) ||
                  yyjson_get_bool(kube_object_get(pod, "spec", "hostPID", NULL));
    return shared && kube_pod_container(pod, container, NULL, &found) && found.id ? found.id : "";
}

static bool read_from_outside(const ActionContext *context, yyjson_val *pod, const char *container, Download *download,
                              GError **error) {
    g_autofree char *name = ephemeral_name("download");
    if (!start_helper(context, pod, container, name, error))
        return false;
    g_autoptr(GString) script = g_string_new("trap '" WAITER_DONE "' EXIT\n");
    assign(script, "f", download->file);
    assign(script, "id", shared_id(pod, container));
    g_string_append(script, SCRIPT_ROOT);
    // The shell stays, for its trap.
    g_string_append_len(script, SCRIPT_READ, (gssize)(strstr(SCRIPT_READ, "exec cat") - SCRIPT_READ));
    g_string_append(script, "cat \"$f\"\n");
    g_auto(ShellEnd) end = {0};
    bool ok = run_script(context, name, download, script, &end, error);
    if (!ok || !end.ran)
        waiter_end(context, context->event->pod_namespace, context->event->pod, name);
    if (!ok)
        return false;
    if (!end.ran || end.exit_code == END_NO_CAT) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the image '%s' has no shell with `cat`%s%s",
                    image_of(context), end.why ? ": " : "", end.why ? end.why : "");
        return false;
    }
    return judge(&end, download->file, error);
}

// --- The container ---

// A container that is tried: true and an `error` that is still unset mean that the next one may have the file.
static ReadResult read_container(const ActionContext *context, yyjson_val *pod, const char *container,
                                 Download *download, bool *outside, GError **error) {
    ReadResult read = read_inside(context, container, download, error);
    if (read != READ_NO_TOOLS)
        return read;
    *outside = true;
    GError *failure = NULL;
    if (read_from_outside(context, pod, container, download, &failure))
        return READ_DONE;
    read = stoop_error_is(failure, STOOP_ERROR_NOT_FOUND) && g_str_has_prefix(failure->message, "the file '")
               ? READ_NO_FILE
               : READ_FAILED;
    g_propagate_error(error, failure);
    return read;
}

static bool download_from(const ActionContext *context, yyjson_val *pod, Download *download, ActionResult *result,
                          GError **error) {
    const char *named = container_of_event(context->event, pod);
    g_autofree char *target = target_name(context);
    GError *failure = NULL;
    KubeContainer candidate;
    for (size_t i = 0; kube_pod_container_at(pod, i, &candidate); i++) {
        bool wanted =
            named ? strcmp(candidate.name, named) == 0 : candidate.running && candidate.kind == KUBE_CONTAINER_MAIN;
        if (!wanted)
            continue;
        g_clear_error(&failure);
        bool outside = false;
        ReadResult read = read_container(context, pod, candidate.name, download, &outside, &failure);
        if (read == READ_DONE && !begin(download, &failure))
            read = READ_FAILED;
        if (read == READ_NO_FILE)
            continue;
        if (read == READ_FAILED) {
            g_propagate_error(error, failure);
            return false;
        }
        action_result_add_object(result, "container", candidate.name);
        action_result_set(result, ACTION_SUCCESS, "the file '%s' of %s, container '%s', was read%s", download->file,
                          target, candidate.name, outside ? " from an ephemeral container" : "");
        return true;
    }
    if (failure)
        g_propagate_prefixed_error(error, failure, "%s: ", target);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "no container of %s runs", target);
    return false;
}

static bool download_run(const ActionContext *context, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    g_autofree char *file = file_of(context, error);
    g_auto(KubeObject) pod = {0};
    int64_t read_us = clock_monotonic_us(context->clock);
    if (!file || !target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    Download download = {.sink = context->sink, .file = file};
    return download_from(context, pod.root, &download, result, error) &&
           target_was_still(context, pod.root, read_us, result, error);
}

static const char *const download_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission download_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/exec", "get,create", NULL},
    {"", "pods", "list,watch", "where a container has no shell with `cat`"},
    {"", "pods/ephemeralcontainers", "patch", "where a container has no shell with `cat`"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_download = {
    .info = {.name = "kubernetes:download",
             .summary = "Downloads a file from the pod.",
             .description =
                 "Every byte of the file is streamed to the output as it is, whatever its size, up to the limits of "
                 "size and time; a file that grows meanwhile is read to the end that it then has. The container is "
                 "the one that the event names (`container.id`, `container.name`), else the first that has the file. "
                 "Success means that the end of the file was seen: a connection that breaks before is a failure. "
                 "Directories, devices, pipes and sockets are refused, symbolic links are followed.\n"
                 "\n"
                 "`file` is a full path. `${FD_NAME}` in it is the event's `fd.name`, put in by Stoop and not by any "
                 "shell, so that a value is a name and nothing more; the names are those of `kubernetes:exec`. A "
                 "variable that the event does not give is a failure.\n"
                 "\n"
                 "The file is read by the container's own `sh` and `cat`. Where it lacks these, as distroless images "
                 "do, an ephemeral container reads the file through the container's `/proc/1/root`: it runs as root "
                 "with the capabilities SYS_PTRACE and DAC_READ_SEARCH, made of `image`. It ends with the download, "
                 "but Kubernetes keeps its entry in the pod. A namespace whose Pod Security forbids this is a clear "
                 "failure.",
             .params = {.size = sizeof(DownloadParams), .rows = download_rows},
             .example = "- action: Get a file of the pod\n"
                        "  actionner: kubernetes:download\n"
                        "  parameters:\n"
                        "    file: ${FD_NAME}\n"
                        "  output:\n"
                        "    target: aws:s3\n"
                        "    parameters:\n"
                        "      bucket: my-bucket\n"
                        "      prefix: /files/\n",
             .permissions = download_permissions,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_OUTPUT,
             .required_fields = download_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 300000},
    .run = download_run,
};
