// Bodies from outside: parsing, every accessor, the key, the variables.
#include "event/event.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text) {
    if (!g_utf8_validate(text, -1, NULL))
        abort();
}

static void check_variable(const char *name, const char *value, void *user) {
    if (name[0] == '\0' || strchr(name, '='))
        abort();
    check_text(name);
    check_text(value);
}

static void check_event(const Event *event) {
    const char *texts[] = {event->uuid,   event->output,   event->rule,          event->time,
                           event->source, event->hostname, event->priority_text, event->remote_port};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        check_text(texts[i]);
    for (size_t i = 0; i < event->tag_count; i++)
        check_text(event->tags[i]);
    const char *names[] = {event->pod,          event->pod_namespace,    event->pod_uid,
                           event->container_id, event->container_name,   event->target_resource,
                           event->target_name,  event->target_namespace, event->remote_ip};
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
        if (names[i] && names[i][0] == '\0')
            abort();
    if (event->source[0] == '\0' || strlen(event->trace_id) != 32)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t bytes[16] = {1, 2, 3};
    static const char *const volatiles[] = {"evt.time*", "thread.tid", NULL};
    g_autoptr(GError) error = NULL;
    Event *event = event_parse((const char *)data, size, NULL, bytes, &error);
    if (!event) {
        check_text(error->message);
        return 0;
    }
    check_event(event);
    event_dedup_key(event, volatiles, bytes);
    event_each_variable(event, check_variable, NULL);
    char scratch[64];
    size_t i, max;
    yyjson_val *key, *value;
    if (event->fields) {
        yyjson_obj_foreach(event->fields, i, max, key, value) {
            size_t len = 0;
            const char *text = event_value_text(value, scratch, sizeof scratch, &len);
            if (text && !g_utf8_validate_len(text, len, NULL) && !memchr(text, '\0', len))
                abort();
        }
    }
    event_unref(event);
    return 0;
}
