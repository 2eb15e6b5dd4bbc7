#include "aws/aws_text.h"

#include "base/error.h"
#include "base/one_line.h"

#include <string.h>
#include <yyjson.h>

#define MAX_DEPTH 16
#define MAX_MESSAGE 512

// --- XML ---

typedef struct {
    bool (*element)(const char *path, const char *text, void *user);
    void *user;
    GString *path;
    GString *texts[MAX_DEPTH];
    unsigned depth;
    bool ended;
} XmlReader;

static void on_start(GMarkupParseContext *context, const char *name, const char **names, const char **values,
                     void *user, GError **error) {
    XmlReader *reader = user;
    if (reader->depth == MAX_DEPTH) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "XML is nested deeper than %d", MAX_DEPTH);
        return;
    }
    if (reader->depth > 0)
        g_string_append_c(reader->path, '/');
    g_string_append(reader->path, name);
    if (!reader->texts[reader->depth])
        reader->texts[reader->depth] = g_string_new(NULL);
    g_string_truncate(reader->texts[reader->depth++], 0);
}

static void on_text(GMarkupParseContext *context, const char *text, gsize len, void *user, GError **error) {
    XmlReader *reader = user;
    if (reader->depth > 0)
        g_string_append_len(reader->texts[reader->depth - 1], text, (gssize)len);
}

static void on_end(GMarkupParseContext *context, const char *name, void *user, GError **error) {
    XmlReader *reader = user;
    char *text = g_strstrip(reader->texts[--reader->depth]->str);
    if (!reader->ended && !reader->element(reader->path->str, text, reader->user))
        reader->ended = true;
    size_t cut = strlen(name) + (reader->depth > 0 ? 1 : 0);
    g_string_truncate(reader->path, reader->path->len - cut);
}

bool aws_xml_read(const char *xml, size_t len, bool (*element)(const char *path, const char *text, void *user),
                  void *user, GError **error) {
    static const GMarkupParser parser = {.start_element = on_start, .end_element = on_end, .text = on_text};
    XmlReader reader = {.element = element, .user = user, .path = g_string_new(NULL)};
    g_autoptr(GMarkupParseContext) context =
        g_markup_parse_context_new(&parser, G_MARKUP_TREAT_CDATA_AS_TEXT, &reader, NULL);
    g_autoptr(GError) failure = NULL;
    bool ok = len > 0 && g_markup_parse_context_parse(context, xml, (gssize)len, &failure) &&
              g_markup_parse_context_end_parse(context, &failure);
    for (unsigned i = 0; i < MAX_DEPTH; i++)
        if (reader.texts[i])
            g_string_free(reader.texts[i], TRUE);
    g_string_free(reader.path, TRUE);
    if (!ok)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the answer is no XML: %s",
                    failure ? failure->message : "it is empty");
    return ok;
}

typedef struct {
    const char *path;
    char *found;
} XmlSearch;

static bool search_element(const char *path, const char *text, void *user) {
    XmlSearch *search = user;
    if (strcmp(path, search->path) != 0)
        return true;
    search->found = g_strdup(text);
    return false;
}

char *aws_xml_text(const char *xml, size_t len, const char *path) {
    XmlSearch search = {.path = path};
    if (aws_xml_read(xml, len, search_element, &search, NULL))
        return search.found;
    g_free(search.found);
    return NULL;
}

void aws_xml_append_escaped(GString *out, const char *text) {
    g_autofree char *escaped = g_markup_escape_text(text, -1);
    g_string_append(out, escaped);
}

// --- What is wrong ---

void aws_problem_clear(AwsProblem *problem) {
    g_clear_pointer(&problem->code, g_free);
    g_clear_pointer(&problem->message, g_free);
    g_clear_pointer(&problem->region, g_free);
}

static void take(char **into, const char *text, size_t len) {
    if (*into || len == 0)
        return;
    *into = one_line(text, len, MAX_MESSAGE);
    if (!**into)
        g_clear_pointer(into, g_free);
}

// The region in a host such as bucket.s3.eu-west-1.amazonaws.com or bucket.s3-eu-west-1.amazonaws.com.
static void take_region_of_host(char **region, const char *host) {
    const char *end = strstr(host, ".amazonaws.com");
    const char *start = end;
    while (start && start > host && start[-1] != '.')
        start--;
    if (start && end - start > 3 && strncmp(start, "s3-", 3) == 0)
        start += 3;
    if (start && end > start && memchr(start, '-', (size_t)(end - start)))
        take(region, start, (size_t)(end - start));
}

// Whether the last parts of the path are these.
static bool ends_with(const char *path, const char *end) {
    size_t path_len = strlen(path), len = strlen(end);
    return path_len >= len && strcmp(path + path_len - len, end) == 0 &&
           (path_len == len || path[path_len - len - 1] == '/');
}

static bool take_element(const char *path, const char *text, void *user) {
    AwsProblem *problem = user;
    size_t len = strlen(text);
    // S3 says Error/Code, STS ErrorResponse/Error/Code, others have one more around it.
    if (ends_with(path, "Error/Code"))
        take(&problem->code, text, len);
    else if (ends_with(path, "Error/Message"))
        take(&problem->message, text, len);
    else if (strcmp(path, "Error/Region") == 0)
        take(&problem->region, text, len);
    else if (strcmp(path, "Error/Endpoint") == 0)
        take_region_of_host(&problem->region, text);
    return true;
}

static void take_member(yyjson_val *root, const char *name, char **into) {
    yyjson_val *value = yyjson_obj_get(root, name);
    if (yyjson_is_str(value))
        take(into, yyjson_get_str(value), yyjson_get_len(value));
}

static void read_json(const char *body, size_t len, AwsProblem *problem) {
    yyjson_doc *doc = yyjson_read(body, len, 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    // "com.amazon.x#NoSuchThing" in the body's __type; Lambda's own are Code or Type.
    static const char *const codes[] = {"__type", "Code", "code", "errorType", "Type"};
    static const char *const messages[] = {"Message", "message", "errorMessage"};
    if (yyjson_is_obj(root)) {
        for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
            take_member(root, codes[i], &problem->code);
        for (size_t i = 0; i < G_N_ELEMENTS(messages); i++)
            take_member(root, messages[i], &problem->message);
    }
    const char *hash = problem->code ? strrchr(problem->code, '#') : NULL;
    if (hash && hash[1])
        memmove(problem->code, hash + 1, strlen(hash + 1) + 1);
    yyjson_doc_free(doc);
}

bool aws_problem_read(const char *body, size_t len, AwsProblem *problem) {
    size_t start = 0;
    while (start < len && g_ascii_isspace(body[start]))
        start++;
    if (start < len && body[start] == '{')
        read_json(body, len, problem);
    else if (start < len && body[start] == '<')
        aws_xml_read(body, len, take_element, problem, NULL);
    return problem->code || problem->message;
}

gint64 aws_time_ns(const char *text) {
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = text ? g_date_time_new_from_iso8601(text, utc) : NULL;
    if (!time)
        return -1;
    gint64 seconds = g_date_time_to_unix(time);
    return seconds < 0 ? -1 : seconds * 1000000000 + g_date_time_get_microsecond(time) * (gint64)1000;
}
