// Internal to kube/: a kubeconfig's text to a KubeConfig. Touches no files besides the text that it is given, so that a
// fuzzer can feed it anything.
#pragma once

#include "kube/kube_config.h"

#include <stddef.h>

// `file` is for messages, and relative names in the text are relative to its folder.
KubeConfig *kube_config_parse(const char *text, size_t len, const char *file, GError **error);
