// `stoop actionners|outputs|notifiers|contexts list`: what the descriptors say, as YAML.
#include "cli/catalogue.h"
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static void append_field(GString *out, const char *indent, const char *key, const char *value) {
    g_string_append_printf(out, "%s%s: ", indent, key);
    yaml_append_scalar(out, value);
    g_string_append_c(out, '\n');
}

static void append_parameter(GString *out, const ParamRow *row) {
    static const char *const types[] = {
        [PARAM_BOOL] = "bool", [PARAM_INT] = "int", [PARAM_TEXT] = "text", [PARAM_LIST] = "list", [PARAM_MAP] = "map"};
    g_string_append_printf(out, "    - name: %s\n      type: %s\n", row->name, types[row->type]);
    if (row->summary)
        append_field(out, "      ", "description", row->summary);
    g_string_append_printf(out, "      required: %s\n", row->required ? "true" : "false");
    if (row->default_value)
        append_field(out, "      ", "default", row->default_value);
    if (row->unit)
        append_field(out, "      ", "unit", row->unit);
    if (row->has_range && row->max == INT64_MAX)
        g_string_append_printf(out, "      minimum: %" G_GINT64_FORMAT "\n", row->min);
    else if (row->has_range)
        g_string_append_printf(out, "      minimum: %" G_GINT64_FORMAT "\n      maximum: %" G_GINT64_FORMAT "\n",
                               row->min, row->max);
    if (row->choices) {
        g_autofree char *choices = g_strjoinv(", ", (char **)row->choices);
        g_string_append_printf(out, "      choices: [%s]\n", choices);
    }
    if (row->secret)
        g_string_append(out, "      secret: true\n");
}

static void append_block(GString *out, const char *indent, const char *key, const char *text) {
    g_string_append_printf(out, "%s%s: |\n", indent, key);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        if (**line)
            g_string_append_printf(out, "%s  %s\n", indent, *line);
        else if (line[1])
            g_string_append_c(out, '\n');
    }
}

static void append_actionner(GString *out, const PluginInfo *info) {
    static const char *const needs[] = {
        [NEEDS_NO_OUTPUT] = "none", [MAY_HAVE_OUTPUT] = "optional", [NEEDS_OUTPUT] = "required"};
    g_string_append_printf(out, "  source: %s\n  continue: %s\n  use_context: %s\n  output: %s\n", info->source,
                           info->default_continue ? "true" : "false", info->uses_contexts ? "true" : "false",
                           needs[info->output]);
    if (info->required_fields && info->required_fields[0]) {
        g_string_append(out, "  required_fields:\n");
        for (const char *const *field = info->required_fields; *field; field++) {
            g_auto(GStrv) either = g_strsplit(*field, "|", -1);
            g_autofree char *text = g_strjoinv(" or ", either);
            g_string_append(out, "    - ");
            yaml_append_scalar(out, text);
            g_string_append_c(out, '\n');
        }
    }
}

static void append_permissions(GString *out, const PluginInfo *info) {
    bool any = info->permissions && info->permissions[0].resource;
    if (!any && !(info->access && info->access[0]))
        return;
    g_string_append(out, "  permissions:\n");
    for (const PluginPermission *p = info->permissions; any && p->resource; p++) {
        g_string_append(out, "    - api_group: ");
        yaml_append_scalar(out, p->api_group);
        g_string_append(out, "\n      resource: ");
        yaml_append_scalar(out, p->resource);
        g_string_append_printf(out, "\n      verbs: [%s]\n", p->verbs);
        if (p->when)
            append_field(out, "      ", "when", p->when);
    }
    for (const char *const *a = info->access; a && *a; a++)
        g_string_append_printf(out, "    - %s\n", *a);
}

static int list(PluginKind kind) {
    g_autoptr(GString) out = g_string_new(NULL);
    for (const PluginInfo *const *p = cli_catalogue()->plugins[kind]; *p; p++) {
        const PluginInfo *info = *p;
        g_string_append_printf(out, "- name: %s\n", info->name);
        append_field(out, "  ", "description", info->summary);
        if (info->planned)
            g_string_append(out, "  status: planned\n");
        if (kind == PLUGIN_ACTIONNER)
            append_actionner(out, info);
        if (info->params.rows && info->params.rows[0].name) {
            g_string_append(out, "  parameters:\n");
            for (const ParamRow *row = info->params.rows; row->name; row++)
                append_parameter(out, row);
        }
        append_permissions(out, info);
        if (info->example)
            append_block(out, "  ", "example", info->example);
    }
    fputs(out->str, stdout);
    return EXIT_OK;
}

int command_actionners_list(const CommandLine *line) {
    (void)line;
    return list(PLUGIN_ACTIONNER);
}

int command_outputs_list(const CommandLine *line) {
    (void)line;
    return list(PLUGIN_OUTPUT);
}

int command_notifiers_list(const CommandLine *line) {
    (void)line;
    return list(PLUGIN_NOTIFIER);
}

int command_contexts_list(const CommandLine *line) {
    (void)line;
    return list(PLUGIN_CONTEXT);
}
