// The table of all actionners, built from actionners.def.
#include "actionners/actionner.h"

#define ACTIONNER(name) extern const Actionner actionner_##name;
#include "actionners/actionners.def"
#undef ACTIONNER

#define ACTIONNER(name) &actionner_##name,
const Actionner *const actionners_all[] = {
#include "actionners/actionners.def"
    NULL,
};
