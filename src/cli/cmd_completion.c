// `stoop completion bash|zsh|fish`, made from the command table.
#include "cli/command.h"

#include <stdio.h>
#include <string.h>

// Appends the first words of all commands, or the second words of one family.
static void append_words(GString *out, const char *family) {
    for (const Command *c = commands; c->path; c++) {
        size_t len = strcspn(c->path, " ");
        if (!family) {
            // The words of one family follow each other in the table.
            if (c > commands && strncmp(c->path, c[-1].path, len) == 0 && strcspn(c[-1].path, " ") == len)
                continue;
            g_string_append_printf(out, "%s%.*s", out->len ? " " : "", (int)len, c->path);
        } else if (strncmp(c->path, family, len) == 0 && strlen(family) == len && c->path[len] == ' ') {
            g_string_append_printf(out, "%s%s", out->len ? " " : "", c->path + len + 1);
        }
    }
}

static void append_options(GString *out, unsigned takes) {
    CommandLine unused = {0};
    g_autofree GOptionEntry *entries = command_options(takes, &unused);
    for (const GOptionEntry *e = entries; e->long_name; e++) {
        if (e->long_name[0])
            g_string_append_printf(out, "--%s ", e->long_name);
    }
    g_string_append(out, "--help");
}

static void print_bash(void) {
    g_autoptr(GString) words = g_string_new(NULL);
    append_words(words, NULL);
    printf("# bash completion of stoop; use: source <(stoop completion bash)\n"
           "_stoop() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=\n"
           "    case $prev in -c | --config | -r | --rules) COMPREPLY=($(compgen -f -- \"$cur\")); return ;; esac\n"
           "    case \"${COMP_WORDS[*]:1:COMP_CWORD-1}\" in\n"
           "    \"\") words=\"%s --help\" ;;\n",
           words->str);
    for (const Command *c = commands; c->path; c++) {
        g_autoptr(GString) options = g_string_new(NULL);
        if (c->takes & TAKES_SHELL)
            g_string_append(options, "bash zsh fish ");
        append_options(options, c->takes);
        if (strchr(c->path, ' ') && (c == commands || strncmp(c->path, c[-1].path, strcspn(c->path, " ") + 1) != 0)) {
            g_autofree char *family = g_strndup(c->path, strcspn(c->path, " "));
            g_autoptr(GString) second = g_string_new(NULL);
            append_words(second, family);
            printf("    \"%s\") words=\"%s\" ;;\n", family, second->str);
        }
        printf("    \"%s\"*) words=\"%s\" ;;\n", c->path, options->str);
    }
    puts("    esac\n    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -F _stoop stoop");
}

static void print_zsh(void) {
    // zsh reads bash's completions through bashcompinit: one table, no second list.
    puts("#compdef stoop\n# zsh completion of stoop; use: source <(stoop completion zsh)\n"
         "autoload -U +X bashcompinit && bashcompinit");
    print_bash();
}

static void print_fish(void) {
    puts("# fish completion of stoop; use: stoop completion fish | source\ncomplete -c stoop -f");
    for (const Command *c = commands; c->path; c++) {
        size_t len = strcspn(c->path, " ");
        g_autofree char *first = g_strndup(c->path, len);
        const char *second = c->path[len] ? c->path + len + 1 : NULL;
        if (!second)
            printf("complete -c stoop -n __fish_use_subcommand -a %s -d '%s'\n", first, c->summary);
        else {
            if (c == commands || strncmp(c->path, c[-1].path, len + 1) != 0)
                printf("complete -c stoop -n __fish_use_subcommand -a %s\n", first);
            printf(
                "complete -c stoop -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from %s' -a %s "
                "-d '%s'\n",
                first, second, second, c->summary);
        }
        CommandLine unused = {0};
        g_autofree GOptionEntry *entries = command_options(c->takes, &unused);
        for (const GOptionEntry *e = entries; e->long_name; e++) {
            if (!e->long_name[0])
                continue;
            printf("complete -c stoop -n '__fish_seen_subcommand_from %s' -l %s", second ? second : first,
                   e->long_name);
            if (e->short_name)
                printf(" -s %c", e->short_name);
            printf("%s -d '%s'\n", e->arg == G_OPTION_ARG_NONE ? "" : " -r -F", e->description);
        }
    }
    puts("complete -c stoop -n '__fish_seen_subcommand_from completion' -a 'bash zsh fish'");
}

int command_completion(const CommandLine *line) {
    const char *shell = line->rest && line->rest[0] && !line->rest[1] ? line->rest[0] : NULL;
    if (shell && strcmp(shell, "bash") == 0)
        print_bash();
    else if (shell && strcmp(shell, "zsh") == 0)
        print_zsh();
    else if (shell && strcmp(shell, "fish") == 0)
        print_fish();
    else {
        fputs("stoop completion: name one shell: bash, zsh or fish\n", stderr);
        return EXIT_USAGE;
    }
    return EXIT_OK;
}
