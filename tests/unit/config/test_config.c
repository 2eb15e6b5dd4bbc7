#include "config/config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

typedef struct {
    char *webhook_url;
    char *format;
    GPtrArray *custom_headers;
} Chat;

typedef struct {
    bool quiet;
} Plain;

static const char *const formats[] = {"long", "short", NULL};
static const ParamRow chat_rows[] = {
    PARAM_ROW_TEXT(Chat, webhook_url, .required = true, .secret = true, .summary = "Where to."),
    PARAM_ROW_TEXT(Chat, format, .default_value = "long", .choices = formats, .summary = "How much."),
    PARAM_ROW_MAP(Chat, custom_headers, .summary = "Headers to add."),
    PARAM_ROW_END,
};
static const ParamRow plain_rows[] = {PARAM_ROW_BOOL(Plain, quiet, .summary = "Whether it says little."),
                                      PARAM_ROW_END};
static const PluginInfo chat = {
    .name = "chat", .summary = "Chats.", .params = {.size = sizeof(Chat), .rows = chat_rows}};
static const PluginInfo plain = {
    .name = "plain", .summary = "Plain.", .params = {.size = sizeof(Plain), .rows = plain_rows}};
static const PluginInfo *const notifiers[] = {&chat, &plain, NULL};
static const PluginInfo *const none[] = {NULL};
static const Catalogue catalogue = {.plugins = {none, none, notifiers, none}};

static char *folder; // of the test that runs

static Config *load_found(const char *text, const char *const *environment, char **found) {
    g_autofree char *path = g_build_filename(folder, "c", NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    g_autoptr(DiagList) diags = diag_list_new();
    Config *config = config_load(path, environment, &catalogue, diags);
    g_assert_true((config == NULL) == (diags->errors > 0));
    g_autofree char *said = diag_list_text(diags);
    g_autoptr(GString) shorter = g_string_new(said);
    g_string_replace(shorter, path, "c", 0);
    *found = g_strdup(shorter->str);
    g_unlink(path);
    return config;
}

static Config *load(const char *text, const char *const *environment) {
    g_autofree char *found = NULL;
    Config *config = load_found(text, environment, &found);
    g_assert_cmpstr(found, ==, "");
    return config;
}

static void check_said(const char *text, const char *const *environment, bool good, const char *expected) {
    g_autofree char *found = NULL;
    g_autoptr(Config) config = load_found(text, environment, &found);
    g_assert_cmpstr(found, ==, expected);
    g_assert_true((config != NULL) == good);
}

#define ENVIRONMENT(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(Config) config = config_load(NULL, NULL, NULL, diags);
    g_assert_nonnull(config);
    g_assert_cmpuint(diags->items->len, ==, 0);
    g_assert_cmpstr(config->listen_address, ==, "0.0.0.0");
    g_assert_cmpint(config->listen_port, ==, 2803);
    g_assert_cmpstrv(config->rules_files, ENVIRONMENT("/etc/falco-talon/rules.yaml"));
    g_assert_null(config->kubeconfig);
    g_assert_cmpstr(config->log_format, ==, "color");
    g_assert_true(config->watch_rules);
    g_assert_false(config->print_all_events);
    g_assert_cmpuint(g_strv_length(config->default_notifiers), ==, 0);
    g_assert_true(config->deduplication_leader_election);
    g_assert_cmpint(config->deduplication_time_window_seconds, ==, 5);
    g_assert_cmpstrv(config->deduplication_volatile_fields,
                     ENVIRONMENT("evt.time*", "evt.rawtime*", "evt.num", "evt.latency*", "thread.tid"));
    g_assert_false(config->otel_traces_enabled);
    g_assert_false(config->otel_metrics_enabled);
    g_assert_false(config->otel_collector_use_insecure_grpc);
    g_assert_cmpstr(config->otel_collector_endpoint, ==, "localhost");
    g_assert_cmpint(config->otel_collector_port, ==, 4317);
    g_assert_cmpint(config->otel_timeout, ==, 10);
    g_assert_null(config->aws_region);
    g_assert_false(config->minio_use_ssl);
    g_assert_cmpstr(config->store_path, ==, "/var/lib/stoop/store.db");
    g_assert_cmpint(config->store_max_pending, ==, 1000000);
    g_assert_cmpint(config->limits_body_bytes, ==, 1048576);
    g_assert_cmpint(config->limits_api_calls, ==, 64);
    g_assert_cmpint(config->limits_action_seconds, ==, 0);
    g_assert_true(g_str_has_prefix(config->images_tcpdump, "docker.io/"));
    g_assert_true(g_str_has_prefix(config->images_sysdig, "docker.io/sysdig/sysdig:"));
    config_free(NULL);
}

