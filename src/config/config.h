// The configuration: a YAML file, overridden by environment variables (upper case, dots as underscores). Talon's keys
// keep their names and meaning; Stoop's own live beside them.
#pragma once

#include "schema/plugin.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    // Talon's
    char *listen_address;
    int64_t listen_port;
    char **rules_files;
    char *kubeconfig; // "" or NULL: in-cluster service account
    char *log_format; // color, text, json
    bool watch_rules;
    bool print_all_events;
    char **default_notifiers;
    bool deduplication_leader_election; // accepted; Stoop shares work otherwise
    int64_t deduplication_time_window_seconds;
    bool otel_traces_enabled, otel_metrics_enabled, otel_collector_use_insecure_grpc;
    char *otel_collector_endpoint;
    int64_t otel_collector_port, otel_timeout;
    char *aws_role_arn, *aws_external_id, *aws_region, *aws_access_key, *aws_secret_key;
    char *minio_endpoint, *minio_access_key, *minio_secret_key;
    bool minio_use_ssl;
    char *gcp_region, *gcp_credentials_path;
    // Stoop's own
    char *store_path;
    int64_t store_max_pending;
    int64_t store_history_events;
    char **deduplication_volatile_fields;
    int64_t limits_body_bytes, limits_connections, limits_api_calls, limits_workers, limits_long_actions;
    int64_t limits_artifact_bytes; // the size limit of artifacts
    int64_t limits_action_seconds; // 0: each actionner's own deadline
    char *images_tcpdump, *images_sysdig;
    // `notifiers`: settings of each named notifier, decoded by its table, in the catalogue's order; NULL where not
    // configured.
    void **notifier_settings;
    // private
    const Catalogue *catalogue;
} Config;

// All rows, for `param_*`, documents and the JSON Schema. Row names have dots: "deduplication.time_window_seconds".
extern const ParamTable config_table;

// `path` NULL: no file, defaults and environment only. `environment`: "NAME=value", NULL-terminated (environ). Unknown
// keys are warnings, bad values errors, both with their place (for a variable: its name). `..._file` reads a secret's
// file. NULL when there was any error.
//
// A notifier is configured when its block (or a variable, NOTIFIERS_SLACK_WEBHOOK_URL) says something. A block whose
// required settings all stand there empty, as charts write them, is not; one that has no required settings always is.
Config *config_load(const char *path, const char *const *environment, const Catalogue *catalogue, DiagList *diags);
// The JSON Schema of the whole file, `notifiers` included (catalogue NULL: without them). Caller frees.
char *config_json_schema(const Catalogue *catalogue);
// Takes NULL.
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)
