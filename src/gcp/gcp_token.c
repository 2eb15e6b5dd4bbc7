// Tokens: from the token endpoint of a key file, or from the metadata server.
#include "base/error.h"
#include "gcp/gcp_client_private.h"

#include <string.h>
#include <yyjson.h>

#define GRANT_JWT "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer"
#define METADATA_HOST "metadata.google.internal"
enum { MOST_TOKENS = 64, ID_TOKEN_S = 3600, SPARE_S = 120 };
static const int64_t FETCH_US = 10 * G_USEC_PER_SEC;

static void add_form_value(GString *form, const char *name, const char *value) {
    g_string_append_printf(form, "%s%s=", form->len ? "&" : "", name);
    http_append_escaped(form, value);
}

static char *metadata_url(const GcpClient *client, const char *path) {
    const char *host = gcp_environment(client, "GCE_METADATA_HOST");
    return g_strdup_printf("http://%s/computeMetadata/v1/%s", host ? host : METADATA_HOST, path);
}

static bool ask_metadata(GcpClient *client, const char *path, const GcpCall *call, HttpResponse *response,
                         GError **error) {
    g_autofree char *url = metadata_url(client, path);
    GcpRequest request = {.method = "GET", .url = url, .headers = (const char *[]){"Metadata-Flavor: Google", NULL}};
    if (gcp_send(client, &request, NULL, true, call, response, NULL, error))
        return true;
    g_prefix_error(error, "there is no key file, and the metadata server gave nothing: ");
    return false;
}

// The body's `name`, and how long it holds. False with an error when it has none.
static bool read_token(const HttpResponse *response, const char *name, char **token, int64_t *seconds, GError **error) {
    yyjson_doc *doc = response->body.len ? yyjson_read(response->body.data, response->body.len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *text = yyjson_get_str(yyjson_obj_get(root, name));
    yyjson_val *life = yyjson_obj_get(root, "expires_in");
    // It becomes a part of a header.
    bool good = text && *text && text[strcspn(text, " \t\r\n")] == '\0';
    if (good) {
        *token = g_strdup(text);
        *seconds = yyjson_is_int(life) ? yyjson_get_sint(life) : ID_TOKEN_S;
    } else {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the answer of the token endpoint has no %s", name);
    }
    yyjson_doc_free(doc);
    return good;
}

static bool exchange(GcpClient *client, const GcpKey *key, GString *form, const char *name, const GcpCall *call,
                     char **token, int64_t *seconds, GError **error) {
    GcpRequest request = {.method = "POST",
                          .url = key->token_uri,
                          .headers = (const char *[]){"Content-Type: application/x-www-form-urlencoded", NULL},
                          .body = form->str,
                          .body_len = form->len};
    g_auto(HttpResponse) response = {0};
    if (gcp_send(client, &request, NULL, false, call, &response, NULL, error) &&
        read_token(&response, name, token, seconds, error))
        return true;
    g_prefix_error(error, "Stoop cannot sign in to Google Cloud: ");
    return false;
}

static bool token_of_account(GcpClient *client, const GcpKey *key, const char *audience, const GcpCall *call,
                             char **token, int64_t *seconds, GError **error) {
    g_autofree char *jwt = gcp_jwt(key, audience, clock_realtime_ns(client->clock) / 1000000000, error);
    if (!jwt)
        return false;
    g_autoptr(GString) form = g_string_new("grant_type=" GRANT_JWT);
    add_form_value(form, "assertion", jwt);
    return exchange(client, key, form, audience ? "id_token" : "access_token", call, token, seconds, error);
}

static bool token_of_user(GcpClient *client, const GcpKey *key, const char *audience, const GcpCall *call, char **token,
                          int64_t *seconds, GError **error) {
    if (audience) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "a user's credentials give no ID token for a function: give the key of a service account");
        return false;
    }
    g_autoptr(GString) form = g_string_new("grant_type=refresh_token");
    add_form_value(form, "client_id", key->client_id);
    add_form_value(form, "client_secret", key->client_secret);
    add_form_value(form, "refresh_token", key->refresh_token);
    return exchange(client, key, form, "access_token", call, token, seconds, error);
}

