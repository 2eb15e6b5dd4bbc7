#include "aws/aws_sts.h"

#include "aws/aws_client_private.h"
#include "aws/aws_text.h"
#include "base/error.h"
#include "base/one_line.h"

#include <string.h>

static void add_field(GString *body, const char *name, const char *value) {
    g_string_append_printf(body, "&%s=", name);
    http_append_escaped(body, value);
}

static AwsRequest sts_request(const char *region, const char *url, const GString *body) {
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded; charset=utf-8", NULL};
    return (AwsRequest){
        .service = "sts",
        .region = region,
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = body->str,
        .body_len = body->len,
        .repeat = AWS_REPEAT_ALWAYS,
    };
}

bool aws_sts_assume(AwsClient *client, const AwsAssume *assume, const AwsCredentials *credentials, const AwsCall *call,
                    AwsCredentials *assumed, GError **error) {
    const char *action = assume->web_identity_token ? "AssumeRoleWithWebIdentity" : "AssumeRole";
    g_autoptr(GString) body = g_string_new(NULL);
    g_string_printf(body, "Action=%s&Version=2011-06-15", action);
    add_field(body, "RoleArn", assume->role_arn);
    add_field(body, "RoleSessionName", assume->session_name ? assume->session_name : "stoop");
    if (assume->web_identity_token)
        add_field(body, "WebIdentityToken", assume->web_identity_token);
    else if (assume->external_id)
        add_field(body, "ExternalId", assume->external_id);
    g_autofree char *endpoint = aws_client_endpoint(client, "sts", assume->region, NULL);
    g_autofree char *url = g_strconcat(endpoint, "/", NULL);
    AwsRequest request = sts_request(assume->region, url, body);
    g_auto(HttpResponse) response = {0};
    bool ok = aws_request_as(client, &request, credentials, call, &response, NULL, error) &&
              aws_credentials_read_sts(action, buf_text(&response.body), response.body.len, assumed, error);
    explicit_bzero(body->str, body->len);
    if (!ok) {
        g_prefix_error(error, "%s of %s: ", action, assume->role_arn);
        return false;
    }
    assumed->assumed_role = g_strdup(assume->role_arn);
    return true;
}

static char *ask_identity(AwsClient *client, const AwsCall *call, GError **error) {
    g_autofree char *region = aws_client_region(client, NULL, call, error);
    if (!region)
        return NULL;
    g_autoptr(GString) body = g_string_new("Action=GetCallerIdentity&Version=2011-06-15");
    g_autofree char *endpoint = aws_client_endpoint(client, "sts", region, NULL);
    g_autofree char *url = g_strconcat(endpoint, "/", NULL);
    AwsRequest request = sts_request(region, url, body);
    g_auto(HttpResponse) response = {0};
    if (!aws_client_request(client, &request, call, &response, NULL, error)) {
        g_prefix_error(error, "GetCallerIdentity: ");
        return NULL;
    }
    g_autofree char *arn = aws_xml_text(buf_text(&response.body), response.body.len,
                                        "GetCallerIdentityResponse/GetCallerIdentityResult/Arn");
    if (!arn || !*arn) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "GetCallerIdentity: the answer has no ARN");
        return NULL;
    }
    return one_line(arn, strlen(arn), 2048);
}

char *aws_sts_identity(AwsClient *client, const AwsCall *call, GError **error) {
    mutex_lock(&client->mutex);
    char *known = g_strdup(client->identity);
    mutex_unlock(&client->mutex);
    if (known)
        return known;
    g_autofree char *arn = ask_identity(client, call, error);
    if (!arn)
        return NULL;
    mutex_lock(&client->mutex);
    if (!client->identity)
        client->identity = g_strdup(arn);
    mutex_unlock(&client->mutex);
    return g_steal_pointer(&arn);
}
