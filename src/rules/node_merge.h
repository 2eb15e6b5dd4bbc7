// Trees of YAML nodes laid over each other: texts are replaced, lists appended, maps merged.
#pragma once

#include "yaml/yaml.h"

#include <glib.h>

// Owns the nodes that merging makes; the nodes of the documents stay the documents'.
typedef GPtrArray NodePool;
NodePool *node_pool_new(void); // g_ptr_array_unref

// `over` laid over `base`; either may be NULL. A null in `over` leaves a list or map of `base` as it is and replaces a
// text. Where one is a list and the other a text, the text is a list of one. The result's place in the file is that of
// `over`.
const YamlNode *node_merge(NodePool *pool, const YamlNode *base, const YamlNode *over);

// The same for a block and what stands in it: a null, as in `description:` with nothing behind, overrides nothing.
const YamlNode *node_merge_block(NodePool *pool, const YamlNode *base, const YamlNode *over);
