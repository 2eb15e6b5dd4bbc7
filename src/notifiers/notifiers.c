// The table of all notifiers, built from notifiers.def.
#include "notifiers/notifier.h"

#define NOTIFIER(name) extern const Notifier notifier_##name;
#include "notifiers/notifiers.def"
#undef NOTIFIER

#define NOTIFIER(name) &notifier_##name,
const Notifier *const notifiers_all[] = {
#include "notifiers/notifiers.def"
    NULL,
};
