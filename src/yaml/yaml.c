#include "yaml/yaml.h"

#include "base/buf.h"
#include "yaml/yaml_doc.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEFAULT_BYTES = 16 * 1024 * 1024, DEFAULT_DEPTH = 64, DEFAULT_NODES = 1000000 };

YamlLimits yaml_limits_filled(const YamlLimits *limits) {
    YamlLimits filled = limits ? *limits : (YamlLimits){0};
    filled.max_bytes = filled.max_bytes ? filled.max_bytes : DEFAULT_BYTES;
    filled.max_depth = filled.max_depth ? filled.max_depth : DEFAULT_DEPTH;
    filled.max_nodes = filled.max_nodes ? filled.max_nodes : DEFAULT_NODES;
    return filled;
}

// False after reporting. Pipes have no size, so the bound is checked while reading too.
static bool read_all(int fd, const char *path, Buf *buf, DiagList *diags) {
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (guint64)status.st_size > buf->max) {
        diag_add(diags, DIAG_ERROR, path, 0, 0, "the file is %" G_GINT64_FORMAT " bytes long: at most %zu are read",
                 (gint64)status.st_size, buf->max);
        return false;
    }
    int failed = buf_read_fd(buf, fd);
    if (failed == EFBIG)
        diag_add(diags, DIAG_ERROR, path, 0, 0, "the file is longer than %zu bytes, which is the most that is read",
                 buf->max);
    else if (failed)
        diag_add(diags, DIAG_ERROR, path, 0, 0, "cannot be read: %s", g_strerror(failed));
    return !failed;
}

YamlDoc *yaml_load(const char *path, const YamlLimits *limits, DiagList *diags) {
    YamlLimits filled = yaml_limits_filled(limits);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        diag_add(diags, DIAG_ERROR, path, 0, 0, "cannot be opened: %s", g_strerror(errno));
        return NULL;
    }
    g_auto(Buf) buf = BUF_INIT(filled.max_bytes);
    bool good = read_all(fd, path, &buf, diags);
    close(fd);
    return good ? yaml_parse(buf_text(&buf), buf.len, path, &filled, diags) : NULL;
}

void yaml_doc_free(YamlDoc *doc) {
    if (!doc)
        return;
    yaml_arena_clear(&doc->arena);
    g_free(doc);
}

const YamlNode *yaml_root(const YamlDoc *doc) {
    return doc ? doc->root : NULL;
}

const YamlNode *yaml_get(const YamlNode *map, const char *key) {
    if (!map || map->kind != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

static bool is_null_word(const char *text) {
    return !*text || strcmp(text, "~") == 0 || g_ascii_strcasecmp(text, "null") == 0;
}

bool yaml_is_null(const YamlNode *node) {
    return node && node->kind == YAML_SCALAR && !node->quoted && is_null_word(node->text);
}

static bool word_to_bool(const char *text, bool *value) {
    static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"off", "on"}, {"n", "y"}};
    for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
        for (int b = 0; b < 2; b++)
            if (g_ascii_strcasecmp(text, words[i][b]) == 0) {
                *value = b;
                return true;
            }
    return false;
}

bool yaml_to_bool(const YamlNode *node, bool *value) {
    return node && node->kind == YAML_SCALAR && word_to_bool(node->text, value);
}

bool yaml_to_int(const YamlNode *node, gint64 *value) {
    if (!node || node->kind != YAML_SCALAR)
        return false;
    const char *digits = node->text;
    bool negative = *digits == '-';
    if (*digits == '-' || *digits == '+')
        digits++;
    guint base = 10;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X' || digits[1] == 'o')) {
        base = digits[1] == 'o' ? 8 : 16;
        digits += 2;
    }
    // g_ascii_string_to_unsigned refuses signs, spaces and rests, but would take a second 0x.
    if (!g_ascii_isxdigit(*digits) || (digits[0] == '0' && g_ascii_tolower(digits[1]) == 'x'))
        return false;
    guint64 size;
    guint64 most = (guint64)G_MAXINT64 + (negative ? 1 : 0);
    if (!g_ascii_string_to_unsigned(digits, base, 0, most, &size, NULL))
        return false;
    *value = negative ? (gint64)(0 - size) : (gint64)size;
    return true;
}

const char *yaml_kind_name(YamlKind kind) {
    return kind == YAML_SCALAR ? "a text" : kind == YAML_LIST ? "a list" : "a map";
}

void yaml_diag(DiagList *diags, DiagSeverity severity, const YamlNode *node, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    diag_add(diags, severity, node ? node->file : "", node ? node->line : 0, node ? node->column : 0, "%s", message);
}

// Only texts that no YAML reader takes for anything but a string, alone or in [ ] and { }.
static bool is_safe_plain(const char *text) {
    bool ignored;
    if (is_null_word(text) || word_to_bool(text, &ignored))
        return false;
    size_t len = strlen(text), dots = 0, letters = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        dots += c == '.';
        letters += !g_ascii_isdigit(c) && c != '.';
        if (c == ' ' && (i + 1 == len || text[i + 1] == ' ' || text[i + 1] == '#'))
            return false;
        if (c == ':' && (i + 1 == len || text[i + 1] == ' '))
            return false;
        if (!g_ascii_isalnum(c) && !strchr("_./-+*$@()= :", c))
            return false;
    }
    // Addresses like 10.0.0.0/8 are no numbers to anyone; what else starts with a digit may be one, or a date.
    if (g_ascii_isdigit(text[0]))
        return dots >= 2 && strspn(text, "0123456789./") == len;
    return g_ascii_isalpha(text[0]) || (strchr("_/$", text[0]) && letters > 0);
}

static void append_escaped(GString *out, gunichar c) {
    switch (c) {
    case '"':
    case '\\':
        g_string_append_printf(out, "\\%c", (char)c);
        return;
    case '\n':
        g_string_append(out, "\\n");
        return;
    case '\t':
        g_string_append(out, "\\t");
        return;
    case '\r':
        g_string_append(out, "\\r");
        return;
    default:
        break;
    }
    // Control characters, line separators, the byte order mark and non-characters are no printable YAML.
    if (c < 0x20 || (c >= 0x7F && c < 0xA0))
        g_string_append_printf(out, "\\x%02X", c);
    else if (c == 0x2028 || c == 0x2029 || c == 0xFEFF || c == 0xFFFE || c == 0xFFFF)
        g_string_append_printf(out, "\\u%04X", c);
    else
        g_string_append_unichar(out, c);
}

void yaml_append_scalar(GString *out, const char *text) {
    if (is_safe_plain(text)) {
        g_string_append(out, text);
        return;
    }
    g_autofree char *valid = g_utf8_make_valid(text, -1);
    g_string_append_c(out, '"');
    for (const char *at = valid; *at; at = g_utf8_next_char(at))
        append_escaped(out, g_utf8_get_char(at));
    g_string_append_c(out, '"');
}
