#include "kube/kube_client.h"

#include <stdarg.h>

void kube_object_clear(KubeObject *object) {
    yyjson_doc_free(object->doc);
    *object = (KubeObject){0};
}

static yyjson_val *walk(yyjson_val *value, va_list keys) {
    for (const char *key = va_arg(keys, const char *); key; key = va_arg(keys, const char *))
        value = yyjson_obj_get(value, key);
    return value;
}

yyjson_val *kube_object_get(yyjson_val *root, ...) {
    va_list keys;
    va_start(keys, root);
    yyjson_val *value = walk(root, keys);
    va_end(keys);
    return value;
}

const char *kube_object_text(yyjson_val *root, ...) {
    va_list keys;
    va_start(keys, root);
    yyjson_val *value = walk(root, keys);
    va_end(keys);
    return yyjson_get_str(value);
}