static void test_empty_file(void) {
    static const char *const texts[] = {"", "# nothing\n", "---\n", "otel:\nnotifiers:\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(Config) config = load(texts[i], NULL);
        g_assert_cmpint(config->listen_port, ==, 2803);
    }
}

// As charts write it: "" for what they leave open.
static void test_blanks(void) {
    g_autoptr(Config) config = load("listen_address: ''\nlisten_port: ''\nlog_format: ''\nkubeconfig: ''\n"
                                    "default_notifiers: []\nstore: {path: ''}\n"
                                    "otel: {collector_endpoint: '', collector_port: '4317', traces_enabled: ''}\n",
                                    NULL);
    g_assert_cmpstr(config->listen_address, ==, "0.0.0.0");
    g_assert_cmpint(config->listen_port, ==, 2803);
    g_assert_cmpstr(config->log_format, ==, "color");
    g_assert_cmpstr(config->otel_collector_endpoint, ==, "localhost");
    g_assert_cmpint(config->otel_collector_port, ==, 4317);
    g_assert_cmpstr(config->store_path, ==, "/var/lib/stoop/store.db");
}

static void test_file(void) {
    g_autoptr(Config) config = load("listen_address: 127.0.0.1\n"
                                    "listen_port: \"0\"\n"
                                    "rules_files:\n- rules/a.yaml\n- ./b.yaml\n"
                                    "kubeconfig: \"\"\n"
                                    "log_format: JSON\n"
                                    "watch_rules: false\n"
                                    "default_notifiers: [chat]\n"
                                    "deduplication:\n  leader_election: no\n  time_window_seconds: 60\n"
                                    "otel: {traces_enabled: true, collector_endpoint: otel, collector_port: 1}\n"
                                    "aws: {role_arn: r, external_id: e, region: eu, access_key: a, secret_key: s}\n"
                                    "minio: {endpoint: 'm:9000', access_key: a, secret_key: s, use_ssl: true}\n"
                                    "gcp: {region: g, credentials_path: /g}\n"
                                    "store: {path: s.db, max_pending: 5}\n"
                                    "limits: {body_bytes: 2048}\n"
                                    "notifiers: {chat: {webhook_url: 'https://x', format: Short}}\n",
                                    NULL);
    g_assert_cmpint(config->listen_port, ==, 0);
    g_assert_cmpstrv(config->rules_files, ENVIRONMENT("rules/a.yaml", "./b.yaml"));
    g_assert_cmpstr(config->kubeconfig, ==, "");
    g_assert_cmpstr(config->log_format, ==, "json");
    g_assert_false(config->watch_rules);
    g_assert_false(config->deduplication_leader_election);
    g_assert_cmpint(config->deduplication_time_window_seconds, ==, 60);
    g_assert_true(config->otel_traces_enabled);
    g_assert_cmpstr(config->otel_collector_endpoint, ==, "otel");
    g_assert_cmpstr(config->aws_secret_key, ==, "s");
    g_assert_true(config->minio_use_ssl);
    g_assert_cmpstr(config->gcp_credentials_path, ==, "/g");
    g_assert_cmpstr(config->store_path, ==, "s.db");
    g_assert_cmpint(config->store_max_pending, ==, 5);
    g_assert_cmpint(config->limits_body_bytes, ==, 2048);
    const Chat *settings = config->notifier_settings[0];
    g_assert_cmpstr(settings->webhook_url, ==, "https://x");
    g_assert_cmpstr(settings->format, ==, "short");
}

