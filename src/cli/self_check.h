// Once, at the start: the actionners that the rules use and that can check themselves do so, beside everything else,
// and the log tells. A check that fails ends nothing: what is wrong may be mended before an event comes.
#pragma once

#include "base/log.h"
#include "rules/rules_holder.h"
#include "schema/clients.h"

typedef struct SelfCheck SelfCheck;

// NULL where there is nothing to check, or no thread for it, which the log tells. Everything given outlives it.
SelfCheck *self_check_start(RulesHolder *rules, const ActionClients *clients, Log *log);
// Ends it early. NULL is fine.
void self_check_stop(SelfCheck *check);
