// The table of all outputs, built from outputs.def.
#include "outputs/output.h"

#define OUTPUT(name) extern const Output output_##name;
#include "outputs/outputs.def"
#undef OUTPUT

#define OUTPUT(name) &output_##name,
const Output *const outputs_all[] = {
#include "outputs/outputs.def"
    NULL,
};
