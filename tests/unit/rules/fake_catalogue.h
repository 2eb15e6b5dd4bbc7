// Plug-ins of the shapes that Stoop's own have, for tests of the rules alone.
#pragma once

#include "schema/plugin.h"

#include <glib.h>

typedef struct {
    int64_t grace_period_seconds;
    bool ignore_daemonsets;
    bool ignore_statefulsets;
    char *min_healthy_replicas;
} FakeTerminate;

typedef struct {
    char *level;
    GPtrArray *labels;
} FakeLabel;

typedef struct {
    char **allow_cidr;
    char **allow_namespaces;
    int64_t order;
} FakePolicy;

typedef struct {
    char *command;
    char *script;
    char *file;
    char *shell;
    int64_t tail_lines;
    int64_t duration;
    int64_t snaplen;
    char *token;
} FakeRun;

typedef struct {
    char *aws_lambda_name;
    char *aws_lambda_alias_or_version;
    char *aws_lambda_invocation_type;
} FakeLambda;

typedef struct {
    char *destination;
    char *bucket;
    char *prefix;
    char *secret_key;
} FakeOutput;

const Catalogue *fake_catalogue(void);
