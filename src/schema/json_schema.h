// The JSON Schema of a table as a value that larger schemas (the configuration's, the rules') take in.
#pragma once

#include "schema/fields.h"

#include <yyjson.h>

// An object owned by `doc`; it may be changed further.
yyjson_mut_val *param_json_schema_value(const ParamTable *table, yyjson_mut_doc *doc);
