// Writes what follows from the descriptors: docs/*.md parts, the JSON Schemas and seeds for the fuzzers. Run by
// tools/gen-docs; not part of the product.
#include "cli/catalogue.h"
#include "config/config.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[] = {
    [PARAM_BOOL] = "bool", [PARAM_INT] = "number", [PARAM_TEXT] = "text", [PARAM_LIST] = "list", [PARAM_MAP] = "map"};

static void write_file(const char *folder, const char *name, const GString *text) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_autofree char *parent = g_path_get_dirname(path);
    g_autoptr(GError) error = NULL;
    if (g_mkdir_with_parents(parent, 0755) != 0 || !g_file_set_contents(path, text->str, (gssize)text->len, &error)) {
        fprintf(stderr, "gendocs: %s: %s\n", path, error ? error->message : "cannot make its folder");
        exit(1);
    }
}

// A cell of a table: no bars, no line ends.
static void append_cell(GString *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '|')
            g_string_append(out, "\\|");
        else
            g_string_append_c(out, *c == '\n' ? ' ' : *c);
    }
}

static void append_rows(GString *out, const ParamRow *rows, bool variables) {
    g_string_append(out, variables ? "| key | type | default | variable | meaning |\n|---|---|---|---|---|\n"
                                   : "| parameter | type | default | meaning |\n|---|---|---|---|\n");
    for (const ParamRow *row = rows; row->name; row++) {
        g_string_append_printf(out, "| `%s` | %s", row->name, type_names[row->type]);
        if (row->unit)
            g_string_append_printf(out, ", %s", row->unit);
        g_string_append(out, " | ");
        if (row->required)
            g_string_append(out, "**required**");
        else if (row->default_value && *row->default_value)
            g_string_append_printf(out, "`%s`", row->default_value);
        g_string_append(out, " | ");
        if (variables) {
            g_autofree char *name = g_ascii_strup(row->name, -1);
            g_string_append_printf(out, "`%s` | ", g_strdelimit(name, ".", '_'));
        }
        append_cell(out, row->summary ? row->summary : "");
        if (row->choices) {
            g_autofree char *choices = g_strjoinv("`, `", (char **)row->choices);
            g_string_append_printf(out, " One of `%s`.", choices);
        }
        if (row->has_range && row->max == INT64_MAX)
            g_string_append_printf(out, " At least %" G_GINT64_FORMAT ".", row->min);
        else if (row->has_range)
            g_string_append_printf(out, " From %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT ".", row->min, row->max);
        if (row->secret)
            g_string_append_printf(out, " Secret: never printed; `%s_file` names a file instead.", row->name);
        if (row->old_names) {
            g_autofree char *old = g_strjoinv("`, `", (char **)row->old_names);
            g_string_append_printf(out, " Old names, still taken: `%s`.", old);
        }
        g_string_append(out, " |\n");
    }
    g_string_append_c(out, '\n');
}

static void append_actionner_facts(GString *out, const PluginInfo *info) {
    static const char *const needs[] = {
        [NEEDS_NO_OUTPUT] = "none", [MAY_HAVE_OUTPUT] = "optional", [NEEDS_OUTPUT] = "required"};
    g_string_append_printf(out, "- Continue by default: %s\n- Additional contexts: %s\n- Output: %s\n- Source: %s\n",
                           info->default_continue ? "yes" : "no", info->uses_contexts ? "yes" : "no",
                           needs[info->output], info->source);
    if (info->deadline_ms > 0)
        g_string_append_printf(out, "- Deadline: %" G_GINT64_FORMAT " s\n", info->deadline_ms / 1000);
    if (info->required_fields && info->required_fields[0]) {
        g_string_append(out, "- Needs in the event: ");
        for (const char *const *f = info->required_fields; *f; f++) {
            g_auto(GStrv) either = g_strsplit(*f, "|", -1);
            g_autofree char *text = g_strjoinv("` or `", either);
            g_string_append_printf(out, "%s`%s`", f == info->required_fields ? "" : ", ", text);
        }
        g_string_append_c(out, '\n');
    }
}

static void append_permissions(GString *out, const PluginInfo *info) {
    if (info->permissions && info->permissions[0].resource) {
        g_string_append(out, "Permissions (RBAC):\n\n| API group | resource | verbs | when |\n|---|---|---|---|\n");
        for (const PluginPermission *p = info->permissions; p->resource; p++)
            g_string_append_printf(out, "| `%s` | `%s` | %s | %s |\n", p->api_group, p->resource, p->verbs,
                                   p->when ? p->when : "always");
        g_string_append_c(out, '\n');
    }
    if (info->access && info->access[0]) {
        g_autofree char *list = g_strjoinv("`, `", (char **)info->access);
        g_string_append_printf(out, "Access: `%s`.\n\n", list);
    }
}

static void write_plugins(const char *folder, PluginKind kind, const char *file, const char *title, const char *intro) {
    g_autoptr(GString) out = g_string_new(NULL);
    g_string_append_printf(
        out, "# %s\n\n<!-- Made by tools/gen-docs from the descriptors in src/: change them, not this. -->\n\n%s\n\n",
        title, intro);
    for (const PluginInfo *const *p = cli_catalogue()->plugins[kind]; *p; p++) {
        const PluginInfo *info = *p;
        g_string_append_printf(out, "## `%s`\n\n%s\n\n", info->name, info->summary);
        if (info->planned)
            g_string_append(out,
                            "**Planned**: rules that name it load with a warning; running it fails, saying so.\n\n");
        if (info->description)
            g_string_append_printf(out, "%s\n\n", info->description);
        if (kind == PLUGIN_ACTIONNER) {
            append_actionner_facts(out, info);
            g_string_append_c(out, '\n');
        }
        if (info->params.rows && info->params.rows[0].name)
            append_rows(out, info->params.rows, false);
        append_permissions(out, info);
        if (info->example)
            g_string_append_printf(out, "```yaml\n%s%s```\n\n", info->example,
                                   g_str_has_suffix(info->example, "\n") ? "" : "\n");
    }
    g_string_truncate(out, out->len - 1);
    write_file(folder, file, out);
}

static void append_name_enum(GString *out, PluginKind kind) {
    g_string_append(out, "{\"enum\": [");
    for (const PluginInfo *const *p = cli_catalogue()->plugins[kind]; *p; p++)
        g_string_append_printf(out, "%s\"%s\"", p == cli_catalogue()->plugins[kind] ? "" : ", ", (*p)->name);
    g_string_append(out, "]}");
}

// if {key: name} then {parameters: its schema}, for each plug-in of a kind.
static void append_conditions(GString *out, PluginKind kind, const char *key) {
    g_string_append(out, "\"allOf\": [\n");
    for (const PluginInfo *const *p = cli_catalogue()->plugins[kind]; *p; p++) {
        g_autofree char *schema = param_json_schema(&(*p)->params);
        g_string_append_printf(
            out,
            "      {\"if\": {\"required\": [\"%s\"], \"properties\": {\"%s\": {\"const\": \"%s\"}}},\n"
            "       \"then\": {\"properties\": {\"parameters\": %s}}}%s\n",
            key, key, (*p)->name, schema, p[1] ? "," : "");
    }
    g_string_append(out, "    ]");
}

static void write_rules_schema(const char *folder) {
    g_autoptr(GString) out = g_string_new(
        "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"title\": \"Stoop rules\", \"type\": "
        "\"array\",\n"
        " \"items\": {\"if\": {\"required\": [\"rule\"]}, \"then\": {\"$ref\": \"#/$defs/rule\"}, \"else\": {\"$ref\": "
        "\"#/$defs/reusable\"}},\n \"$defs\": {\n"
        "  \"bool\": {\"enum\": [true, false, \"true\", \"false\"]},\n"
        "  \"text\": {\"type\": [\"string\", \"number\", \"boolean\"]},\n"
        "  \"texts\": {\"anyOf\": [{\"$ref\": \"#/$defs/text\"}, {\"type\": \"array\", \"items\": {\"$ref\": "
        "\"#/$defs/text\"}}]},\n"
        "  \"output\": {\"type\": \"object\", \"required\": [\"target\"], \"properties\": {\"target\": ");
    append_name_enum(out, PLUGIN_OUTPUT);
    g_string_append(out, ", \"parameters\": {\"type\": \"object\"}},\n    ");
    append_conditions(out, PLUGIN_OUTPUT, "target");
    g_string_append(
        out,
        "},\n  \"reusable\": {\"type\": \"object\", \"required\": [\"action\"], \"properties\": {\n"
        "    \"action\": {\"$ref\": \"#/$defs/text\"}, \"description\": {\"$ref\": \"#/$defs/text\"}, \"actionner\": ");
    append_name_enum(out, PLUGIN_ACTIONNER);
    g_string_append(
        out, ",\n    \"continue\": {\"$ref\": \"#/$defs/bool\"}, \"ignore_errors\": {\"$ref\": \"#/$defs/bool\"},\n"
             "    \"parameters\": {\"type\": \"object\"}, \"output\": {\"$ref\": \"#/$defs/output\"},\n"
             "    \"additional_contexts\": {\"type\": \"array\", \"items\": ");
    append_name_enum(out, PLUGIN_CONTEXT);
    g_string_append(out, "}},\n    ");
    append_conditions(out, PLUGIN_ACTIONNER, "actionner");
    g_string_append(
        out, "},\n  \"rule\": {\"type\": \"object\", \"required\": [\"rule\"], \"properties\": {\n"
             "    \"rule\": {\"$ref\": \"#/$defs/text\"}, \"description\": {\"$ref\": \"#/$defs/text\"},\n"
             "    \"match\": {\"type\": \"object\", \"properties\": {\"rules\": {\"$ref\": \"#/$defs/texts\"}, "
             "\"priority\": "
             "{\"type\": \"string\"}, \"source\": {\"type\": \"string\"}, \"tags\": {\"$ref\": \"#/$defs/texts\"}, "
             "\"output_fields\": {\"$ref\": \"#/$defs/texts\"}}},\n"
             "    \"actions\": {\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/reusable\"}},\n"
             "    \"continue\": {\"$ref\": \"#/$defs/bool\"}, \"dry_run\": {\"$ref\": \"#/$defs/bool\"},\n"
             "    \"notifiers\": {\"type\": \"array\", \"items\": ");
    append_name_enum(out, PLUGIN_NOTIFIER);
    g_string_append(out, "}}}}}\n");
    write_file(folder, "docs/rules.schema.json", out);
}

static void write_config(const char *folder) {
    g_autofree char *schema = config_json_schema(cli_catalogue());
    g_autoptr(GString) json = g_string_new(schema);
    g_string_append_c(json, '\n');
    write_file(folder, "docs/config.schema.json", json);
    g_autoptr(GString) out = g_string_new("# Every configuration key\n\n<!-- Made by tools/gen-docs from the table in "
                                          "src/config: change it, not this. -->\n\n"
                                          "A key with a dot is a key inside a map, as in `deduplication: "
                                          "{time_window_seconds: 5}`. The variable overrides the "
                                          "file.\n\n");
    append_rows(out, config_table.rows, true);
    g_string_append(out, "`notifiers` is a map of each notifier's settings: see [notifiers.md](notifiers.md).\n");
    write_file(folder, "docs/configuration-keys.md", out);
}

// A rules file for each actionner, from its example: seeds for the fuzzer of rules files.
static void write_seeds(const char *folder) {
    for (const PluginInfo *const *p = cli_catalogue()->plugins[PLUGIN_ACTIONNER]; *p; p++) {
        g_autofree char *name = g_strdup((*p)->name);
        g_autofree char *file =
            g_strdup_printf("tests/fuzz/corpus/rules/example-%s.yaml", g_strdelimit(name, ":", '-'));
        g_autoptr(GString) out = g_string_new((*p)->example ? (*p)->example : "");
        write_file(folder, file, out);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fputs("usage: gendocs FOLDER\n", stderr);
        return 2;
    }
    write_plugins(argv[1], PLUGIN_ACTIONNER, "docs/actionners.md", "Actionners",
                  "What an action can do. `stoop actionners list` prints the same.");
    write_plugins(argv[1], PLUGIN_OUTPUT, "docs/outputs.md", "Outputs",
                  "Where an artifact (a log, a file, a capture) is stored. `stoop outputs list` prints the same.");
    write_plugins(argv[1], PLUGIN_NOTIFIER, "docs/notifiers.md", "Notifiers",
                  "Who is told of every result. `stoop notifiers list` prints the same.");
    write_plugins(argv[1], PLUGIN_CONTEXT, "docs/contexts.md", "Additional contexts",
                  "Facts that are added to an event before an action runs. `stoop contexts list` prints the same.");
    write_rules_schema(argv[1]);
    write_config(argv[1]);
    write_seeds(argv[1]);
    return 0;
}
