#include "cli/settings.h"

#include "cli/catalogue.h"

#include <unistd.h>

#define DEFAULT_CONFIG "/etc/falco-talon/config.yaml"

Config *settings_load(const CommandLine *line, DiagList *diags) {
    const char *path = line->config;
    if (!path && access(DEFAULT_CONFIG, F_OK) == 0)
        path = DEFAULT_CONFIG;
    Config *config = config_load(path, (const char *const *)environ, cli_catalogue(), diags);
    if (config && line->rules) {
        g_strfreev(config->rules_files);
        config->rules_files = g_strdupv(line->rules);
    }
    return config;
}
