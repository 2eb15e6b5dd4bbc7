// Internal to kube/: reading what lists and watches answer. Apart from the calls so that a fuzzer can feed them.
#pragma once

#include "kube/kube_client_internal.h"

typedef struct {
    char *next;             // continue token; NULL: the last page
    char *resource_version; // NULL: the answer had none
    bool stopped;           // `each` wanted no more
} KubeListPage;
void kube_list_page_clear(KubeListPage *page);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeListPage, kube_list_page_clear)

bool kube_list_page_read(const char *body, size_t len, bool (*each)(yyjson_val *item, void *user), void *user,
                         KubeListPage *page, GError **error);

// The lines of a watch, in the pieces that the network gives.
typedef struct {
    Buf line; // the beginning of a line whose end has not come
    char *resource_version;
    bool (*each)(const char *type, yyjson_val *object, void *user);
    void *user;
    bool stopped;    // `each` wanted no more
    unsigned events; // since the stream began
} KubeWatchReader;

void kube_watch_reader_init(KubeWatchReader *reader, const char *resource_version,
                            bool (*each)(const char *type, yyjson_val *object, void *user), void *user);
void kube_watch_reader_clear(KubeWatchReader *reader);
// A new stream begins: half a line of the old one is forgotten.
void kube_watch_reader_restart(KubeWatchReader *reader);
// False with an error at an ERROR event (CONFLICT: the version is too old; UNAVAILABLE: connect anew), at a line that
// is no event or longer than 2 MiB, and when `each` wants no more (then `stopped` is set).
bool kube_watch_reader_feed(KubeWatchReader *reader, const char *data, size_t len, GError **error);
