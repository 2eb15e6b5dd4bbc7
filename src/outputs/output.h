// The contract of an output: where an artifact is stored, piece by piece, in bounded memory.
#pragma once

#include "base/cancel.h"
#include "schema/clients.h"
#include "schema/plugin.h"

#include <glib.h>
#include <stdint.h>

typedef struct {
    const char *name; // of the object, without the prefix: "2006-01-02T15-04-05Z_ns_pod_name"
    const ActionClients *clients;
    int64_t deadline_us;
    const Cancel *cancel;
} OutputJob;

typedef struct OutputStream OutputStream; // each output's own

typedef struct {
    PluginInfo info;
    // Begins an artifact. NULL and an error when the output refuses.
    OutputStream *(*open)(const void *params, const OutputJob *job, GError **error);
    bool (*write)(OutputStream *stream, const char *data, size_t len, GError **error);
    // Ends it: true when the whole artifact is durably there, then `location` (g_free) says where ("/dir/name",
    // "s3://bucket/name"). The stream is gone either way; on failure nothing half done is left behind.
    bool (*finish)(OutputStream *stream, char **location, GError **error);
    // Gives up: leaves nothing behind. The stream is gone.
    void (*abort)(OutputStream *stream);
} Output;

extern const Output *const outputs_all[];
