// Key files of Google Cloud: any bytes give a key or an error, never both.
#include "gcp/gcp_client_private.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 1 << 16)
        return 0;
    g_autofree char *text = g_strndup((const char *)data, size);
    read_key(text, size);
    return 0;
}
