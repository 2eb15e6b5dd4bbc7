#include "aws/aws_client.h"

#include "aws/aws_client_private.h"
#include "base/backoff.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

// Credentials are read anew so long before they expire.
#define REFRESH_NS (300 * (int64_t)1000000000)
// With less left than this they are not used any more: a request may be that long under way.
#define LEAST_NS (10 * (int64_t)1000000000)
// After a failed refresh nobody asks again so soon.
#define PAUSE_US (2 * G_USEC_PER_SEC)
#define LOOK_US (50 * 1000)
#define MAX_CA ((size_t)4 * 1024 * 1024)
#define CONNECT_US (5 * G_USEC_PER_SEC)
#define METADATA_CONNECT_US (1 * G_USEC_PER_SEC)

// --- Making and freeing ---

static char *text_or_null(const char *text) {
    return text && *text ? g_strdup(text) : NULL;
}

const char *aws_env(const AwsClient *client, const char *name) {
    const char *value = client->environment ? client->environment(name, client->user) : NULL;
    return value && *value ? value : NULL;
}

// The CAs that the user named, NULL for the system's, which OpenSSL itself lets SSL_CERT_FILE name.
static bool read_ca(AwsClient *client, char **pem, GError **error) {
    const char *path = aws_env(client, "AWS_CA_BUNDLE");
    if (!path)
        return true;
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        stoop_error_set_errno(error, errno, "cannot read the CAs in '%s'", path);
        return false;
    }
    g_auto(Buf) text = BUF_INIT(MAX_CA);
    int failed = buf_read_fd(&text, file);
    close(file);
    if (failed && failed != EFBIG) {
        stoop_error_set_errno(error, failed, "cannot read the CAs in '%s'", path);
        return false;
    }
    if (failed || text.len == 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' holds no CAs, or too many", path);
        return false;
    }
    *pem = buf_steal(&text);
    return true;
}

static bool make_transports(AwsClient *client, GError **error) {
    g_autofree char *pem = NULL;
    if (!read_ca(client, &pem, error))
        return false;
    client->own =
        http_client_new(&(HttpClientOptions){.ca_pem = pem, .http1 = true, .connect_timeout_us = CONNECT_US}, error);
    // "" is no proxy: the machine's own address is never reached through one.
    client->own_metadata = client->own
                               ? http_client_new(&(HttpClientOptions){.http1 = true,
                                                                      .proxy = "",
                                                                      .fast_connections = 1,
                                                                      .connect_timeout_us = METADATA_CONNECT_US},
                                                 error)
                               : NULL;
    if (!client->own_metadata)
        return false;
    client->transport = http_client_transport(client->own);
    client->metadata = http_client_transport(client->own_metadata);
    return true;
}

AwsClient *aws_client_new(const AwsClientOptions *options, GError **error) {
    g_autoptr(AwsClient) client = g_new0(AwsClient, 1);
    mutex_init(&client->mutex);
    cond_init(&client->refreshed);
    client->access_key = text_or_null(options->access_key);
    client->secret_key = text_or_null(options->secret_key);
    client->role_arn = text_or_null(options->role_arn);
    client->external_id = text_or_null(options->external_id);
    client->region = text_or_null(options->region);
    client->environment = options->environment;
    client->clock = options->clock ? options->clock : clock_system();
    client->random32 = options->random32 ? options->random32 : backoff_system_random32;
    client->wait_us = options->wait_us ? options->wait_us : backoff_system_wait_us;
    client->user = options->user;
    client->transport = options->transport;
    client->metadata = options->metadata_transport ? options->metadata_transport : options->transport;
    if (!client->access_key != !client->secret_key) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "there is %s without the other",
                    client->access_key ? "an access key" : "a secret key");
        return NULL;
    }
    if (!client->transport && !make_transports(client, error))
        return NULL;
    return g_steal_pointer(&client);
}

void aws_client_free(AwsClient *client) {
    if (!client)
        return;
    http_client_free(client->own);
    http_client_free(client->own_metadata);
    aws_credentials_clear(&client->credentials);
    g_clear_error(&client->failure);
    g_free(client->instance_region);
    g_free(client->identity);
    g_free(client->access_key);
    if (client->secret_key)
        explicit_bzero(client->secret_key, strlen(client->secret_key));
    g_free(client->secret_key);
    g_free(client->role_arn);
    g_free(client->external_id);
    g_free(client->region);
    mutex_destroy(&client->mutex);
    cond_destroy(&client->refreshed);
    g_free(client);
}

// --- Region and endpoint ---

static bool is_region(const char *text) {
    size_t len = text ? strlen(text) : 0;
    return len > 0 && len <= 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

static char *instance_region(AwsClient *client, const AwsCall *call, GError **error) {
    mutex_lock(&client->mutex);
    char *known = g_strdup(client->instance_region);
    mutex_unlock(&client->mutex);
    if (known)
        return known;
    g_autofree char *region = aws_imds_get(client, "/latest/meta-data/placement/region", call, error);
    if (!region)
        return NULL;
    mutex_lock(&client->mutex);
    if (!client->instance_region)
        client->instance_region = g_strdup(region);
    mutex_unlock(&client->mutex);
    return g_steal_pointer(&region);
}

char *aws_client_region(AwsClient *client, const char *wanted, const AwsCall *call, GError **error) {
    g_autofree char *region = text_or_null(wanted);
    if (!region)
        region = g_strdup(client->region);
    if (!region)
        region = g_strdup(aws_env(client, "AWS_REGION"));
    if (!region)
        region = g_strdup(aws_env(client, "AWS_DEFAULT_REGION"));
    if (!region) {
        g_autoptr(GHashTable) profile = aws_chain_profile(client, NULL);
        region = text_or_null(profile ? g_hash_table_lookup(profile, "region") : NULL);
    }
    g_autoptr(GError) failure = NULL;
    if (!region)
        region = instance_region(client, call, &failure);
    if (!region) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "no AWS region: set aws.region or AWS_REGION (no profile names one; the instance: %s)",
                    failure->message);
        return NULL;
    }
    // It becomes a part of a host's name.
    if (!is_region(region)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' is no AWS region", region);
        return NULL;
    }
    return g_steal_pointer(&region);
}

