// Credentials and facts that the machine itself gives: a container's, through a local service, and an instance's,
// through its metadata service (IMDSv2, which wants a token).
// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
#include "aws/aws_client_private.h"
#include "aws/aws_text.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_ANSWER ((size_t)64 * 1024)
#define MAX_TOKEN ((size_t)64 * 1024)
// Outside of AWS nobody answers at the metadata address; actions must not wait long to learn that.
#define METADATA_US (2 * G_USEC_PER_SEC)
#define METADATA_TRIES 2
#define TOKEN_SECONDS "21600"

static int64_t deadline_of(AwsClient *client, const AwsCall *call) {
    int64_t until = clock_monotonic_us(client->clock) + METADATA_US;
    return call->deadline_us > 0 ? MIN(call->deadline_us, until) : until;
}

static bool ask(AwsClient *client, const char *method, const char *url, const char *const *headers, const AwsCall *call,
                Buf *answer, GError **error) {
    g_autoptr(GError) failure = NULL;
    for (int try = 0; try < METADATA_TRIES; try++) {
        g_clear_error(&failure);
        g_auto(HttpResponse) response = {0};
        HttpRequest request = {
            .method = method,
            .url = url,
            .headers = headers,
            .deadline_us = deadline_of(client, call),
            .cancel = call->cancel,
            .max_response = MAX_ANSWER,
        };
        if (http_perform(client->metadata, &request, &response, &failure)) {
            if (response.status == 200) {
                *answer = response.body;
                response.body = (Buf){0};
                return true;
            }
            g_set_error(&failure, STOOP_ERROR,
                        response.status == 404   ? STOOP_ERROR_NOT_FOUND
                        : response.status >= 500 ? STOOP_ERROR_UNAVAILABLE
                                                 : STOOP_ERROR_FAILED,
                        "%s answered %d", url, response.status);
        } else {
            g_prefix_error(&failure, "%s: ", url);
        }
        if (!stoop_error_is(failure, STOOP_ERROR_UNAVAILABLE))
            break;
    }
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

char *aws_read_token_file(const char *path, GError **error) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        stoop_error_set_errno(error, errno, "cannot read '%s'", path);
        return NULL;
    }
    g_auto(Buf) text = BUF_INIT(MAX_TOKEN);
    int failed = buf_read_fd(&text, file);
    close(file);
    if (failed && failed != EFBIG) {
        stoop_error_set_errno(error, failed, "cannot read '%s'", path);
        return NULL;
    }
    if (failed || text.len == 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' holds no token", path);
        return NULL;
    }
    return g_strstrip(buf_steal(&text));
}

// --- The instance ---

static char *imds_url(AwsClient *client, const char *path) {
    const char *endpoint = aws_env(client, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (!endpoint) {
        const char *mode = aws_env(client, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
        bool ipv6 = mode && g_ascii_strcasecmp(mode, "IPv6") == 0;
        endpoint = ipv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254";
    }
    size_t len = strlen(endpoint);
    while (len > 0 && endpoint[len - 1] == '/')
        len--;
    return g_strdup_printf("%.*s%s", (int)len, endpoint, path);
}

static bool imds_disabled(AwsClient *client) {
    const char *disabled = aws_env(client, "AWS_EC2_METADATA_DISABLED");
    return disabled && g_ascii_strcasecmp(disabled, "true") == 0;
}

static char *imds_token(AwsClient *client, const AwsCall *call, GError **error) {
    if (imds_disabled(client)) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "AWS_EC2_METADATA_DISABLED is set");
        return NULL;
    }
    static const char *const headers[] = {"X-aws-ec2-metadata-token-ttl-seconds: " TOKEN_SECONDS, NULL};
    g_autofree char *url = imds_url(client, "/latest/api/token");
    g_auto(Buf) token = {0};
    if (!ask(client, "PUT", url, headers, call, &token, error))
        return NULL;
    // It becomes a header.
    for (size_t i = 0; i < token.len; i++)
        if (token.data[i] <= ' ' || token.data[i] > '~') {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "%s answered no token", url);
            return NULL;
        }
    return buf_steal(&token);
}

static char *imds_get(AwsClient *client, const char *token, const char *path, const AwsCall *call, GError **error) {
    g_autofree char *url = imds_url(client, path);
    g_autofree char *header = g_strconcat("X-aws-ec2-metadata-token: ", token, NULL);
    g_auto(Buf) answer = {0};
    if (!ask(client, "GET", url, (const char *const[]){header, NULL}, call, &answer, error))
        return NULL;
    return g_strstrip(buf_steal(&answer));
}

char *aws_imds_get(AwsClient *client, const char *path, const AwsCall *call, GError **error) {
    g_autofree char *token = imds_token(client, call, error);
    return token ? imds_get(client, token, path, call, error) : NULL;
}

bool aws_imds_credentials(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error) {
    static const char path[] = "/latest/meta-data/iam/security-credentials/";
    g_autofree char *token = imds_token(client, call, error);
    g_autofree char *roles = token ? imds_get(client, token, path, call, error) : NULL;
    if (!roles)
        return false;
    size_t len = strcspn(roles, "\r\n");
    g_autofree char *role = g_strndup(roles, len);
    if (len == 0) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "the instance has no role");
        return false;
    }
    g_autoptr(GString) role_path = g_string_new(path);
    http_append_escaped(role_path, role);
    g_autofree char *json = imds_get(client, token, role_path->str, call, error);
    if (!json || !aws_credentials_read_json(json, strlen(json), credentials, error))
        return false;
    credentials->source = "instance";
    return true;
}

// --- The container ---

// Without TLS, a token may only go to this machine.
static bool is_local(const char *url) {
    static const char *const hosts[] = {"localhost", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "[::1]"};
    const char *host = url + strlen("http://");
    size_t len = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?");
    if (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == len)
        return true;
    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++)
        if (strlen(hosts[i]) == len && g_ascii_strncasecmp(host, hosts[i], len) == 0)
            return true;
    return false;
}

static char *container_url(AwsClient *client, GError **error) {
    const char *relative = aws_env(client, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    if (relative)
        return g_strconcat("http://169.254.170.2", *relative == '/' ? "" : "/", relative, NULL);
    const char *full = aws_env(client, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    bool good = g_str_has_prefix(full, "https://") || (g_str_has_prefix(full, "http://") && is_local(full));
    if (good && !strchr(full, '@'))
        return g_strdup(full);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                "AWS_CONTAINER_CREDENTIALS_FULL_URI '%s' is neither https nor of this machine", full);
    return NULL;
}

static bool container_token(AwsClient *client, char **header, GError **error) {
    const char *file = aws_env(client, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    g_autofree char *token =
        file ? aws_read_token_file(file, error) : g_strdup(aws_env(client, "AWS_CONTAINER_AUTHORIZATION_TOKEN"));
    if (file && !token)
        return false;
    if (token && strpbrk(token, "\r\n")) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the container's token has line ends in it");
        return false;
    }
    *header = token ? g_strconcat("Authorization: ", token, NULL) : NULL;
    return true;
}

bool aws_container_credentials(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error) {
    g_autofree char *url = container_url(client, error), *header = NULL;
    if (!url || !container_token(client, &header, error))
        return false;
    g_auto(Buf) answer = {0};
    if (!ask(client, "GET", url, (const char *const[]){header, NULL}, call, &answer, error))
        return false;
    if (!aws_credentials_read_json(buf_text(&answer), answer.len, credentials, error)) {
        g_prefix_error(error, "%s: ", url);
        return false;
    }
    credentials->source = "container";
    return true;
}
