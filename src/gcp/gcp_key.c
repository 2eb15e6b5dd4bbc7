// Key files, as the console and gcloud write them.
#include "base/error.h"
#include "gcp/gcp_client_private.h"

#include <string.h>
#include <yyjson.h>

enum { KEY_MAX = 1 << 20 };

void gcp_key_clear(GcpKey *key) {
    g_free(key->email);
    g_free(key->private_key);
    g_free(key->private_key_id);
    g_free(key->token_uri);
    g_free(key->project);
    g_free(key->client_id);
    g_free(key->client_secret);
    g_free(key->refresh_token);
    *key = (GcpKey){.kind = GCP_KEY_NONE};
}

// False with an error where it is missing.
static bool take(yyjson_val *root, const char *name, const char *path, char **value, GError **error) {
    yyjson_val *found = yyjson_obj_get(root, name);
    if (yyjson_is_str(found) && yyjson_get_len(found) > 0 && strlen(yyjson_get_str(found)) == yyjson_get_len(found)) {
        *value = g_strdup(yyjson_get_str(found));
        return true;
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s: has no '%s'", path, name);
    return false;
}

static char *optional(yyjson_val *root, const char *name) {
    return g_strdup(yyjson_get_str(yyjson_obj_get(root, name)));
}

static bool is_url(const char *text) {
    return g_str_has_prefix(text, "https://") || g_str_has_prefix(text, "http://");
}

static bool read_service_account(yyjson_val *root, const char *path, GcpKey *key, GError **error) {
    key->kind = GCP_KEY_SERVICE_ACCOUNT;
    key->private_key_id = optional(root, "private_key_id");
    key->project = optional(root, "project_id");
    if (!take(root, "client_email", path, &key->email, error) ||
        !take(root, "private_key", path, &key->private_key, error) ||
        !take(root, "token_uri", path, &key->token_uri, error))
        return false;
    if (is_url(key->token_uri))
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s: token_uri is no URL", path);
    return false;
}

static bool read_user(yyjson_val *root, const char *path, GcpKey *key, GError **error) {
    key->kind = GCP_KEY_USER;
    key->project = optional(root, "quota_project_id");
    key->token_uri = optional(root, "token_uri");
    if (!key->token_uri || !is_url(key->token_uri)) {
        g_free(key->token_uri);
        key->token_uri = g_strdup("https://oauth2.googleapis.com/token");
    }
    return take(root, "client_id", path, &key->client_id, error) &&
           take(root, "client_secret", path, &key->client_secret, error) &&
           take(root, "refresh_token", path, &key->refresh_token, error);
}

static bool read_key(yyjson_val *root, const char *path, GcpKey *key, GError **error) {
    const char *type = yyjson_get_str(yyjson_obj_get(root, "type"));
    if (g_strcmp0(type, "service_account") == 0)
        return read_service_account(root, path, key, error);
    if (g_strcmp0(type, "authorized_user") == 0)
        return read_user(root, path, key, error);
    g_set_error(
        error, STOOP_ERROR, STOOP_ERROR_INVALID,
        "%s: credentials of the type '%s' are not supported: give the key of a service account, or none and let "
        "the metadata server say who Stoop is",
        path, type ? type : "(none)");
    return false;
}

bool gcp_key_parse(const char *text, size_t len, const char *path, GcpKey *key, GError **error) {
    g_auto(GcpKey) read = {.kind = GCP_KEY_NONE};
    yyjson_doc *doc = len > 0 && len <= KEY_MAX ? yyjson_read(text, len, 0) : NULL;
    bool ok = false;
    if (!doc || !yyjson_is_obj(yyjson_doc_get_root(doc)))
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s: is no JSON object", path);
    else
        ok = read_key(yyjson_doc_get_root(doc), path, &read, error);
    yyjson_doc_free(doc);
    if (!ok)
        return false;
    *key = read;
    memset(&read, 0, sizeof read);
    return true;
}

bool gcp_key_load(const GcpClient *client, GcpKey *key, GError **error) {
    const char *named =
        client->credentials_path ? client->credentials_path : gcp_environment(client, "GOOGLE_APPLICATION_CREDENTIALS");
    const char *home = gcp_environment(client, "HOME");
    g_autofree char *path = named  ? g_strdup(named)
                            : home ? g_strconcat(home, "/.config/gcloud/application_default_credentials.json", NULL)
                                   : NULL;
    if (!named && (!path || !g_file_test(path, G_FILE_TEST_EXISTS))) {
        *key = (GcpKey){.kind = GCP_KEY_NONE};
        return true;
    }
    g_autofree char *text = NULL;
    gsize len = 0;
    g_autoptr(GError) failed = NULL;
    if (!g_file_get_contents(path, &text, &len, &failed)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_IO, "the credentials of Google Cloud: %s", failed->message);
        return false;
    }
    return gcp_key_parse(text, len, path, key, error);
}