char *aws_client_endpoint(AwsClient *client, const char *service, const char *region, bool *own) {
    const char *ignored = aws_env(client, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    const char *url = NULL;
    if (!ignored || g_ascii_strcasecmp(ignored, "true") != 0) {
        g_autofree char *upper = g_ascii_strup(service, -1);
        g_autofree char *name = g_strconcat("AWS_ENDPOINT_URL_", upper, NULL);
        url = aws_env(client, name);
        if (!url)
            url = aws_env(client, "AWS_ENDPOINT_URL");
    }
    if (own)
        *own = url != NULL;
    if (!url)
        return g_strdup_printf("https://%s.%s.amazonaws.com%s", service, region,
                               g_str_has_prefix(region, "cn-") ? ".cn" : "");
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    return g_strndup(url, len);
}

// --- Credentials, kept ---

static bool lasts(AwsClient *client, int64_t least_ns) {
    const AwsCredentials *now = &client->credentials;
    return now->access_key && !client->outdated &&
           (now->expires_ns == 0 || now->expires_ns - clock_realtime_ns(client->clock) > least_ns);
}

// With the mutex held, which is let go while others are asked.
static void refresh(AwsClient *client, const AwsCall *call) {
    client->refreshing = true;
    mutex_unlock(&client->mutex);
    AwsCredentials fresh = {0};
    GError *failure = NULL;
    bool ok = aws_chain_find(client, call, &fresh, &failure);
    mutex_lock(&client->mutex);
    client->refreshing = false;
    g_clear_error(&client->failure);
    if (ok) {
        aws_credentials_clear(&client->credentials);
        client->credentials = fresh;
        client->outdated = false;
        client->next_us = 0;
    } else {
        // A caller who went away says nothing about the credentials.
        bool own = stoop_error_is(failure, STOOP_ERROR_CANCELLED);
        client->next_us = own ? 0 : clock_monotonic_us(client->clock) + PAUSE_US;
        client->failure = failure;
    }
    cond_broadcast(&client->refreshed);
}

// With the mutex held. False when the caller can wait no longer.
static bool wait_for_refresh(AwsClient *client, const AwsCall *call, GError **error) {
    if (cancel_is_set(call->cancel)) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "cancelled");
        return false;
    }
    if (call->deadline_us > 0 && clock_monotonic_us(client->clock) >= call->deadline_us) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "no AWS credentials in time");
        return false;
    }
    cond_wait_until(&client->refreshed, &client->mutex, clock_monotonic_us(clock_system()) + LOOK_US);
    return true;
}

// With the mutex held.
static bool have_credentials(AwsClient *client, const AwsCall *call, GError **error) {
    for (bool tried = false;;) {
        if (lasts(client, REFRESH_NS))
            return true;
        bool usable = lasts(client, LEAST_NS);
        bool paused = tried || clock_monotonic_us(client->clock) < client->next_us;
        if (usable && (client->refreshing || paused))
            return true;
        if (client->refreshing) {
            if (!wait_for_refresh(client, call, error))
                return false;
            continue;
        }
        if (paused && client->failure) {
            if (error)
                *error = g_error_copy(client->failure);
            return false;
        }
        if (tried)
            return client->credentials.access_key != NULL;
        refresh(client, call);
        tried = true;
    }
}

bool aws_client_credentials(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error) {
    mutex_lock(&client->mutex);
    bool ok = have_credentials(client, call, error);
    if (ok)
        aws_credentials_copy(&client->credentials, credentials);
    mutex_unlock(&client->mutex);
    return ok;
}

// --- Requests ---

static void outdate(AwsClient *client, const AwsCredentials *used) {
    mutex_lock(&client->mutex);
    // Somebody else may have read them anew meanwhile.
    if (g_strcmp0(client->credentials.access_key, used->access_key) == 0 &&
        g_strcmp0(client->credentials.session_token, used->session_token) == 0)
        client->outdated = true;
    mutex_unlock(&client->mutex);
}

bool aws_client_request(AwsClient *client, const AwsRequest *request, const AwsCall *call, HttpResponse *response,
                        bool *sent, GError **error) {
    AwsCall own = *call;
    if (own.deadline_us == 0)
        own.deadline_us = clock_monotonic_us(client->clock) + 30 * G_USEC_PER_SEC;
    for (bool again = false;; again = true) {
        g_auto(AwsCredentials) credentials = {0};
        if (!aws_client_credentials(client, &own, &credentials, error))
            return false;
        GError *failure = NULL;
        if (aws_request_as(client, request, &credentials, &own, response, sent, &failure))
            return true;
        if (again || !aws_says_expired(response)) {
            g_propagate_error(error, failure);
            return false;
        }
        g_error_free(failure);
        outdate(client, &credentials);
        http_response_clear(response);
    }
}
