// Which containers of a pod an event is about.
#pragma once

#include "event/event.h"

#include <glib.h>
#include <yyjson.h>

// The name of the container that the event names, by `container.id` found in the pod's status or by `container.name`;
// NULL when it names none of the pod's. A string of the pod's.
const char *container_of_event(const Event *event, yyjson_val *pod);

// The names (strings of the pod's) of all containers that have started, ended ones too.
GPtrArray *containers_started(yyjson_val *pod);
