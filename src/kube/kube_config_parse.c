#include "kube/kube_config_parse.h"

#include "base/buf.h"
#include "base/error.h"
#include "kube/kube_config_internal.h"
#include "yaml/yaml.h"

#include <string.h>

// A kubeconfig is small; what the cloud CLIs write has a few KiB for each cluster.
static const YamlLimits LIMITS = {.max_bytes = KUBE_FILE_MAX, .max_depth = 32, .max_nodes = 100000};

// One text on its way to a KubeConfig.
typedef struct {
    KubeConfig *config;
    const char *file;
    char *folder;
    DiagList *diags;
} Parse;

// The text of `key`, or NULL when it is absent, empty or null. A list or a map in its place is an error.
static const char *text_of(Parse *parse, const YamlNode *map, const char *key) {
    const YamlNode *node = yaml_get(map, key);
    if (!node || yaml_is_null(node))
        return NULL;
    if (node->kind != YAML_SCALAR) {
        yaml_diag(parse->diags, DIAG_ERROR, node, "%s must be a text, not %s", key, yaml_kind_name(node->kind));
        return NULL;
    }
    return *node->text ? node->text : NULL;
}

static bool bool_of(Parse *parse, const YamlNode *map, const char *key) {
    const YamlNode *node = yaml_get(map, key);
    bool value = false;
    if (node && !yaml_is_null(node) && !yaml_to_bool(node, &value))
        yaml_diag(parse->diags, DIAG_ERROR, node, "%s must be true or false", key);
    return value;
}

static const YamlNode *child_of(Parse *parse, const YamlNode *map, const char *key, YamlKind kind) {
    const YamlNode *node = yaml_get(map, key);
    if (!node || yaml_is_null(node))
        return NULL;
    if (node->kind == kind)
        return node;
    yaml_diag(parse->diags, DIAG_ERROR, node, "%s must be %s, not %s", key, yaml_kind_name(kind),
              yaml_kind_name(node->kind));
    return NULL;
}

static char *where_of(const YamlNode *node) {
    return g_strdup_printf("%s:%u:%u", node->file, node->line, node->column);
}

static char *in_folder(Parse *parse, const char *name) {
    return g_path_is_absolute(name) ? g_strdup(name) : g_build_filename(parse->folder, name, NULL);
}

static void file_of(Parse *parse, const YamlNode *map, const char *key, KubeFile *file) {
    const char *name = text_of(parse, map, key);
    if (!name)
        return;
    file->path = in_folder(parse, name);
    file->where = where_of(yaml_get(map, key));
    file->what = g_strdup(key);
}

