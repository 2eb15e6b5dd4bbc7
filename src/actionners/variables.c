#include "actionners/variables.h"

#include "base/error.h"

#include <string.h>

enum { VALUE_MAX = 64 * 1024, TOTAL_MAX = 1 << 20, NAME_MAX_BYTES = 256, EACH_COSTS = 16 };

// Names that shells, the loader or interpreters take orders from, or that a shell refuses to have set. Whoever can send
// an event with a field called `path` must not choose which programs a command finds.
static const char *const KEPT[] = {
    "_",
    "BASH",
    "BASHOPTS",
    "BASHPID",
    "CDPATH",
    "COLUMNS",
    "DIRSTACK",
    "EDITOR",
    "ENV",
    "EUID",
    "FCEDIT",
    "FIGNORE",
    "FPATH",
    "FUNCNAME",
    "FUNCNEST",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GLOBIGNORE",
    "GROUPS",
    "HOME",
    "HOSTALIASES",
    "HOSTTYPE",
    "IFS",
    "INPUTRC",
    "LANG",
    "LANGUAGE",
    "LINENO",
    "LINES",
    "LOCALDOMAIN",
    "LOCPATH",
    "LOGNAME",
    "MACHTYPE",
    "MAIL",
    "MAILCHECK",
    "MAILPATH",
    "NLSPATH",
    "OLDPWD",
    "OPTARG",
    "OPTERR",
    "OPTIND",
    "OSTYPE",
    "PAGER",
    "PATH",
    "PIPESTATUS",
    "POSIXLY_CORRECT",
    "PPID",
    "PWD",
    "RANDOM",
    "REPLY",
    "RESOLV_HOST_CONF",
    "RES_OPTIONS",
    "SECONDS",
    "SHELL",
    "SHELLOPTS",
    "SHLVL",
    "SRANDOM",
    "TERM",
    "TERMCAP",
    "TERMINFO",
    "TIMEFORMAT",
    "TMOUT",
    "TMPDIR",
    "TZ",
    "TZDIR",
    "UID",
    "USER",
    "VISUAL",
    "ZDOTDIR",
    "IFS",
    "EPOCHSECONDS",
    "EPOCHREALTIME",
    "COPROC",
    "MAPFILE",
    "READLINE_LINE",
    "EXECIGNORE",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "CLASSPATH",
    "BROWSER",
    "LESSOPEN",
    "LESSCLOSE",
    "LESS",
    "MORE",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_MODULES",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "FTP_PROXY",
    "_JAVA_OPTIONS",
    "TAR_OPTIONS",
    "WGETRC",
    "SYSTEM_WGETRC",
    "MAKEFLAGS",
    "MAKEFILES",
    "MFLAGS",
    "GNUMAKEFLAGS",
    "MANPAGER",
    "MANOPT",
    "GREP_OPTIONS",
    "GZIP",
    "BZIP",
    "BZIP2",
    "XZ_OPT",
    "XZ_DEFAULTS",
    "ZIPOPT",
    "UNZIP",
    "NETRC",
    "EXINIT",
    "VIMINIT",
    "MYVIMRC",
    "MAILRC",
    "MAILCAPS",
    "SYSTEMD_PAGER",
    "SYSTEMD_EDITOR",
    "DISPLAY",
};
static const char *const KEPT_PREFIXES[] = {
    "LD_",      "BASH_",        "LC_",  "HIST",   "GLIBC_", "MALLOC_",        "PYTHON", "PERL",     "RUBY",
    "GEM_",     "NODE_OPTIONS", "GIT_", "DYLD_",  "COMP_",  "PROMPT_COMMAND", "SSL_",   "CURL_",    "LUA_",
    "PHP",      "KUBERNETES_",  "SSH_", "SUDO_",  "XDG_",   "OPENSSL_",       "RSYNC_", "KUBECTL_", "DOCKER_",
    "DEBCONF_", "DPKG_",        "APT_", "CARGO_", "RUSTC",  "NPM_",           "PIP_",   "AWK",      "TCLLIBPATH",
};

static bool is_name(const char *name) {
    if (!*name || g_ascii_isdigit(*name) || strlen(name) > NAME_MAX_BYTES)
        return false;
    for (const char *c = name; *c; c++)
        if (!g_ascii_isalnum(*c) && *c != '_')
            return false;
    return true;
}

