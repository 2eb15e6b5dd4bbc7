// The sink that an actionner writes its artifact to: hashes, counts, applies the size limit, names the object, and
// hands the bytes to the rule's output. Used by one thread.
#pragma once

#include "actionners/actionner.h"
#include "outputs/output.h"

#include <openssl/evp.h>

typedef struct {
    ArtifactSink sink; // first: the actionner holds a pointer to it
    const Output *output;
    const void *params;
    // Gives the object its name (g_free); called once, by `begin`.
    char *(*name_object)(const char *name, void *user);
    void *user;
    const Clock *clock;
    uint64_t limit; // bytes
    OutputJob job;

    char *object; // NULL until begun
    OutputStream *stream;
    EVP_MD_CTX *digest;
    uint64_t bytes;
    int64_t begun_us;
    bool cut;      // the size limit was reached
    GError *error; // what the output failed with; the stream is still to be aborted
} Artifact;

// The caller fills in the fields of the first part; `job` without its name.
void artifact_init(Artifact *artifact);

// Ends an artifact that was begun. True when the output has it; then `text` (g_free) says where, how much, its SHA-256,
// how long it took and, where `cut_by` is not NULL, what ended it early.
bool artifact_finish(Artifact *artifact, const char *cut_by, char **text, GError **error);
// Gives up what was begun, if anything, and frees.
void artifact_clear(Artifact *artifact);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Artifact, artifact_clear)

// `<UTC time>_<namespace>_<pod>[_<count>]_<name>`, of characters that mean nothing to any file system or store:
// letters, digits and `._-+=@,~`; everything else, `/` and a second dot in a row among it, becomes `_`. At most 220
// bytes; a long name keeps its end. `count` 0 leaves it out. NULL parts are left empty.
char *artifact_object_name(int64_t realtime_ns, const char *pod_namespace, const char *pod, unsigned count,
                           const char *name);
