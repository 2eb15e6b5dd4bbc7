#include "engine/artifact.h"

#include "base/error.h"

#include <string.h>
#include <time.h>

static void append_clean(GString *out, const char *text, size_t max) {
    size_t len = text ? strlen(text) : 0;
    const char *from = text + (len > max ? len - max : 0);
    for (const char *c = from; c && *c; c++) {
        bool plain = g_ascii_isalnum(*c) || strchr("._-+=@,~", *c) != NULL;
        bool climbs = *c == '.' && c != from && out->str[out->len - 1] == '.';
        g_string_append_c(out, plain && !climbs ? *c : '_');
    }
}

char *artifact_object_name(int64_t realtime_ns, const char *pod_namespace, const char *pod, unsigned count,
                           const char *name) {
    time_t seconds = (time_t)(realtime_ns / 1000000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    char time_text[48];
    strftime(time_text, sizeof time_text, "%Y-%m-%dT%H-%M-%SZ", &utc);
    GString *out = g_string_new(time_text);
    g_string_append_c(out, '_');
    append_clean(out, pod_namespace, 63);
    g_string_append_c(out, '_');
    append_clean(out, pod, 63);
    g_string_append_c(out, '_');
    if (count > 0)
        g_string_append_printf(out, "%u_", count);
    append_clean(out, name, 220 - MIN(out->len, (size_t)200));
    return g_string_free(out, FALSE);
}

static bool artifact_begin(ArtifactSink *sink, const char *name, GError **error) {
    Artifact *artifact = (Artifact *)sink;
    if (artifact->object) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the artifact '%s' was begun before", artifact->object);
        return false;
    }
    artifact->begun_us = clock_monotonic_us(artifact->clock);
    artifact->object = artifact->name_object(name, artifact->user);
    artifact->job.name = artifact->object;
    artifact->stream = artifact->output->open(artifact->params, &artifact->job, &artifact->error);
    if (artifact->stream) {
        artifact->digest = EVP_MD_CTX_new();
        if (artifact->digest && EVP_DigestInit_ex(artifact->digest, EVP_sha256(), NULL))
            return true;
        g_set_error(&artifact->error, STOOP_ERROR, STOOP_ERROR_FAILED, "SHA-256 cannot be computed");
    }
    g_propagate_error(error, g_error_copy(artifact->error));
    return false;
}

static bool artifact_write(ArtifactSink *sink, const char *data, size_t len, GError **error) {
    Artifact *artifact = (Artifact *)sink;
    if (artifact->error) {
        g_propagate_error(error, g_error_copy(artifact->error));
        return false;
    }
    if (!artifact->stream) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the artifact was not begun");
        return false;
    }
    size_t fits = (size_t)MIN((uint64_t)len, artifact->limit - artifact->bytes);
    if (fits < len && sink->whole_pieces)
        fits = 0;
    if (fits > 0) {
        if (!artifact->output->write(artifact->stream, data, fits, &artifact->error)) {
            g_propagate_error(error, g_error_copy(artifact->error));
            return false;
        }
        EVP_DigestUpdate(artifact->digest, data, fits);
        artifact->bytes += fits;
    }
    if (fits == len)
        return true;
    artifact->cut = true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the artifact is larger than %" G_GUINT64_FORMAT " bytes",
                artifact->limit);
    return false;
}

void artifact_init(Artifact *artifact) {
    artifact->sink.begin = artifact_begin;
    artifact->sink.write = artifact_write;
}

bool artifact_finish(Artifact *artifact, const char *cut_by, char **text, GError **error) {
    g_autofree char *location = NULL;
    OutputStream *stream = g_steal_pointer(&artifact->stream);
    if (!artifact->output->finish(stream, &location, error))
        return false;
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned sum_len = 0;
    EVP_DigestFinal_ex(artifact->digest, sum, &sum_len);
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    for (unsigned i = 0; i < sum_len; i++)
        g_snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    double seconds = (double)(clock_monotonic_us(artifact->clock) - artifact->begun_us) / G_USEC_PER_SEC;
    *text =
        g_strdup_printf("%s: %" G_GUINT64_FORMAT " bytes, sha256 %s, in %.3f s%s%s%s",
                        location ? location : artifact->object, artifact->bytes, hex, seconds,
                        cut_by ? "; cut short by " : "", cut_by ? cut_by : "", cut_by ? ", there was more of it" : "");
    return true;
}

void artifact_clear(Artifact *artifact) {
    void (*give_up)(OutputStream * stream) = artifact->output ? artifact->output->abort : NULL;
    if (artifact->stream)
        give_up(g_steal_pointer(&artifact->stream));
    EVP_MD_CTX_free(g_steal_pointer(&artifact->digest));
    g_clear_pointer(&artifact->object, g_free);
    g_clear_error(&artifact->error);
}
