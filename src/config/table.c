// Every key of the configuration, except `notifiers`, whose rows stand with the notifiers.
#include "config/config.h"

static char *not_empty(const char *text) {
    return *text ? NULL : g_strdup("must not be empty");
}

static const char *const log_formats[] = {"color", "text", "json", NULL};

#define TEXT(field, key, ...) PARAM_ROW_NAMED(Config, field, key, PARAM_TEXT, char *, __VA_ARGS__)
#define INT(field, key, ...) PARAM_ROW_NAMED(Config, field, key, PARAM_INT, int64_t, __VA_ARGS__)
#define BOOL(field, key, ...) PARAM_ROW_NAMED(Config, field, key, PARAM_BOOL, bool, __VA_ARGS__)
#define LIST(field, key, ...) PARAM_ROW_NAMED(Config, field, key, PARAM_LIST, char **, __VA_ARGS__)

static const ParamRow config_rows[] = {
    TEXT(listen_address, "listen_address", .default_value = "0.0.0.0", .check = not_empty,
         .summary = "The address that events are received on."),
    INT(listen_port, "listen_port", .default_value = "2803", PARAM_RANGE(0, 65535),
        .summary = "The port that events are received on; 0 takes any free one."),
    LIST(rules_files, "rules_files", .default_value = "/etc/falco-talon/rules.yaml", .check = not_empty,
         .summary = "The rules files; later ones override earlier ones."),
    TEXT(kubeconfig, "kubeconfig", .old_names = (const char *const[]){"kubeConfig", NULL}, // as Talon's example has it
         .summary = "The kubeconfig file; empty: the service account of the pod that Stoop runs in."),
    TEXT(log_format, "log_format", .default_value = "color", .choices = log_formats,
         .summary = "How log lines are written."),
    BOOL(watch_rules, "watch_rules", .default_value = "true", .summary = "Whether changed rules files are reloaded."),
    BOOL(print_all_events, "print_all_events", .default_value = "false",
         .summary = "Whether events that match no rule are logged too."),
    LIST(default_notifiers, "default_notifiers", .check = not_empty,
         .summary = "The notifiers that are told of the results of every rule."),

    BOOL(deduplication_leader_election, "deduplication.leader_election", .default_value = "true",
         .summary = "Accepted for Talon's sake; replicas share their work without a leader."),
    INT(deduplication_time_window_seconds, "deduplication.time_window_seconds", .default_value = "5",
        PARAM_RANGE(0, 86400), .unit = "s", .summary = "How long an equal event counts as a duplicate; 0: never."),
    LIST(deduplication_volatile_fields, "deduplication.volatile_fields",
         .default_value = "evt.time*,evt.rawtime*,evt.num,evt.latency*,thread.tid", .check = not_empty,
         .summary = "Output fields that do not tell two events apart; a * at the end stands for any rest."),

    BOOL(otel_traces_enabled, "otel.traces_enabled", .default_value = "false", .summary = "Whether traces are sent."),
    BOOL(otel_metrics_enabled, "otel.metrics_enabled", .default_value = "false",
         .summary = "Whether metrics are sent."),
    TEXT(otel_collector_endpoint, "otel.collector_endpoint", .default_value = "localhost", .check = not_empty,
         .summary = "The host of the OpenTelemetry collector."),
    INT(otel_collector_port, "otel.collector_port", .default_value = "4317", PARAM_RANGE(1, 65535),
        .summary = "The port of the OpenTelemetry collector."),
    BOOL(otel_collector_use_insecure_grpc, "otel.collector_use_insecure_grpc", .default_value = "false",
         .summary = "Whether the collector is spoken to without TLS."),
    INT(otel_timeout, "otel.timeout", .default_value = "10", PARAM_RANGE(1, 3600), .unit = "s",
        .summary = "How long the collector may take to answer."),

    TEXT(aws_role_arn, "aws.role_arn",
         .summary = "The ARN of the role to assume. In a pod with a web identity, AWS_ROLE_ARN is that one's."),
    TEXT(aws_external_id, "aws.external_id", .summary = "The external ID to assume the role with."),
    TEXT(aws_region, "aws.region", .summary = "The AWS region."),
    TEXT(aws_access_key, "aws.access_key", .secret = true, .summary = "The AWS access key."),
    TEXT(aws_secret_key, "aws.secret_key", .secret = true, .summary = "The AWS secret key."),

    TEXT(minio_endpoint, "minio.endpoint", .summary = "The host and port of the MinIO server."),
    TEXT(minio_access_key, "minio.access_key", .secret = true, .summary = "The MinIO access key."),
    TEXT(minio_secret_key, "minio.secret_key", .secret = true, .summary = "The MinIO secret key."),
    BOOL(minio_use_ssl, "minio.use_ssl", .default_value = "false",
         .summary = "Whether the MinIO server is spoken to over TLS."),

    TEXT(gcp_region, "gcp.region", .summary = "The Google Cloud region."),
    TEXT(gcp_credentials_path, "gcp.credentials_path", .summary = "The file with the Google Cloud credentials."),

    TEXT(store_path, "store.path", .default_value = "/var/lib/stoop/store.db", .check = not_empty,
         .summary = "The file that keeps events until their actions ended; its folder is made."),
    INT(store_max_pending, "store.max_pending", .default_value = "1000000", PARAM_RANGE(1, 100000000), .unit = "events",
        .summary = "How many unfinished events are kept; beyond it senders are told to come back."),
    INT(store_history_events, "store.history_events", .default_value = "100000", PARAM_RANGE(0, 100000000),
        .unit = "events", .summary = "How many finished events are remembered with what was done."),

    INT(limits_body_bytes, "limits.body_bytes", .default_value = "1048576", PARAM_RANGE(1024, 64 * 1024 * 1024),
        .unit = "bytes", .summary = "How long the body of a request may be."),
    INT(limits_connections, "limits.connections", .default_value = "16384", PARAM_RANGE(1, 1000000),
        .unit = "connections", .summary = "How many connections may be open at once."),
    INT(limits_api_calls, "limits.api_calls", .default_value = "64", PARAM_RANGE(1, 4096), .unit = "calls",
        .summary = "How many calls to the Kubernetes API may be under way at once."),
    INT(limits_workers, "limits.workers", .default_value = "64", PARAM_RANGE(1, 1024), .unit = "threads",
        .summary = "How many actions may run at once."),
    INT(limits_long_actions, "limits.long_actions", .default_value = "32", PARAM_RANGE(1, 1024), .unit = "threads",
        .summary = "How many long actions, such as captures, may run at once beside the others."),
    INT(limits_artifact_bytes, "limits.artifact_bytes", .default_value = "1073741824", PARAM_RANGE(1, G_MAXINT64),
        .unit = "bytes", .summary = "How large an artifact may become."),
    INT(limits_action_seconds, "limits.action_seconds", .default_value = "0", PARAM_RANGE(0, 86400), .unit = "s",
        .summary = "How long an action may take; 0: as long as its actionner says."),

    TEXT(images_tcpdump, "images.tcpdump", .default_value = "docker.io/nicolaka/netshoot:v0.13",
         .summary = "The image of the containers that kubernetes:tcpdump captures with, and kubernetes:download reads "
                    "with where a container cannot itself. It needs `tcpdump` and a shell with `sleep`, `cat`, "
                    "`readlink` and `grep`."),
    TEXT(images_sysdig, "images.sysdig", .default_value = "docker.io/sysdig/sysdig:0.41.4",
         .summary = "The image of the Jobs that kubernetes:sysdig captures with. It needs `sysdig` with its modern "
                    "eBPF probe and a shell with `sleep`."),
    PARAM_ROW_END,
};

const ParamTable config_table = {.size = sizeof(Config), .rows = config_rows};
