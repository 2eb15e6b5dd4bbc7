// The command line: one row per command, one file per family of commands.
#pragma once

#include "schema/plugin.h"

#include <glib.h>
#include <stdbool.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

// What a command line said. Which of these a command takes stands in its row.
typedef struct {
    char *config;    // -c, --config
    char **rules;    // -r, --rules, as often as wanted
    gboolean strict; // --strict
    char **rest;     // what is neither an option nor the command's name
} CommandLine;

typedef enum {
    TAKES_CONFIG = 1 << 0,
    TAKES_RULES = 1 << 1,
    TAKES_STRICT = 1 << 2,
    TAKES_SHELL = 1 << 3, // one word: bash, zsh or fish
} CommandTakes;

typedef struct {
    const char *path;    // "rules check"
    const char *summary; // one line
    unsigned takes;      // of CommandTakes
    int (*run)(const CommandLine *line);
} Command;

extern const Command commands[]; // ends with a row whose path is NULL

int command_server(const CommandLine *line);
int command_rules_check(const CommandLine *line);
int command_rules_print(const CommandLine *line);
int command_actionners_list(const CommandLine *line);
int command_outputs_list(const CommandLine *line);
int command_notifiers_list(const CommandLine *line);
int command_contexts_list(const CommandLine *line);
int command_version(const CommandLine *line);
int command_completion(const CommandLine *line);

// The options that a command with these `takes` has, as GLib wants them, filled into `line`; ends with an empty entry.
// The caller frees the array with g_free.
GOptionEntry *command_options(unsigned takes, CommandLine *line);

// Prints the findings to standard error; with `strict` a warning counts as an error. True when there is no error.
bool command_report(const DiagList *diags, bool strict);
