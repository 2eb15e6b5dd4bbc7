// The configuration as the command line wants it.
#pragma once

#include "cli/command.h"
#include "config/config.h"

// Loads the file that -c names, else the default one where it exists, then the environment; -r replaces rules_files.
// NULL with errors in `diags`.
Config *settings_load(const CommandLine *line, DiagList *diags);
