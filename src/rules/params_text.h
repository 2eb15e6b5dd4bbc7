// Parameters as configured, as text: JSON for the context of actions, and YAML from that for `rules print`.
#pragma once

#include "base/buf.h"
#include "schema/schema.h"

// `map` (NULL: empty) as a JSON object; values of secret rows are "********". False when `out` has no room.
bool params_append_json(Buf *out, const ParamTable *table, const YamlNode *map);

// A JSON object of ours as the entries of a YAML block map, each line indented by `indent` blanks. Nothing for `{}`.
void params_append_yaml(GString *out, const char *json, unsigned indent);
