// The one place where the contracts meet their members: all plug-ins of all kinds, by name.
#pragma once

#include "schema/plugin.h"

// Built at the first call, from one thread, before others start; never freed, for it is all static data.
const Catalogue *cli_catalogue(void);
