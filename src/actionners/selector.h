// Label selectors of the API: whether one selects an object.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
#pragma once

#include <stdbool.h>
#include <yyjson.h>

// `selector` has matchLabels and matchExpressions (each may be absent; with neither it selects everything), `labels` is
// an object of texts or NULL. An operator that is not known selects nothing.
bool selector_selects(yyjson_val *selector, yyjson_val *labels);

bool selector_is_empty(yyjson_val *selector);
