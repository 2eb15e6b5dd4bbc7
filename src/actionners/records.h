// The files of captures are rows of records. Here a stream of such a file is cut at their bounds while it comes, in
// bounded memory, so that what was written is a valid file at any moment.
#pragma once

#include "base/buf.h"

#include <stdint.h>

typedef enum {
    RECORDS_PCAP, // https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-03.html
    RECORDS_SCAP, // blocks, framed as those of pcapng; compressed (gzip), it is passed on as it comes
} RecordsKind;

typedef struct {
    RecordsKind kind;
    // Takes whole records, one or several. Where it fails with TOO_LARGE for several, they are given to it one by one.
    // The exception are blocks beyond 256 KiB, which come in pieces: lists of all processes, at the start of a scap.
    bool (*write)(const char *data, size_t len, void *user, GError **error);
    void *user;
    // private
    Buf held;         // the beginning of a record
    uint64_t passing; // bytes to come of a record that is too long to be held
    bool begun, swapped, opaque;
    uint64_t count;
} Records;

void records_init(Records *records, RecordsKind kind,
                  bool (*write)(const char *data, size_t len, void *user, GError **error), void *user);
// INVALID when the bytes are of no such file; what was written before it stays valid.
bool records_add(Records *records, const char *data, size_t len, GError **error);
// The records written: packets, resp. blocks. The file's own header is none.
uint64_t records_count(const Records *records);
void records_clear(Records *records);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Records, records_clear)
