// stoop: the command table, and how a command line finds its row.
#include "cli/command.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>

const Command commands[] = {
    {"server", "Take events and act on them", TAKES_CONFIG | TAKES_RULES, command_server},
    {"rules check", "Check rules files: all errors at once, with file, line and column",
     TAKES_CONFIG | TAKES_RULES | TAKES_STRICT, command_rules_check},
    {"rules print", "Print the rules as they are once all files are merged", TAKES_CONFIG | TAKES_RULES,
     command_rules_print},
    {"actionners list", "List the actionners, with parameters, permissions and an example", 0, command_actionners_list},
    {"outputs list", "List the outputs of artifacts", 0, command_outputs_list},
    {"notifiers list", "List the notifiers", 0, command_notifiers_list},
    {"contexts list", "List the additional contexts", 0, command_contexts_list},
    {"version", "Print the version", 0, command_version},
    {"completion", "Print the completion script of a shell: bash, zsh or fish", TAKES_SHELL, command_completion},
    {NULL, NULL, 0, NULL},
};

GOptionEntry *command_options(unsigned takes, CommandLine *line) {
    GOptionEntry *entries = g_new0(GOptionEntry, 5);
    size_t n = 0;
    if (takes & TAKES_CONFIG)
        entries[n++] = (GOptionEntry){"config",
                                      'c',
                                      0,
                                      G_OPTION_ARG_FILENAME,
                                      &line->config,
                                      "Configuration file (default /etc/falco-talon/config.yaml where it exists)",
                                      "FILE"};
    if (takes & TAKES_RULES)
        entries[n++] = (GOptionEntry){"rules",
                                      'r',
                                      0,
                                      G_OPTION_ARG_FILENAME_ARRAY,
                                      &line->rules,
                                      "Rules file, may be repeated: later files override earlier ones",
                                      "FILE"};
    if (takes & TAKES_STRICT)
        entries[n++] =
            (GOptionEntry){"strict", 0, 0, G_OPTION_ARG_NONE, &line->strict, "Take warnings for errors", NULL};
    entries[n++] = (GOptionEntry){G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &line->rest, NULL, NULL};
    return entries;
}

bool command_report(const DiagList *diags, bool strict) {
    g_autofree char *text = diag_list_text(diags);
    fputs(text, stderr);
    return diags->errors == 0 && !(strict && diags->warnings > 0);
}

static void print_help(FILE *to) {
    fputs("Stoop answers Falco's events: it acts on the pod, the node or the cluster, within a millisecond.\n\n"
          "Usage:\n  stoop COMMAND [OPTION...]\n\nCommands:\n",
          to);
    for (const Command *c = commands; c->path; c++)
        fprintf(to, "  %-16s %s\n", c->path, c->summary);
    fputs("\n'stoop COMMAND --help' tells a command's options.\n", to);
}

// How many of argv's leading words make up `path`; 0 when they do not.
static int path_words(const char *path, int argc, char **argv) {
    g_auto(GStrv) words = g_strsplit(path, " ", -1);
    int n = (int)g_strv_length(words);
    for (int i = 0; i < n; i++) {
        if (i + 1 >= argc || strcmp(argv[i + 1], words[i]) != 0)
            return 0;
    }
    return n;
}

// "stoop rules" alone: the commands below it.
static bool print_family(const char *word, FILE *to) {
    bool any = false;
    for (const Command *c = commands; c->path; c++) {
        size_t len = strlen(word);
        if (strncmp(c->path, word, len) == 0 && c->path[len] == ' ') {
            if (!any)
                fprintf(to, "Commands of 'stoop %s':\n", word);
            fprintf(to, "  %-16s %s\n", c->path, c->summary);
            any = true;
        }
    }
    return any;
}

static int unknown_command(int argc, char **argv) {
    const char *word = argv[1];
    if (word[0] != '-' && argc == 2 && print_family(word, stderr))
        return EXIT_USAGE;
    if (word[0] != '-' && argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0) &&
        print_family(word, stdout))
        return EXIT_OK;
    g_autofree char *said = argc > 2 && argv[2][0] != '-' ? g_strdup_printf("%s %s", word, argv[2]) : g_strdup(word);
    const char *names[G_N_ELEMENTS(commands)] = {0};
    for (size_t i = 0; commands[i].path; i++)
        names[i] = commands[i].path;
    const char *near = diag_nearest(said, names);
    if (near)
        fprintf(stderr, "stoop: there is no command '%s': did you mean 'stoop %s'?\n", said, near);
    else
        fprintf(stderr, "stoop: there is no command '%s'; 'stoop --help' lists all\n", said);
    return EXIT_USAGE;
}

static void command_line_clear(CommandLine *line) {
    g_free(line->config);
    g_strfreev(line->rules);
    g_strfreev(line->rest);
}

static int run_command(const Command *command, int words, int argc, char **argv) {
    CommandLine line = {0};
    g_autofree GOptionEntry *entries = command_options(command->takes, &line);
    g_autofree char *arguments = g_strconcat(command->path, command->takes & TAKES_SHELL ? " bash|zsh|fish" : "", NULL);
    g_autoptr(GOptionContext) context = g_option_context_new(arguments);
    g_option_context_set_summary(context, command->summary);
    g_option_context_add_main_entries(context, entries, NULL);
    g_option_context_set_help_enabled(context, FALSE);
    for (int i = words + 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            g_autofree char *help = g_option_context_get_help(context, TRUE, NULL);
            fputs(help, stdout);
            return EXIT_OK;
        }
    }
    // GLib wants argv[0] in front of the options.
    int count = argc - words;
    g_autofree char **options = g_new0(char *, (size_t)count + 1);
    options[0] = argv[0];
    for (int i = 1; i < count; i++)
        options[i] = argv[words + i];
    g_autoptr(GError) error = NULL;
    int status = EXIT_USAGE;
    if (!g_option_context_parse(context, &count, &options, &error))
        fprintf(stderr, "stoop %s: %s; 'stoop %s --help' tells the options\n", command->path, error->message,
                command->path);
    else if (line.rest && !(command->takes & TAKES_SHELL))
        fprintf(stderr, "stoop %s: what is '%s'? 'stoop %s --help' tells the options\n", command->path, line.rest[0],
                command->path);
    else
        status = command->run(&line);
    command_line_clear(&line);
    return status;
}

int main(int argc, char **argv) {
    g_set_prgname("stoop");
    setlocale(LC_CTYPE, "C.UTF-8"); // GLib converts file names and messages by it; nothing else depends on the locale
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0)
        return command_version(NULL);
    for (const Command *c = commands; c->path; c++) {
        int words = path_words(c->path, argc, argv);
        if (words > 0)
            return run_command(c, words, argc, argv);
    }
    return unknown_command(argc, argv);
}