static char *pem_of(Parse *parse, const YamlNode *map, const char *key) {
    const char *encoded = text_of(parse, map, key);
    if (!encoded)
        return NULL;
    const YamlNode *node = yaml_get(map, key);
    if (encoded[strspn(encoded, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= \r\n\t")]) {
        yaml_diag(parse->diags, DIAG_ERROR, node, "%s is no base64", key);
        return NULL;
    }
    gsize len = 0;
    g_autofree guchar *bytes = g_base64_decode(encoded, &len);
    char *pem = g_strndup((const char *)bytes, len);
    if (strlen(pem) == len && strstr(pem, "-----BEGIN "))
        return pem;
    yaml_diag(parse->diags, DIAG_ERROR, node, "%s holds no PEM text after base64 decoding", key);
    g_free(pem);
    return NULL;
}

// Finds `name` in one of the three lists of named things: its inner map, or NULL with a finding.
static const YamlNode *named(Parse *parse, const YamlNode *root, const char *list_key, const char *inner_key,
                             const char *name, const YamlNode *asked_at) {
    const YamlNode *list = child_of(parse, root, list_key, YAML_LIST);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (size_t i = 0; list && i < list->count; i++) {
        const YamlNode *item = list->items[i];
        if (item->kind != YAML_MAP) {
            yaml_diag(parse->diags, DIAG_ERROR, item, "an item of %s must be a map with a name, not %s", list_key,
                      yaml_kind_name(item->kind));
            return NULL;
        }
        const char *its_name = text_of(parse, item, "name");
        if (!its_name)
            continue;
        if (strcmp(its_name, name) == 0)
            return child_of(parse, item, inner_key, YAML_MAP);
        g_ptr_array_add(names, (char *)its_name);
    }
    g_ptr_array_add(names, NULL);
    const char *near = diag_nearest(name, (const char *const *)names->pdata);
    yaml_diag(parse->diags, DIAG_ERROR, asked_at, "%s has no '%s'%s%s%s", list_key, name,
              near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
    return NULL;
}

static void read_server(Parse *parse, const YamlNode *cluster) {
    const char *server = text_of(parse, cluster, "server");
    if (!server) {
        yaml_diag(parse->diags, DIAG_ERROR, cluster, "the cluster has no server");
        return;
    }
    const YamlNode *node = yaml_get(cluster, "server");
    const char *host = NULL;
    if (g_ascii_strncasecmp(server, "https://", 8) == 0)
        host = server + 8;
    else if (g_ascii_strncasecmp(server, "http://", 7) == 0)
        host = server + 7;
    if (!host || !*host || *host == '/') {
        yaml_diag(parse->diags, DIAG_ERROR, node, "server '%s' must look like https://host:port", server);
        return;
    }
    for (const char *c = server; *c; c++) {
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || strchr("?#@\\\"", *c)) {
            yaml_diag(parse->diags, DIAG_ERROR, node, "server must be scheme, host, port and path only");
            return;
        }
    }
    bool tls = host == server + 8;
    char *plain = parse->config->server = g_strconcat(tls ? "https://" : "http://", host, NULL);
    for (size_t len = strlen(plain); plain[len - 1] == '/'; len--)
        plain[len - 1] = '\0';
}

static void read_cluster(Parse *parse, const YamlNode *cluster) {
    KubeConfig *config = parse->config;
    read_server(parse, cluster);
    config->insecure = bool_of(parse, cluster, "insecure-skip-tls-verify");
    config->server_name = g_strdup(text_of(parse, cluster, "tls-server-name"));
    config->proxy = g_strdup(text_of(parse, cluster, "proxy-url"));
    config->ca_pem = pem_of(parse, cluster, "certificate-authority-data");
    if (!config->ca_pem)
        file_of(parse, cluster, "certificate-authority", &config->ca_file);
    if (config->insecure && (config->ca_pem || config->ca_file.path))
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(cluster, "insecure-skip-tls-verify"),
                  "insecure-skip-tls-verify together with a certificate authority: which one is meant?");
}

static bool looks_like_number(const char *text) {
    const char *digits = *text == '-' ? text + 1 : text;
    size_t len = strlen(digits);
    return len > 0 && len <= 15 && strspn(digits, "0123456789") == len && (*digits != '0' || len == 1);
}

static void append_json(Buf *json, const YamlNode *node) {
    bool value;
    switch (node->kind) {
    case YAML_SCALAR:
        if (yaml_is_null(node))
            buf_append_text(json, "null");
        else if (!node->quoted && (!strcmp(node->text, "true") || !strcmp(node->text, "false")) &&
                 yaml_to_bool(node, &value))
            buf_append_text(json, value ? "true" : "false");
        else if (!node->quoted && looks_like_number(node->text))
            buf_append_text(json, node->text);
        else
            buf_append_json_string(json, node->text, strlen(node->text));
        return;
    case YAML_LIST:
        buf_append_char(json, '[');
        for (size_t i = 0; i < node->count; i++) {
            if (i)
                buf_append_char(json, ',');
            append_json(json, node->items[i]);
        }
        buf_append_char(json, ']');
        return;
    case YAML_MAP:
        buf_append_char(json, '{');
        for (size_t i = 0; i < node->count; i++) {
            if (i)
                buf_append_char(json, ',');
            buf_append_json_string(json, node->keys[i]->text, strlen(node->keys[i]->text));
            buf_append_char(json, ':');
            append_json(json, node->items[i]);
        }
        buf_append_char(json, '}');
    }
}

static void append_member(Buf *json, const char *key, const char *text) {
    if (!text)
        return;
    buf_printf(json, ",\"%s\":", key);
    buf_append_json_string(json, text, strlen(text));
}

static void append_cluster(Buf *json, const KubeConfig *config, const char *ca_pem) {
    const char *server = config->server ? config->server : "";
    buf_append_text(json, ",\"cluster\":{\"server\":");
    buf_append_json_string(json, server, strlen(server));
    append_member(json, "tls-server-name", config->server_name);
    if (config->insecure)
        buf_append_text(json, ",\"insecure-skip-tls-verify\":true");
    if (ca_pem) {
        g_autofree char *encoded = g_base64_encode((const guchar *)ca_pem, strlen(ca_pem));
        append_member(json, "certificate-authority-data", encoded);
    }
    append_member(json, "proxy-url", config->proxy);
    if (config->exec->cluster_config) {
        buf_append_text(json, ",\"config\":");
        buf_append_text(json, config->exec->cluster_config);
    }
    buf_append_char(json, '}');
}

void kube_config_set_exec_info(KubeConfig *config, const char *ca_pem) {
    const char *version = config->exec->api_version ? config->exec->api_version : "";
    g_auto(Buf) info = BUF_INIT(16 * KUBE_FILE_MAX);
    buf_append_text(&info, "{\"kind\":\"ExecCredential\",\"apiVersion\":");
    buf_append_json_string(&info, version, strlen(version));
    buf_append_text(&info, ",\"spec\":{\"interactive\":false");
    if (config->exec->cluster_wanted)
        append_cluster(&info, config, ca_pem);
    buf_append_text(&info, "}}");
    g_free(config->exec->info);
    config->exec->info = buf_steal(&info);
}

// The part of the cluster that is meant for plug-ins, as JSON; NULL: none.
static char *cluster_config(Parse *parse, const YamlNode *cluster) {
    const YamlNode *extensions = child_of(parse, cluster, "extensions", YAML_LIST);
    for (size_t i = 0; extensions && i < extensions->count; i++) {
        const YamlNode *name = yaml_get(extensions->items[i], "name");
        const YamlNode *extension = yaml_get(extensions->items[i], "extension");
        if (!extension || !name || name->kind != YAML_SCALAR ||
            strcmp(name->text, "client.authentication.k8s.io/exec") != 0)
            continue;
        g_auto(Buf) json = BUF_INIT(8 * KUBE_FILE_MAX);
        append_json(&json, extension);
        return buf_steal(&json);
    }
    return NULL;
}

static void read_exec_lists(Parse *parse, const YamlNode *node, KubeExec *exec) {
    const YamlNode *args = child_of(parse, node, "args", YAML_LIST);
    for (size_t i = 0; args && i < args->count; i++) {
        if (args->items[i]->kind == YAML_SCALAR)
            g_ptr_array_add(exec->args, g_strdup(args->items[i]->text));
        else
            yaml_diag(parse->diags, DIAG_ERROR, args->items[i], "an item of args must be a text, not %s",
                      yaml_kind_name(args->items[i]->kind));
    }
    const YamlNode *env = child_of(parse, node, "env", YAML_LIST);
    for (size_t i = 0; env && i < env->count; i++) {
        const char *name = text_of(parse, env->items[i], "name");
        const char *value = text_of(parse, env->items[i], "value");
        if (name && !strchr(name, '='))
            g_ptr_array_add(exec->env, g_strconcat(name, "=", value ? value : "", NULL));
        else
            yaml_diag(parse->diags, DIAG_ERROR, env->items[i], "an item of env must have a name and a value");
    }
}

static void read_exec(Parse *parse, const YamlNode *node, const YamlNode *cluster) {
    KubeExec *exec = parse->config->exec = kube_exec_new();
    const char *command = text_of(parse, node, "command");
    const char *version = text_of(parse, node, "apiVersion");
    const char *mode = text_of(parse, node, "interactiveMode");
    exec->where = where_of(node);
    exec->install_hint = g_strdup(text_of(parse, node, "installHint"));
    exec->api_version = g_strdup(version);
    // As kubectl does: a bare name is looked up in PATH, anything with a slash is a path from the kubeconfig's folder.
    exec->command = command && strchr(command, '/') ? in_folder(parse, command) : g_strdup(command);
    if (!command)
        yaml_diag(parse->diags, DIAG_ERROR, node, "exec has no command");
    if (g_strcmp0(version, "client.authentication.k8s.io/v1") != 0 &&
        g_strcmp0(version, "client.authentication.k8s.io/v1beta1") != 0)
        yaml_diag(parse->diags, DIAG_ERROR, version ? yaml_get(node, "apiVersion") : node,
                  "apiVersion of exec must be client.authentication.k8s.io/v1 or client.authentication.k8s.io/v1beta1");
    if (mode && strcmp(mode, "Always") == 0)
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(node, "interactiveMode"),
                  "interactiveMode Always needs somebody at a terminal; Stoop can only run plug-ins that ask nothing");
    else if (mode && strcmp(mode, "Never") != 0 && strcmp(mode, "IfAvailable") != 0)
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(node, "interactiveMode"),
                  "interactiveMode must be Never, IfAvailable or Always");
    read_exec_lists(parse, node, exec);

    exec->cluster_wanted = bool_of(parse, node, "provideClusterInfo");
    if (exec->cluster_wanted)
        exec->cluster_config = cluster_config(parse, cluster);
    kube_config_set_exec_info(parse->config, parse->config->ca_pem);
}