static void test_bad_files(void) {
    check_said("- a\n", NULL, false, "c:1:1: error: the configuration must be a map, found a list\n");
    check_said("listen_port: 70000\nlog_format: xml\n", NULL, false,
               "c:1:14: error: listen_port: must be from 0 to 65535, found \"70000\"\n"
               "c:2:13: error: log_format: must be one of color, text, json, found \"xml\"\n");
    check_said("otel: true\n", NULL, false, "c:1:7: error: otel: must be a map, found a text\n");
    check_said("rules_files: [a, '']\n", NULL, false, "c:1:18: error: rules_files: \"\" must not be empty\n");
    check_said("listen_prt: 1\n", NULL, true,
               "c:1:1: warning: unknown key \"listen_prt\": did you mean listen_port?\n");
    check_said("otel: {trace_enabled: 1}\n", NULL, true,
               "c:1:8: warning: otel: unknown key \"trace_enabled\": did you mean traces_enabled?\n");
    check_said("a: [\n", NULL, false,
               "c:2:1: error: not valid YAML: a value is missing here, or a ',' or a bracket is one too many (while "
               "parsing a flow node that starts at line 2)\n");
    g_autoptr(DiagList) diags = diag_list_new();
    g_assert_null(config_load("/nowhere/config.yaml", NULL, &catalogue, diags));
    g_autofree char *said = diag_list_text(diags);
    g_assert_cmpstr(said, ==, "/nowhere/config.yaml: error: cannot be opened: No such file or directory\n");
    g_assert_null(config_load("/nowhere/config.yaml", NULL, &catalogue, NULL));
}

static void test_environment(void) {
    g_autoptr(Config) config =
        load("listen_port: 1\nlog_format: bad in the file\naws: {region: file, role_arn: kept}\n",
             ENVIRONMENT("LISTEN_PORT=9", "OTEL_TRACES_ENABLED=true", "RULES_FILES=a.yaml, b.yaml", "LOG_FORMAT=text",
                         "AWS_REGION=eu-west-1", "KUBECONFIG=", "GCP_REGION", "LISTEN_PORT=10", "HOME=/root",
                         "MINIO_ENDPOINT=null"));
    g_assert_cmpint(config->listen_port, ==, 9);
    g_assert_true(config->otel_traces_enabled);
    g_assert_cmpstrv(config->rules_files, ENVIRONMENT("a.yaml", "b.yaml"));
    g_assert_cmpstr(config->log_format, ==, "text");
    g_assert_cmpstr(config->aws_region, ==, "eu-west-1");
    g_assert_cmpstr(config->aws_role_arn, ==, "kept");
    g_assert_null(config->kubeconfig);
    g_assert_null(config->gcp_region);
    g_assert_cmpstr(config->minio_endpoint, ==, "null");
}

// AWS_ROLE_ARN is the configuration's, but for a pod that has a web identity.
static void test_role_of_a_web_identity(void) {
    g_autoptr(Config) own = load("aws: {role_arn: file}\n", ENVIRONMENT("AWS_ROLE_ARN=own"));
    g_assert_cmpstr(own->aws_role_arn, ==, "own");
    g_autoptr(Config) pod =
        load("aws: {role_arn: file}\n", ENVIRONMENT("AWS_ROLE_ARN=own", "AWS_WEB_IDENTITY_TOKEN_FILE=/token"));
    g_assert_cmpstr(pod->aws_role_arn, ==, "file");
}

