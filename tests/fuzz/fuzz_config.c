// Any bytes as a configuration: the first line is one environment variable, the rest the file's text. Secrets never
// show in what is said.
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
    char *url, *format;
    char **to;
    GPtrArray *headers;
    int64_t size;
} Chat;

static const char *const formats[] = {"long", "short", NULL};
static const char *const old_names[] = {"old_size", NULL};
static const ParamRow chat_rows[] = {
    PARAM_ROW_TEXT(Chat, url, .required = true, .secret = true, .summary = "Where to."),
    PARAM_ROW_TEXT(Chat, format, .default_value = "long", .choices = formats, .summary = "How much."),
    PARAM_ROW_LIST(Chat, to, .summary = "To whom."),
    PARAM_ROW_MAP(Chat, headers, .summary = "Headers to add."),
    PARAM_ROW_INT(Chat, size, .old_names = old_names, PARAM_RANGE(1, 9), .summary = "How long."),
    PARAM_ROW_END,
};
static const PluginInfo chat = {
    .name = "chat", .summary = "Chats.", .params = {.size = sizeof(Chat), .rows = chat_rows}};
static const PluginInfo *const notifiers[] = {&chat, NULL};
static const PluginInfo *const none[] = {NULL};
static const Catalogue catalogue = {.plugins = {none, none, notifiers, none}};

static void print_values(const Config *config) {
    for (const ParamRow *row = config_table.rows; row->name; row++) {
        g_autofree char *text = param_value_text(row, config);
        g_autoptr(YamlDoc) doc = yaml_parse(text, strlen(text), "value", NULL, NULL);
        if (!doc)
            abort();
    }
}

// A file in memory, named by its descriptor, so that the fuzzer writes nothing to the disk.
static int text_file(const char *text, size_t len) {
    int fd = memfd_create("config", 0);
    if (fd < 0 || write(fd, text, len) != (ssize_t)len)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    // Paths of the fuzzer's choice would make runs differ between machines, or wait for a terminal.
    if (memmem(data, size, "_file", 5) || memmem(data, size, "_FILE", 5))
        return 0;
    const unsigned char *end = memchr(data, '\n', size);
    size_t first = end ? (size_t)(end - data) : size;
    g_autofree char *variable = g_strndup((const char *)data, first);
    const char *const environment[] = {variable, NULL};
    size_t skipped = end ? first + 1 : size;
    int fd = text_file((const char *)data + skipped, size - skipped);
    g_autofree char *path = g_strdup_printf("/proc/self/fd/%d", fd);
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(Config) config = config_load(path, environment, &catalogue, diags);
    close(fd);
    if ((config == NULL) != (diags->errors > 0))
        abort();
    g_autofree char *text = diag_list_text(diags);
    if (!g_utf8_validate(text, -1, NULL))
        abort();
    if (config)
        print_values(config);
    return 0;
}
