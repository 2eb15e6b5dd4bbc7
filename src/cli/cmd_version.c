#include "cli/command.h"

#include <stdio.h>

int command_version(const CommandLine *line) {
    (void)line;
    printf("stoop %s\n", STOOP_VERSION);
    return EXIT_OK;
}
