#include "gcp/gcs_parts.h"

#include "base/error.h"

#include <string.h>

// The text between <name> and </name> from `*at` on, which then stands behind it. False: there is none before `end`.
static bool find_element(const char **at, const char *end, const char *name, const char **text, size_t *len) {
    g_autofree char *opening = g_strdup_printf("<%s>", name), *closing = g_strdup_printf("</%s>", name);
    const char *start = g_strstr_len(*at, end - *at, opening);
    if (!start)
        return false;
    start += strlen(opening);
    const char *stop = g_strstr_len(start, end - start, closing);
    if (!stop)
        return false;
    *text = start;
    *len = (size_t)(stop - start);
    *at = stop + strlen(closing);
    return true;
}

static char *unescape(const char *text, size_t len) {
    static const struct {
        const char *entity;
        char c;
    } entities[] = {{"&quot;", '"'}, {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&apos;", '\''}, {"&#34;", '"'}};
    GString *out = g_string_new(NULL);
    for (const char *at = text; at < text + len;) {
        size_t i = 0, left = (size_t)(text + len - at);
        while (i < G_N_ELEMENTS(entities) &&
               (left < strlen(entities[i].entity) || strncmp(at, entities[i].entity, strlen(entities[i].entity)) != 0))
            i++;
        g_string_append_c(out, i < G_N_ELEMENTS(entities) ? entities[i].c : *at);
        at += i < G_N_ELEMENTS(entities) ? strlen(entities[i].entity) : 1;
    }
    return g_string_free(out, FALSE);
}

static char *element_text(const char *xml, const char *end, const char *name) {
    const char *text = NULL, *at = xml;
    size_t len = 0;
    return find_element(&at, end, name, &text, &len) ? unescape(text, len) : NULL;
}

char *gcs_xml_text(const char *xml, const char *name) {
    return element_text(xml, xml + strlen(xml), name);
}

// The tag becomes a part of XML again.
static bool take_etag(GcsPart *part, const char *text) {
    size_t len = strlen(text);
    bool quoted = len >= 2 && text[0] == '"' && text[len - 1] == '"';
    g_autofree char *etag = quoted ? g_strndup(text + 1, len - 2) : g_strdup(text);
    for (const char *c = etag; *c; c++)
        if (!g_ascii_isalnum(*c) && !strchr("-_+/=", *c))
            return false;
    return *etag && g_strlcpy(part->etag, etag, sizeof part->etag) < sizeof part->etag;
}

static bool read_part(const char *xml, const char *end, guint number, GArray *parts) {
    g_autofree char *number_text = element_text(xml, end, "PartNumber");
    g_autofree char *etag = element_text(xml, end, "ETag");
    g_autofree char *size = element_text(xml, end, "Size");
    guint64 said = 0;
    GcsPart part = {0};
    if (!number_text || !etag || !size ||
        !g_ascii_string_to_unsigned(number_text, 10, 1, GCS_MOST_PARTS, &said, NULL) || said != number ||
        !g_ascii_string_to_unsigned(size, 10, 0, G_MAXINT64, &part.size, NULL) || !take_etag(&part, etag))
        return false;
    g_array_append_val(parts, part);
    return true;
}

bool gcs_parts_read(const char *xml, GArray *parts, bool *more, GError **error) {
    const char *at = xml, *end = xml + strlen(xml), *text = NULL;
    size_t len = 0;
    bool good = strstr(xml, "<ListPartsResult") != NULL;
    guint before = parts->len;
    while (good && find_element(&at, end, "Part", &text, &len))
        good = read_part(text, text + len, parts->len + 1, parts);
    g_autofree char *truncated = gcs_xml_text(xml, "IsTruncated");
    *more = truncated && strcmp(truncated, "true") == 0;
    // A page that brings nothing and promises more would never end.
    if (good && (parts->len > before || !*more))
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the list of the uploaded parts cannot be understood");
    return false;
}

char *gcs_parts_write(const GArray *parts) {
    GString *xml = g_string_new("<CompleteMultipartUpload>");
    for (guint i = 0; i < parts->len; i++)
        g_string_append_printf(xml, "<Part><PartNumber>%u</PartNumber><ETag>&quot;%s&quot;</ETag></Part>", i + 1,
                               g_array_index(parts, GcsPart, i).etag);
    g_string_append(xml, "</CompleteMultipartUpload>");
    return g_string_free(xml, FALSE);
}
