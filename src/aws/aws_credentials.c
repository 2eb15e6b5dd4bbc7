#include "aws/aws_credentials.h"

#include "aws/aws_text.h"
#include "base/error.h"
#include "base/one_line.h"

#include <string.h>
#include <yyjson.h>

static void wipe(char **secret) {
    if (*secret)
        explicit_bzero(*secret, strlen(*secret));
    g_clear_pointer(secret, g_free);
}

void aws_credentials_clear(AwsCredentials *credentials) {
    g_clear_pointer(&credentials->access_key, g_free);
    g_clear_pointer(&credentials->assumed_role, g_free);
    wipe(&credentials->secret_key);
    wipe(&credentials->session_token);
    credentials->expires_ns = 0;
}

void aws_credentials_copy(const AwsCredentials *from, AwsCredentials *to) {
    *to = (AwsCredentials){
        .access_key = g_strdup(from->access_key),
        .secret_key = g_strdup(from->secret_key),
        .session_token = g_strdup(from->session_token),
        .expires_ns = from->expires_ns,
        .source = from->source,
        .assumed_role = g_strdup(from->assumed_role),
    };
}

AwsKeys aws_credentials_keys(const AwsCredentials *credentials) {
    return (AwsKeys){credentials->access_key, credentials->secret_key, credentials->session_token};
}

// Takes the fields over; they must be whole.
static bool complete(AwsCredentials *found, const char *expiration, AwsCredentials *credentials, GError **error) {
    if (!found->access_key || !*found->access_key || !found->secret_key || !*found->secret_key) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the answer has no access key");
        return false;
    }
    if (expiration) {
        found->expires_ns = aws_time_ns(expiration);
        if (found->expires_ns < 0) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the answer's expiration is no time");
            return false;
        }
    }
    *credentials = *found;
    *found = (AwsCredentials){0};
    return true;
}

typedef struct {
    char *prefix; // "AssumeRoleResponse/AssumeRoleResult/Credentials/"
    char *expiration;
    AwsCredentials found;
} StsReader;

static bool take_sts(const char *path, const char *text, void *user) {
    StsReader *reader = user;
    if (!g_str_has_prefix(path, reader->prefix))
        return true;
    const char *name = path + strlen(reader->prefix);
    char **into = NULL;
    if (strcmp(name, "AccessKeyId") == 0)
        into = &reader->found.access_key;
    else if (strcmp(name, "SecretAccessKey") == 0)
        into = &reader->found.secret_key;
    else if (strcmp(name, "SessionToken") == 0)
        into = &reader->found.session_token;
    else if (strcmp(name, "Expiration") == 0)
        into = &reader->expiration;
    if (into && !*into)
        *into = g_strdup(text);
    return true;
}

bool aws_credentials_read_sts(const char *action, const char *xml, size_t len, AwsCredentials *credentials,
                              GError **error) {
    StsReader reader = {.prefix = g_strdup_printf("%sResponse/%sResult/Credentials/", action, action)};
    bool ok = aws_xml_read(xml, len, take_sts, &reader, error) &&
              complete(&reader.found, reader.expiration, credentials, error);
    aws_credentials_clear(&reader.found);
    g_free(reader.prefix);
    g_free(reader.expiration);
    return ok;
}

static char *member(yyjson_val *root, const char *name) {
    return g_strdup(yyjson_get_str(yyjson_obj_get(root, name)));
}

bool aws_credentials_read_json(const char *json, size_t len, AwsCredentials *credentials, GError **error) {
    yyjson_doc *doc = len > 0 ? yyjson_read(json, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    g_auto(AwsCredentials) found = {
        .access_key = member(root, "AccessKeyId"),
        .secret_key = member(root, "SecretAccessKey"),
        .session_token = member(root, "Token"),
    };
    g_autofree char *expiration = member(root, "Expiration"), *code = member(root, "Code");
    yyjson_doc_free(doc);
    if (code && strcmp(code, "Success") != 0) {
        g_autofree char *shown = one_line(code, strlen(code), 100);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "it has no credentials: %s", shown);
        return false;
    }
    return complete(&found, expiration, credentials, error);
}