static void test_bad_environment(void) {
    check_said("", ENVIRONMENT("LISTEN_PORT=x", "WATCH_RULES=maybe"), false,
               "environment variable LISTEN_PORT: error: listen_port: must be a whole number, found \"x\"\n"
               "environment variable WATCH_RULES: error: watch_rules: must be true or false, found \"maybe\"\n");
    check_said("", ENVIRONMENT("AWS_REGION=\xFF"), false,
               "environment variable AWS_REGION: error: aws.region: the value is not valid UTF-8\n");
    // What Kubernetes itself sets for a Service called otel-collector.
    check_said(
        "", ENVIRONMENT("OTEL_COLLECTOR_PORT=tcp://10.96.0.7:4317"), true,
        "environment variable OTEL_COLLECTOR_PORT: warning: left out: it is the address of a Kubernetes Service, "
        "not the setting otel.collector_port\n");
    // As Talon's own example spells it.
    check_said("kubeConfig: /x\n", NULL, true, "c:1:1: warning: kubeConfig is an old name: write kubeconfig\n");
    check_said("", ENVIRONMENT("AWS_SECRET_KEY=s", "AWS_SECRET_KEY_FILE=/x"), false,
               "environment variable AWS_SECRET_KEY_FILE: error: aws.secret_key: is given twice: as aws.secret_key in "
               "environment variable AWS_SECRET_KEY and as aws.secret_key_file in environment variable "
               "AWS_SECRET_KEY_FILE\n");
}

static void test_secret_files(void) {
    g_autofree char *path = g_build_filename(folder, "key", NULL);
    g_assert_true(g_file_set_contents(path, "hidden\n", -1, NULL));
    g_autofree char *text = g_strdup_printf("aws: {secret_key_file: %s}\n", path);
    g_autoptr(Config) config = load(text, NULL);
    g_assert_cmpstr(config->aws_secret_key, ==, "hidden");
    // A variable takes the place of the file's key, in whichever form.
    g_autofree char *variable = g_strdup_printf("MINIO_SECRET_KEY_FILE=%s", path);
    g_autoptr(Config) other = load("minio: {secret_key: old}\n", ENVIRONMENT(variable));
    g_assert_cmpstr(other->minio_secret_key, ==, "hidden");
    g_unlink(path);
    check_said("aws: {secret_key_file: /nowhere}\n", NULL, false,
               "c:1:24: error: aws.secret_key_file: cannot open /nowhere: No such file or directory\n");
}

static void test_notifiers(void) {
    // One without required settings is always configured; one with is not, unless something is said about it.
    g_autoptr(Config) nothing = load("", NULL);
    g_assert_null(nothing->notifier_settings[0]);
    g_assert_nonnull(nothing->notifier_settings[1]);
    // A block as charts write it.
    g_autoptr(Config) chart = load("notifiers:\n  chat:\n    webhook_url: ''\n    format: long\n  plain:\n", NULL);
    g_assert_null(chart->notifier_settings[0]);
    g_assert_nonnull(chart->notifier_settings[1]);

    g_autoptr(Config) variables =
        load("notifiers: {chat: {webhook_url: '', format: short}}\n",
             ENVIRONMENT("NOTIFIERS_CHAT_WEBHOOK_URL=https://x", "NOTIFIERS_CHAT_CUSTOM_HEADERS=X-A: 1:2, X-B:3"));
    const Chat *settings = variables->notifier_settings[0];
    g_assert_cmpstr(settings->webhook_url, ==, "https://x");
    g_assert_cmpstr(settings->format, ==, "short");
    g_assert_cmpuint(settings->custom_headers->len, ==, 2);
    const ParamPair *header = g_ptr_array_index(settings->custom_headers, 0);
    g_assert_cmpstr(header->key, ==, "X-A");
    g_assert_cmpstr(header->value, ==, "1:2");
}

