// Labels and annotations are set the same way, on a pod or on its node: this is what the two actionners share.
#pragma once

#include "actionners/actionner.h"

#define METADATA_LEVELS TEXTS("pod", "node")

// One merge patch of metadata.<field> ("labels", "annotations") with `pairs` (of ParamPair) on what `level` says; an
// empty value deletes its key. A pod that is not the event's is left alone: ACTION_STALE.
bool metadata_patch(const ActionContext *context, const char *level, const char *field, const GPtrArray *pairs,
                    ActionResult *result, GError **error);
