// The syntax of names, labels and annotations, so that what the API server would refuse when the action runs is refused
// when the rules are loaded. https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
#pragma once

#include <glib.h>
#include <stdbool.h>

// For ParamRow.check: NULL when `text` can be the name of a namespace, else what is wrong (g_free).
char *namespace_check(const char *text);

// Whether `text` can be the name of a pod or node (a DNS name), and of any object: names come from events and become
// parts of a URL, where an empty one or ".." would mean another object.
bool is_dns_name(const char *text);
bool is_object_name(const char *text);

// For ParamTable.check: whether the pairs (of ParamPair) of the parameter `name` can be labels, or annotations. NULL
// when they can, else what is wrong as a sentence (g_free).
char *labels_check(const char *name, const GPtrArray *pairs);
char *annotations_check(const char *name, const GPtrArray *pairs);