static void read_user(Parse *parse, const YamlNode *user, const YamlNode *cluster) {
    KubeConfig *config = parse->config;
    config->cert_pem = pem_of(parse, user, "client-certificate-data");
    if (!config->cert_pem)
        file_of(parse, user, "client-certificate", &config->cert_file);
    config->key_pem = pem_of(parse, user, "client-key-data");
    if (!config->key_pem)
        file_of(parse, user, "client-key", &config->key_file);
    bool cert = config->cert_pem || config->cert_file.path, key = config->key_pem || config->key_file.path;
    if (cert != key)
        yaml_diag(parse->diags, DIAG_ERROR, user, "the user has %s",
                  cert ? "a client-certificate without a client-key" : "a client-key without a client-certificate");
    config->token = g_strdup(text_of(parse, user, "token"));
    file_of(parse, user, "tokenFile", &config->token_file);
    config->username = g_strdup(text_of(parse, user, "username"));
    config->password = g_strdup(text_of(parse, user, "password"));
    const YamlNode *exec = child_of(parse, user, "exec", YAML_MAP);
    if (exec)
        read_exec(parse, exec, cluster);
    unsigned ways = (config->token || config->token_file.path) + (config->username != NULL) + (exec != NULL);
    if (ways > 1)
        yaml_diag(parse->diags, DIAG_ERROR, user,
                  "the user has more than one of token, username and exec: which one is meant?");
    if (config->username && strchr(config->username, ':'))
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(user, "username"), "username must not contain ':'");
    if (yaml_get(user, "auth-provider"))
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(user, "auth-provider"),
                  "auth-provider is not supported (Kubernetes dropped it in 1.26); use exec");
    if (text_of(parse, user, "as"))
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(user, "as"), "impersonation (as) is not supported");
}

