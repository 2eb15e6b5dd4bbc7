// The table of all contexts, built from contexts.def.
#include "contexts/context.h"

#define CONTEXT(name) extern const Context context_##name;
#include "contexts/contexts.def"
#undef CONTEXT

#define CONTEXT(name) &context_##name,
const Context *const contexts_all[] = {
#include "contexts/contexts.def"
    NULL,
};
