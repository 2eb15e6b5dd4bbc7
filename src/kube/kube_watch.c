// Watches. https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
#include "base/backoff.h"
#include "base/error.h"
#include "kube/kube_list_parse.h"

#include <string.h>

enum { LINE_MAX_BYTES = 2 << 20 };

// The server ends a watch after about five minutes, and a connection that says nothing for half a minute longer is
// dead.
static const int64_t WATCH_S = 270, WATCH_SPREAD_S = 60, WATCH_OVER_US = 30000000;
static const int64_t SHORT_US = 1000000;

void kube_watch_reader_init(KubeWatchReader *reader, const char *resource_version,
                            bool (*each)(const char *type, yyjson_val *object, void *user), void *user) {
    *reader = (KubeWatchReader){
        .line = BUF_INIT(LINE_MAX_BYTES),
        .resource_version = g_strdup(resource_version),
        .each = each,
        .user = user,
    };
}

void kube_watch_reader_clear(KubeWatchReader *reader) {
    buf_clear(&reader->line);
    g_clear_pointer(&reader->resource_version, g_free);
}

void kube_watch_reader_restart(KubeWatchReader *reader) {
    buf_reset(&reader->line);
    reader->events = 0;
}

static bool take_event(KubeWatchReader *reader, yyjson_val *event, GError **error) {
    const char *type = yyjson_get_str(yyjson_obj_get(event, "type"));
    yyjson_val *object = yyjson_obj_get(event, "object");
    if (!type || !yyjson_is_obj(object)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "a line of the watch is no event");
        return false;
    }
    if (strcmp(type, "ERROR") == 0) {
        kube_status_object_error(object, 500, error);
        return false;
    }
    const char *version = kube_object_text(object, "metadata", "resourceVersion", NULL);
    if (version && *version) {
        g_free(reader->resource_version);
        reader->resource_version = g_strdup(version);
    }
    reader->events++;
    if (reader->each(type, object, reader->user))
        return true;
    reader->stopped = true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "the watch was ended");
    return false;
}

static bool take_line(KubeWatchReader *reader, const char *line, size_t len, GError **error) {
    while (len > 0 && (line[len - 1] == '\r' || line[len - 1] == ' '))
        len--;
    if (len == 0)
        return true;
    g_autoptr(yyjson_doc) doc = yyjson_read(line, len, 0);
    if (doc)
        return take_event(reader, yyjson_doc_get_root(doc), error);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "a line of the watch is not JSON");
    return false;
}

static bool too_long(GError **error) {
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "an event of the watch is larger than 2 MiB");
    return false;
}

bool kube_watch_reader_feed(KubeWatchReader *reader, const char *data, size_t len, GError **error) {
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        size_t part = end ? (size_t)(end - data) : len;
        bool whole = end && reader->line.len == 0; // nothing to join: read in place
        if (part > LINE_MAX_BYTES || (!whole && !buf_append(&reader->line, data, part)))
            return too_long(error);
        if (whole && !take_line(reader, data, part, error))
            return false;
        if (end && !whole) {
            if (!take_line(reader, reader->line.data, reader->line.len, error))
                return false;
            buf_reset(&reader->line);
        }
        data += part + (end ? 1 : 0);
        len -= part + (end ? 1 : 0);
    }
    return true;
}

static bool on_data(const char *data, size_t len, void *user, GError **error) {
    return kube_watch_reader_feed(user, data, len, error);
}

// One stream, until it ends in whatever way.
static bool watch_once(KubeClient *client, const char *base_url, const KubeWatch *watch, const KubeCall *call,
                       KubeWatchReader *reader, GError **error) {
    int64_t left_us = call->deadline_us - clock_monotonic_us(client->clock);
    int64_t seconds = WATCH_S + (int64_t)(client->random32(client->user) % (uint32_t)WATCH_SPREAD_S);
    seconds = CLAMP(left_us / 1000000 + 1, 1, seconds);
    g_autofree char *timeout = g_strdup_printf("%" G_GINT64_FORMAT, seconds);
    g_autoptr(GString) url = g_string_new(base_url);
    kube_url_query(url, "watch", "1");
    kube_url_query(url, "allowWatchBookmarks", "true");
    kube_url_query(url, "resourceVersion", reader->resource_version);
    kube_url_query(url, "timeoutSeconds", timeout);
    kube_url_query(url, "labelSelector", watch->label_selector);
    kube_url_query(url, "fieldSelector", watch->field_selector);
    KubeRequest request = kube_request_init(client, "GET", url->str, call);
    request.try_limit_us = seconds * 1000000 + WATCH_OVER_US;
    request.long_lived = true;
    request.on_data = on_data;
    request.user = reader;
    g_auto(HttpResponse) response = {0};
    return kube_request(client, &request, &response, NULL, error);
}

bool kube_watch(KubeClient *client, const KubePath *path, const KubeWatch *watch, const KubeCall *call,
                GError **error) {
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_COLLECTION, error);
    if (!url)
        return false;
    KubeRequest timed = kube_request_init(client, "GET", url->str, call);
    KubeCall bounded = {.deadline_us = timed.deadline_us, .cancel = timed.cancel};
    KubeWatchReader reader;
    kube_watch_reader_init(&reader, watch->resource_version, watch->each, watch->user);
    Backoff backoff = {.base_us = 50000, .max_us = 5000000};
    GError *failure = NULL;
    for (;;) {
        int64_t began = clock_monotonic_us(client->clock);
        kube_watch_reader_restart(&reader);
        bool ended = watch_once(client, url->str, watch, &bounded, &reader, &failure);
        int64_t now = clock_monotonic_us(client->clock);
        if (reader.stopped || (!ended && !stoop_error_is_retryable(failure)))
            break;
        if (now >= bounded.deadline_us) {
            g_clear_error(&failure);
            g_set_error(&failure, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the time of the watch is over");
            break;
        }
        g_clear_error(&failure);
        if (reader.events > 0)
            backoff.attempt = 0;
        // A stream that ended in its time is taken up at once; one that did not even begin is no reason for a storm.
        if (ended && now - began >= SHORT_US)
            continue;
        int64_t wait = backoff_next_us(&backoff, client->random32(client->user));
        client->wait_us(MIN(wait, bounded.deadline_us - now), bounded.cancel, client->user);
    }
    bool stopped = reader.stopped;
    kube_watch_reader_clear(&reader);
    if (stopped)
        g_clear_error(&failure);
    else
        g_propagate_error(error, failure);
    return stopped;
}