static void read_root(Parse *parse, const YamlNode *root) {
    if (!root || root->kind != YAML_MAP) {
        diag_add(parse->diags, DIAG_ERROR, parse->file, root ? root->line : 0, root ? root->column : 0,
                 "a kubeconfig must be a map, this is %s", root ? yaml_kind_name(root->kind) : "empty");
        return;
    }
    const char *kind = text_of(parse, root, "kind");
    if (kind && strcmp(kind, "Config") != 0)
        yaml_diag(parse->diags, DIAG_ERROR, yaml_get(root, "kind"), "kind is '%s', a kubeconfig has Config", kind);
    const char *current = text_of(parse, root, "current-context");
    if (!current) {
        yaml_diag(parse->diags, DIAG_ERROR, root, "current-context is not set: which of the contexts is meant?");
        return;
    }
    const YamlNode *context = named(parse, root, "contexts", "context", current, yaml_get(root, "current-context"));
    if (!context) {
        if (parse->diags->errors == 0)
            yaml_diag(parse->diags, DIAG_ERROR, root, "context '%s' is empty", current);
        return;
    }
    const char *cluster_name = text_of(parse, context, "cluster"), *user_name = text_of(parse, context, "user");
    parse->config->namespace_name = g_strdup(text_of(parse, context, "namespace"));
    if (!cluster_name) {
        yaml_diag(parse->diags, DIAG_ERROR, context, "context '%s' names no cluster", current);
        return;
    }
    const YamlNode *cluster = named(parse, root, "clusters", "cluster", cluster_name, yaml_get(context, "cluster"));
    if (cluster)
        read_cluster(parse, cluster);
    else if (parse->diags->errors == 0)
        yaml_diag(parse->diags, DIAG_ERROR, context, "cluster '%s' is empty", cluster_name);
    // A user without any credential is fine, as for a cluster that is reached through `kubectl proxy`.
    const YamlNode *user = user_name ? named(parse, root, "users", "user", user_name, yaml_get(context, "user")) : NULL;
    if (user)
        read_user(parse, user, cluster);
}

KubeConfig *kube_config_parse(const char *text, size_t len, const char *file, GError **error) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) doc = yaml_parse(text, len, file, &LIMITS, diags);
    g_autoptr(KubeConfig) config = kube_config_new_empty();
    g_autofree char *folder = g_path_get_dirname(file);
    Parse parse = {.config = config, .file = file, .folder = folder, .diags = diags};
    if (doc)
        read_root(&parse, yaml_root(doc));
    if (diags->errors == 0)
        return g_steal_pointer(&config);
    g_autofree char *findings = diag_list_text(diags);
    g_strchomp(findings);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s", findings);
    return NULL;
}
