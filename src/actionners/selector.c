#include "actionners/selector.h"

#include <string.h>

static bool has_value(yyjson_val *values, yyjson_val *label) {
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(values, i, max, value) {
        if (yyjson_equals(value, label))
            return true;
    }
    return false;
}

static bool expression_holds(yyjson_val *expression, yyjson_val *labels) {
    const char *key = yyjson_get_str(yyjson_obj_get(expression, "key"));
    const char *operator_name = yyjson_get_str(yyjson_obj_get(expression, "operator"));
    yyjson_val *values = yyjson_obj_get(expression, "values");
    if (!key || !operator_name)
        return false;
    yyjson_val *label = yyjson_obj_get(labels, key);
    if (strcmp(operator_name, "In") == 0)
        return label && has_value(values, label);
    if (strcmp(operator_name, "NotIn") == 0)
        return !label || !has_value(values, label);
    if (strcmp(operator_name, "Exists") == 0)
        return label;
    if (strcmp(operator_name, "DoesNotExist") == 0)
        return !label;
    return false;
}

bool selector_selects(yyjson_val *selector, yyjson_val *labels) {
    size_t i, max;
    yyjson_val *key, *value, *expression;
    yyjson_obj_foreach(yyjson_obj_get(selector, "matchLabels"), i, max, key, value) {
        yyjson_val *label = yyjson_obj_getn(labels, yyjson_get_str(key), yyjson_get_len(key));
        if (!label || !yyjson_equals(label, value))
            return false;
    }
    yyjson_arr_foreach(yyjson_obj_get(selector, "matchExpressions"), i, max, expression) {
        if (!expression_holds(expression, labels))
            return false;
    }
    return true;
}

bool selector_is_empty(yyjson_val *selector) {
    return yyjson_obj_size(yyjson_obj_get(selector, "matchLabels")) == 0 &&
           yyjson_arr_size(yyjson_obj_get(selector, "matchExpressions")) == 0;
}
