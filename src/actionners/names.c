#include "actionners/names.h"

#include "schema/schema.h"

#include <string.h>

enum { LONGEST_LABEL = 63, LONGEST_PREFIX = 253, LONGEST_ANNOTATIONS = 256 * 1024 };

static bool is_lower_alnum(char c) {
    return g_ascii_islower(c) || g_ascii_isdigit(c);
}

// RFC 1123: lower case letters, digits and dashes, a letter or digit at both ends.
static bool is_dns_label(const char *text, size_t len) {
    if (len == 0 || len > LONGEST_LABEL || !is_lower_alnum(text[0]) || !is_lower_alnum(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_lower_alnum(text[i]) && text[i] != '-')
            return false;
    return true;
}

// The prefix of a key: DNS labels with dots between. Unlike a host name, the API server does not limit each label.
static bool is_dns_subdomain(const char *text, size_t len) {
    if (len == 0 || len > LONGEST_PREFIX)
        return false;
    for (size_t i = 0; i < len; i++) {
        bool at_end = i == 0 || i == len - 1 || text[i - 1] == '.' || text[i + 1] == '.';
        if (!is_lower_alnum(text[i]) && (at_end || (text[i] != '-' && text[i] != '.')))
            return false;
    }
    return true;
}

// What a label's value and a key's name have in common.
static bool is_label_text(const char *text, size_t len) {
    if (len == 0 || len > LONGEST_LABEL || !g_ascii_isalnum(text[0]) || !g_ascii_isalnum(text[len - 1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!g_ascii_isalnum(text[i]) && !strchr("-_.", text[i]))
            return false;
    return true;
}

static bool is_key(const char *text) {
    const char *slash = strchr(text, '/');
    if (slash && !is_dns_subdomain(text, (size_t)(slash - text)))
        return false;
    const char *name = slash ? slash + 1 : text;
    return is_label_text(name, strlen(name));
}

bool is_dns_name(const char *text) {
    return is_dns_subdomain(text, strlen(text));
}

bool is_object_name(const char *text) {
    if (text[0] == '\0' || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return false;
    for (const char *c = text; *c != '\0'; c++)
        if (*c == '/' || *c == '%' || (unsigned char)*c <= ' ' || *c == 0x7f)
            return false;
    return true;
}

char *namespace_check(const char *text) {
    if (is_dns_label(text, strlen(text)))
        return NULL;
    return g_strdup("is no name of a namespace: at most 63 lower case letters, digits and '-', with a letter or digit "
                    "at both ends");
}

static char *keys_check(const char *name, const GPtrArray *pairs) {
    for (guint i = 0; i < pairs->len; i++) {
        const ParamPair *pair = g_ptr_array_index(pairs, i);
        if (!is_key(pair->key))
            return g_strdup_printf(
                "'%s' has the key '%s', which Kubernetes does not take: at most 63 letters, digits, '-', '_' and '.', "
                "with a letter or digit at both ends; before it may stand a DNS name and a slash",
                name, pair->key);
    }
    return NULL;
}

char *labels_check(const char *name, const GPtrArray *pairs) {
    char *wrong = keys_check(name, pairs);
    for (guint i = 0; !wrong && i < pairs->len; i++) {
        const ParamPair *pair = g_ptr_array_index(pairs, i);
        if (pair->value[0] != '\0' && !is_label_text(pair->value, strlen(pair->value)))
            wrong = g_strdup_printf("'%s' gives '%s' the value '%s', which Kubernetes does not take: at most 63 "
                                    "letters, digits, '-', '_' and '.', with a letter or digit at both ends",
                                    name, pair->key, pair->value);
    }
    return wrong;
}

char *annotations_check(const char *name, const GPtrArray *pairs) {
    char *wrong = keys_check(name, pairs);
    size_t total = 0;
    for (guint i = 0; !wrong && i < pairs->len; i++) {
        const ParamPair *pair = g_ptr_array_index(pairs, i);
        total += strlen(pair->key) + strlen(pair->value);
    }
    if (!wrong && total > LONGEST_ANNOTATIONS)
        wrong =
            g_strdup_printf("'%s' has %zu bytes, and Kubernetes takes at most %d", name, total, LONGEST_ANNOTATIONS);
    return wrong;
}