// PS1 to PS9, but not PSTREE or PS_ARGS.
static bool is_prompt(const char *name) {
    return name[0] == 'P' && name[1] == 'S' && g_ascii_isdigit(name[2]);
}

static bool is_kept(const char *name) {
    for (size_t i = 0; i < G_N_ELEMENTS(KEPT); i++)
        if (strcmp(name, KEPT[i]) == 0)
            return true;
    for (size_t i = 0; i < G_N_ELEMENTS(KEPT_PREFIXES); i++)
        if (g_str_has_prefix(name, KEPT_PREFIXES[i]))
            return true;
    return is_prompt(name);
}

typedef struct {
    GPtrArray *pairs;
    GHashTable *places; // name to index of its pair
    size_t total;
} Collecting;

static void collect(const char *name, const char *value, void *user) {
    Collecting *self = user;
    if (!is_name(name) || is_kept(name))
        return;
    size_t len = strlen(value);
    if (len > VALUE_MAX) {
        len = VALUE_MAX;
        while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)
            len--;
    }
    size_t costs = strlen(name) + len + EACH_COSTS;
    if (self->total + costs > TOTAL_MAX)
        return;
    self->total += costs;
    void *place = NULL;
    if (g_hash_table_lookup_extended(self->places, name, NULL, &place)) {
        char **old = (char **)&g_ptr_array_index(self->pairs, GPOINTER_TO_UINT(place) + 1);
        g_free(*old);
        *old = g_strndup(value, len);
        return;
    }
    g_ptr_array_add(self->pairs, g_strdup(name));
    g_hash_table_insert(self->places, g_ptr_array_index(self->pairs, self->pairs->len - 1),
                        GUINT_TO_POINTER(self->pairs->len - 1));
    g_ptr_array_add(self->pairs, g_strndup(value, len));
}

// falco-talon.rule is FALCO_TALON_RULE.
static char *fact_name(const char *key) {
    char *name = g_ascii_strup(key, -1);
    for (char *c = name; *c; c++)
        if (!g_ascii_isalnum(*c))
            *c = '_';
    return name;
}

GPtrArray *variables_of(const ActionContext *context) {
    Collecting collecting = {.pairs = g_ptr_array_new_with_free_func(g_free),
                             .places = g_hash_table_new(g_str_hash, g_str_equal)};
    event_each_variable(context->event, collect, &collecting);
    for (const char *const *fact = context->facts; fact && fact[0] && fact[1]; fact += 2) {
        g_autofree char *name = fact_name(fact[0]);
        collect(name, fact[1], &collecting);
    }
    g_hash_table_unref(collecting.places);
    return collecting.pairs;
}

void shell_quote(GString *out, const char *value, size_t len) {
    const char *end = value + len;
    g_string_append_c(out, '\'');
    while (value < end) {
        const char *quote = memchr(value, '\'', (size_t)(end - value));
        const char *stop = quote ? quote : end;
        g_string_append_len(out, value, (gssize)(stop - value));
        if (quote)
            g_string_append(out, "'\\''");
        value = stop + (quote ? 1 : 0);
    }
    g_string_append_c(out, '\'');
}

static const char *find(const GPtrArray *variables, const char *name) {
    for (guint i = 0; i + 1 < variables->len; i += 2)
        if (strcmp(g_ptr_array_index(variables, i), name) == 0)
            return g_ptr_array_index(variables, i + 1);
    return NULL;
}

// The length of the name at `text`, 0 when there is none.
static size_t name_length(const char *text) {
    size_t len = 0;
    if (g_ascii_isdigit(*text))
        return 0;
    while (g_ascii_isalnum(text[len]) || text[len] == '_')
        len++;
    return len;
}

char *variables_expand(const GPtrArray *variables, const char *text, GError **error) {
    g_autoptr(GString) out = g_string_new(NULL);
    while (*text) {
        bool braced = text[0] == '$' && text[1] == '{';
        size_t len = text[0] == '$' ? name_length(text + 1 + braced) : 0;
        if (len == 0 || (braced && text[2 + len] != '}')) {
            g_string_append_c(out, *text++);
            continue;
        }
        g_autofree char *name = g_strndup(text + 1 + braced, len);
        const char *value = find(variables, name);
        if (!value) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the event gives no variable ${%s}", name);
            return NULL;
        }
        g_string_append(out, value);
        text += 1 + len + (braced ? 2 : 0);
    }
    return g_string_free(g_steal_pointer(&out), FALSE);
}
