// `stoop rules check` and `stoop rules print`.
#include "cli/catalogue.h"
#include "cli/command.h"
#include "cli/settings.h"
#include "rules/rules.h"

#include <stdio.h>

// The rules that the command line names, else those of the configuration.
static RuleSet *load(const CommandLine *line, DiagList *diags) {
    g_autoptr(Config) config = settings_load(line, diags);
    if (!config)
        return NULL;
    return rule_set_load((const char *const *)config->rules_files, cli_catalogue(), diags);
}

int command_rules_check(const CommandLine *line) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(RuleSet) set = load(line, diags);
    bool good = command_report(diags, line->strict);
    if (!set || !good) {
        fprintf(stderr, "stoop rules check: %u error%s, %u warning%s%s\n", diags->errors, diags->errors == 1 ? "" : "s",
                diags->warnings, diags->warnings == 1 ? "" : "s", line->strict && set ? " (--strict)" : "");
        return EXIT_FAILED;
    }
    printf("rules file valid: %zu rule%s\n", rule_set_count(set), rule_set_count(set) == 1 ? "" : "s");
    return EXIT_OK;
}

int command_rules_print(const CommandLine *line) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(RuleSet) set = load(line, diags);
    bool good = command_report(diags, false);
    if (!set || !good)
        return EXIT_FAILED;
    g_autofree char *text = rule_set_yaml(set);
    fputs(text, stdout);
    return EXIT_OK;
}
