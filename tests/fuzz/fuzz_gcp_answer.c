// What Google Cloud and its key files say: any bytes give an answer or an error, never both, and what comes out of a
// list of parts can be said again.
#include "gcp/gcp_client_private.h"
#include "gcp/gcs_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_key(const char *text, size_t size) {
    g_auto(GcpKey) key = {.kind = GCP_KEY_NONE};
    g_autoptr(GError) error = NULL;
    bool ok = gcp_key_parse(text, size, "key.json", &key, &error);
    if (ok != (error == NULL) || ok != (key.kind != GCP_KEY_NONE) || (ok && !key.token_uri))
        abort();
}

static void read_parts(const char *text) {
    g_free(gcs_xml_text(text, "UploadId"));
    g_autoptr(GArray) parts = g_array_new(FALSE, TRUE, sizeof(GcsPart));
    g_autoptr(GError) error = NULL;
    bool more = false;
    if (gcs_parts_read(text, parts, &more, &error) != (error == NULL))
        abort();
    g_free(gcs_parts_write(parts));
    for (guint i = 0; i < parts->len; i++)
        if (strpbrk(g_array_index(parts, GcsPart, i).etag, "<>&\""))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 16)
        return 0;
    g_autofree char *text = g_strndup((const char *)data, size);
    read_key(text, size);
    read_parts(text);
    return 0;
}