static void test_bad_notifiers(void) {
    check_said("notifiers: [chat]\n", NULL, false, "c:1:12: error: notifiers: must be a map, found a list\n");
    check_said("notifiers: {chta: {a: b}, other: 1}\n", NULL, true,
               "c:1:13: warning: notifiers: there is no notifier \"chta\": did you mean chat?\n"
               "c:1:27: warning: notifiers: there is no notifier \"other\"\n");
    check_said("notifiers: {chat: {webhok_url: x}}\n", NULL, false,
               "c:1:20: warning: notifiers: chat: unknown key \"webhok_url\": did you mean webhook_url?\n"
               "c:1:19: error: notifiers: chat: webhook_url is required: Where to.\n");
    check_said("notifiers: {chat: 5}\n", NULL, false,
               "c:1:19: error: notifiers: chat: the parameters must be a map, found a text\n"
               "c:1:19: error: notifiers: chat: webhook_url is required: Where to.\n");
    check_said("default_notifiers: [plan, chat, plain, zebra]\n", NULL, true,
               "c: warning: default_notifiers: there is no notifier \"plan\": did you mean plain?\n"
               "c: warning: default_notifiers: chat has no settings under notifiers, so nobody will be told\n"
               "c: warning: default_notifiers: there is no notifier \"zebra\"\n");
    check_said("", ENVIRONMENT("NOTIFIERS_CHAT_WEBHOOK_URL=x", "NOTIFIERS_CHAT_CUSTOM_HEADERS=abc"), false,
               "environment variable NOTIFIERS_CHAT_CUSTOM_HEADERS: error: custom_headers: must be written as "
               "key:value,key:value\n");
    // Errors of both parts at once.
    check_said("listen_port: x\nnotifiers: {chat: {webhook_url: y, format: z}}\n", NULL, false,
               "c:1:14: error: listen_port: must be a whole number, found \"x\"\n"
               "c:2:44: error: notifiers: chat: format: must be one of long, short, found \"z\"\n");
}

static void test_table(void) {
    g_autofree char *problem = param_table_problem(&config_table);
    g_assert_cmpstr(problem, ==, NULL);
}

// Every field has its row: none is left out when the struct grows.
static void test_every_field(void) {
    size_t covered = 0;
    for (const ParamRow *row = config_table.rows; row->name; row++)
        covered += row->type == PARAM_BOOL ? sizeof(bool) : 8;
    size_t private_part = sizeof(Config) - G_STRUCT_OFFSET(Config, notifier_settings);
    size_t padding = sizeof(Config) - private_part - covered;
    // Runs of bools end in padding, of which there are four at most seven bytes long.
    g_assert_cmpuint(padding, <, 4 * 8);
}

static void test_json_schema(void) {
    g_autofree char *text = config_json_schema(&catalogue);
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    g_assert_nonnull(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    g_assert_cmpint(yyjson_get_int(yyjson_ptr_get(root, "/properties/listen_port/default")), ==, 2803);
    g_assert_cmpint(
        yyjson_get_int(yyjson_ptr_get(root, "/properties/deduplication/properties/time_window_seconds/default")), ==,
        5);
    g_assert_nonnull(yyjson_ptr_get(root, "/properties/aws/properties/secret_key_file"));
    g_assert_nonnull(yyjson_ptr_get(root, "/properties/notifiers/properties/chat/properties/webhook_url"));
    yyjson_doc_free(doc);
}

static void in_folder(gconstpointer data) {
    void (*test)(void) = *(void (*const *)(void))data;
    folder = g_dir_make_tmp("stoop-config-XXXXXX", NULL);
    test();
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_clear_pointer(&folder, g_free);
}

static const struct {
    const char *path;
    void (*test)(void);
} tests[] = {
    {"/config/defaults", test_defaults},
    {"/config/empty-file", test_empty_file},
    {"/config/file", test_file},
    {"/config/blanks", test_blanks},
    {"/config/bad-files", test_bad_files},
    {"/config/environment", test_environment},
    {"/config/bad-environment", test_bad_environment},
    {"/config/web-identity-role", test_role_of_a_web_identity},
    {"/config/secret-files", test_secret_files},
    {"/config/notifiers", test_notifiers},
    {"/config/bad-notifiers", test_bad_notifiers},
    {"/config/table", test_table},
    {"/config/every-field", test_every_field},
    {"/config/json-schema", test_json_schema},
};

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(tests); i++)
        g_test_add_data_func(tests[i].path, &tests[i].test, in_folder);
    return g_test_run();
}
