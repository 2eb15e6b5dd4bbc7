// A store of the tests' own in memory, linked in place of the real one: refuses, fails and delays when told to.
#pragma once

#include "store/store.h"

// Commits wait until fake_store_commit; else a thread of the store's does them at once.
void fake_store_hold(bool hold);
void fake_store_commit(uint64_t upto, bool fail); // on the caller's thread, in the order of ids
void fake_store_refuse(bool refuse);
char *fake_store_read_log(void); // "after-upto" of each store_pending that was made