static bool token_of_machine(GcpClient *client, const char *audience, const GcpCall *call, char **token,
                             int64_t *seconds, GError **error) {
    g_auto(HttpResponse) response = {0};
    if (!audience)
        return ask_metadata(client, "instance/service-accounts/default/token", call, &response, error) &&
               read_token(&response, "access_token", token, seconds, error);
    g_autoptr(GString) path = g_string_new("instance/service-accounts/default/identity?format=full&audience=");
    http_append_escaped(path, audience);
    if (!ask_metadata(client, path->str, call, &response, error))
        return false;
    g_autofree char *text = g_strstrip(g_strdup(buf_text(&response.body)));
    if (!*text || text[strcspn(text, " \t\r\n")] != '\0') {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the metadata server's ID token is none");
        return false;
    }
    *token = g_steal_pointer(&text);
    *seconds = ID_TOKEN_S;
    return true;
}

static bool fetch(GcpClient *client, const char *audience, const GcpCall *call, char **token, int64_t *seconds,
                  GError **error) {
    g_auto(GcpKey) key = {.kind = GCP_KEY_NONE};
    if (!gcp_key_load(client, &key, error))
        return false;
    switch (key.kind) {
    case GCP_KEY_SERVICE_ACCOUNT:
        return token_of_account(client, &key, audience, call, token, seconds, error);
    case GCP_KEY_USER:
        return token_of_user(client, &key, audience, call, token, seconds, error);
    default:
        return token_of_machine(client, audience, call, token, seconds, error);
    }
}

static char *kept_token(GcpClient *client, const char *name, int64_t now_us) {
    mutex_lock(&client->lock);
    const GcpToken *kept = g_hash_table_lookup(client->tokens, name);
    char *token = kept && kept->until_us > now_us ? g_strdup(kept->text) : NULL;
    mutex_unlock(&client->lock);
    return token;
}

static void keep_token(GcpClient *client, const char *name, const char *text, int64_t until_us) {
    GcpToken *token = g_new0(GcpToken, 1);
    *token = (GcpToken){g_strdup(text), until_us};
    mutex_lock(&client->lock);
    if (g_hash_table_size(client->tokens) >= MOST_TOKENS)
        g_hash_table_remove_all(client->tokens);
    g_hash_table_replace(client->tokens, g_strdup(name), token);
    mutex_unlock(&client->lock);
}

// `audience` NULL: an access token. Some threads may fetch the same one at the same time, which is no harm.
static bool get_token(GcpClient *client, const char *audience, const GcpCall *call, char **token, GError **error) {
    const char *name = audience ? audience : "";
    int64_t now_us = clock_monotonic_us(client->clock), seconds = 0;
    char *kept = kept_token(client, name, now_us);
    if (kept) {
        *token = kept;
        return true;
    }
    GcpCall bounded = {.deadline_us = MIN(gcp_deadline_us(client, call), now_us + FETCH_US),
                       .cancel = call ? call->cancel : NULL};
    g_autofree char *fetched = NULL;
    if (!fetch(client, audience, &bounded, &fetched, &seconds, error))
        return false;
    if (seconds > SPARE_S)
        keep_token(client, name, fetched, now_us + MIN(seconds - SPARE_S, ID_TOKEN_S) * G_USEC_PER_SEC);
    *token = g_steal_pointer(&fetched);
    return true;
}

bool gcp_access_token(GcpClient *client, const GcpCall *call, char **token, GError **error) {
    return get_token(client, NULL, call, token, error);
}

bool gcp_id_token(GcpClient *client, const char *audience, const GcpCall *call, char **token, GError **error) {
    return get_token(client, audience, call, token, error);
}

void gcp_forget_tokens(GcpClient *client) {
    mutex_lock(&client->lock);
    g_hash_table_remove_all(client->tokens);
    mutex_unlock(&client->lock);
}

bool gcp_project(GcpClient *client, const GcpCall *call, char **project, GError **error) {
    const char *named = gcp_environment(client, "GOOGLE_CLOUD_PROJECT");
    g_auto(GcpKey) key = {.kind = GCP_KEY_NONE};
    if (!named && !gcp_key_load(client, &key, error))
        return false;
    if (named || key.project) {
        *project = g_strdup(named ? named : key.project);
        return true;
    }
    if (key.kind != GCP_KEY_NONE) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "the credentials name no project: set GOOGLE_CLOUD_PROJECT");
        return false;
    }
    g_auto(HttpResponse) response = {0};
    if (!ask_metadata(client, "project/project-id", call, &response, error))
        return false;
    *project = g_strstrip(g_strdup(buf_text(&response.body)));
    return true;
}
