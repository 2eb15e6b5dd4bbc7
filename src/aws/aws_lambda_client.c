#include "aws/aws_lambda_client.h"

#include "aws/aws_text.h"
#include "base/error.h"
#include "base/one_line.h"
#include "net/http_client.h"

#include <string.h>
#include <yyjson.h>

#define MAX_PAYLOAD ((size_t)7 * 1024 * 1024) // Lambda's own limit is 6 MB
#define MAX_SHOWN 1024

void aws_invocation_clear(AwsInvocation *invocation) {
    g_clear_pointer(&invocation->payload, g_free);
}

// "arn:aws:lambda:eu-west-1:123456789012:function:NAME" names its region.
static char *region_of(const char *name) {
    g_auto(GStrv) parts = g_strsplit(name, ":", 6);
    bool arn = g_strv_length(parts) == 6 && strcmp(parts[0], "arn") == 0;
    return arn ? g_strdup(parts[3]) : NULL;
}

static char *function_url(AwsClient *client, const AwsFunction *function, const char *what, const AwsCall *call,
                          char **region, GError **error) {
    if (!*function->name || strlen(function->name) > 256) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' is no name of a function", function->name);
        return NULL;
    }
    g_autofree char *named = region_of(function->name);
    *region = aws_client_region(client, named, call, error);
    if (!*region)
        return NULL;
    g_autofree char *endpoint = aws_client_endpoint(client, "lambda", *region, NULL);
    g_autoptr(GString) url = g_string_new(endpoint);
    g_string_append(url, "/2015-03-31/functions/");
    http_append_escaped(url, function->name);
    g_string_append(url, what);
    if (function->qualifier && *function->qualifier) {
        g_string_append(url, "?Qualifier=");
        http_append_escaped(url, function->qualifier);
    }
    return g_strdup(url->str);
}

bool aws_lambda_check(AwsClient *client, const AwsFunction *function, const AwsCall *call, GError **error) {
    g_autofree char *region = NULL;
    g_autofree char *url = function_url(client, function, "", call, &region, error);
    if (!url)
        return false;
    AwsRequest request = {
        .service = "lambda", .region = region, .method = "GET", .url = url, .repeat = AWS_REPEAT_ALWAYS};
    g_auto(HttpResponse) response = {0};
    if (aws_client_request(client, &request, call, &response, NULL, error))
        return true;
    g_prefix_error(error, "GetFunction of '%s' in %s: ", function->name, region);
    return false;
}

char *aws_lambda_function_error(const char *payload, size_t len) {
    yyjson_doc *doc = len > 0 ? yyjson_read(payload, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *message = yyjson_obj_get(root, "errorMessage"), *type = yyjson_obj_get(root, "errorType");
    g_autofree char *text = NULL;
    if (yyjson_is_str(message))
        text = g_strdup_printf("%s%s%s", yyjson_is_str(type) ? yyjson_get_str(type) : "",
                               yyjson_is_str(type) ? ": " : "", yyjson_get_str(message));
    yyjson_doc_free(doc);
    return text ? one_line(text, strlen(text), MAX_SHOWN) : NULL;
}

// X-Amz-Function-Error: the function ran and failed ("Handled", "Unhandled"); the payload says how.
static void note_function_error(const char *name, const char *value, void *failed) {
    if (g_ascii_strcasecmp(name, "X-Amz-Function-Error") == 0)
        *(bool *)failed = *value != '\0';
}

bool aws_lambda_invoke(AwsClient *client, const AwsFunction *function, const char *type, const char *json, size_t len,
                       const AwsCall *call, AwsInvocation *invocation, GError **error) {
    g_autofree char *region = NULL;
    g_autofree char *url = function_url(client, function, "/invocations", call, &region, error);
    if (!url)
        return false;
    g_autofree char *type_header = g_strconcat("X-Amz-Invocation-Type: ", type, NULL);
    const char *const headers[] = {"Content-Type: application/json", type_header, NULL};
    bool failed = false;
    AwsRequest request = {
        .service = "lambda",
        .region = region,
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = json,
        .body_len = len,
        .repeat = AWS_REPEAT_TOLD,
        .max_response = MAX_PAYLOAD,
        .on_header = note_function_error,
        .header_user = &failed,
    };
    g_auto(HttpResponse) response = {0};
    if (!aws_client_request(client, &request, call, &response, NULL, error)) {
        g_prefix_error(error, "Invoke of '%s' in %s: ", function->name, region);
        return false;
    }
    const char *payload = buf_text(&response.body);
    g_autofree char *shown = one_line(payload, response.body.len, MAX_SHOWN);
    if (failed) {
        g_autofree char *reason = aws_lambda_function_error(payload, response.body.len);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the function '%s' failed: %s", function->name,
                    reason ? reason : shown);
        return false;
    }
    invocation->status = response.status;
    invocation->payload = g_steal_pointer(&shown);
    return true;
}
