// What a capturing program writes. The first byte chooses the kind of file and the length of the pieces that it comes
// in; what is written must be its beginning, and the same in one piece.
#include "actionners/records.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *data;
    size_t len;
} Written;

static bool take(const char *data, size_t len, void *user, GError **error) {
    Written *written = user;
    if (len == 0 || memcmp(written->data + written->len, data, len) != 0)
        abort();
    written->len += len;
    return true;
}

static size_t run(RecordsKind kind, const char *data, size_t size, size_t piece) {
    Written written = {.data = data};
    g_auto(Records) records;
    records_init(&records, kind, take, &written);
    g_autoptr(GError) error = NULL;
    for (size_t at = 0; at < size; at += MIN(piece, size - at))
        if (!records_add(&records, data + at, MIN(piece, size - at), &error))
            break;
    return written.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    RecordsKind kind = data[0] & 1 ? RECORDS_SCAP : RECORDS_PCAP;
    const char *file = (const char *)data + 1;
    // A block that is too long to be held is passed on as it comes, so its rest may differ only where the input ends.
    if (run(kind, file, size - 1, 1 + data[0] / 2) != run(kind, file, size - 1, size - 1))
        abort();
    return 0;
}
