// What every actionner, output, notifier and context tells about itself. From it follow `stoop ... list`, the generated
// documents, the JSON Schema, the RBAC of a rule set, checks at load time and seeds for the fuzzers.
#pragma once

#include "schema/schema.h"

typedef enum { PLUGIN_ACTIONNER, PLUGIN_OUTPUT, PLUGIN_NOTIFIER, PLUGIN_CONTEXT, PLUGIN_KINDS } PluginKind;

typedef enum { NEEDS_NO_OUTPUT, MAY_HAVE_OUTPUT, NEEDS_OUTPUT } OutputNeed;

// A Kubernetes permission, as an RBAC rule has it.
typedef struct {
    const char *api_group; // "" is the core group, "*" any
    const char *resource;  // "pods", "pods/log"
    const char *verbs;     // comma-separated
    const char *when;      // NULL: always; else when it is needed, for the documents
} PluginPermission;

typedef struct {
    const char *name;        // "kubernetes:terminate", "local:file", "slack", "aws"
    const char *summary;     // one sentence
    const char *description; // paragraphs for the documents: limits, what success means; may be NULL
    ParamTable params;
    const char *example; // YAML: an action block (actionner), an output block, a configuration block
    // True for one whose descriptor is here so that rules which name it load, but which does nothing yet: rules that
    // use it load with a warning, and running it fails with a clear message.
    bool planned;
    const PluginPermission *permissions; // ends with a row whose resource is NULL; may be NULL
    const char *const *access;           // other permissions ("s3:PutObject"), NULL-terminated; may be NULL

    // Actionners only.
    bool default_continue;
    bool uses_contexts; // additional_contexts are allowed
    OutputNeed output;
    // Each entry must be in the event; "a|b" is satisfied by either. NULL-terminated; may be NULL.
    const char *const *required_fields;
    const char *source;  // "syscalls", "k8saudit", "any"
    bool dry_runs;       // all that it changes goes through the API server, which can be asked what would come of it
    bool long_running;   // counts against the limit of long actions, so that kills never queue behind it
    int64_t deadline_ms; // how long one run may take by default
} PluginInfo;

// All plug-ins of a kind, by name. Built once at start, unchangeable, so readable from any thread.
typedef struct {
    const PluginInfo *const *plugins[PLUGIN_KINDS]; // each NULL-terminated, sorted by name
} Catalogue;

// NULL when there is none of that name.
const PluginInfo *catalogue_find(const Catalogue *catalogue, PluginKind kind, const char *name);
// The nearest name to a misspelt one, or NULL.
const char *catalogue_nearest(const Catalogue *catalogue, PluginKind kind, const char *name);
const char *plugin_kind_name(PluginKind kind); // "actionner", …
