#include "aws/aws_profile.h"

#include "base/buf.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_FILE ((gsize)1024 * 1024)

// Whether the line is a section's head, and then whether the section is ours.
static gboolean is_section(char *line, const char *name, gboolean config, gboolean *ours) {
    if (*line != '[')
        return FALSE;
    *ours = FALSE;
    char *end = strchr(line, ']');
    if (!end)
        return TRUE;
    *end = '\0';
    char *title = g_strstrip(line + 1);
    if (config && strncmp(title, "profile", 7) == 0 && g_ascii_isspace(title[7]))
        *ours = strcmp(g_strchug(title + 7), name) == 0;
    else if (!config || strcmp(title, "default") == 0)
        *ours = strcmp(title, name) == 0;
    return TRUE;
}

gboolean aws_profile_parse(const char *text, gsize len, const char *name, gboolean config, AwsProfile *profile) {
    g_autofree char *copy = g_strndup(len > 0 ? text : "", len);
    g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
    gboolean ours = FALSE, found = FALSE;
    for (char **at = lines; *at; at++) {
        // A line that begins with a blank goes on with the value above (nested settings of s3 and the like): not ours.
        if (g_ascii_isspace(**at))
            continue;
        char *line = g_strstrip(*at);
        if (*line == '#' || *line == ';' || *line == '\0')
            continue;
        if (is_section(line, name, config, &ours)) {
            found = found || ours;
            continue;
        }
        char *equals = strchr(line, '=');
        if (!ours || !equals)
            continue;
        *equals = '\0';
        g_autofree char *key = g_ascii_strdown(g_strchomp(line), -1);
        if (!g_hash_table_contains(profile, key))
            g_hash_table_insert(profile, g_steal_pointer(&key), g_strdup(g_strchug(equals + 1)));
    }
    return found;
}

static gboolean add_file(const char *path, const char *name, gboolean config, AwsProfile *profile) {
    int file = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (file < 0)
        return FALSE;
    g_auto(Buf) text = BUF_INIT(MAX_FILE);
    buf_read_fd(&text, file);
    close(file);
    return aws_profile_parse(buf_text(&text), text.len, name, config, profile);
}

AwsProfile *aws_profile_load(const char *credentials_file, const char *config_file, const char *name) {
    g_autoptr(GHashTable) profile = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    // The credentials file goes before the configuration file where both say something.
    gboolean found = add_file(credentials_file, name, FALSE, profile);
    found = add_file(config_file, name, TRUE, profile) || found;
    return found ? g_steal_pointer(&profile) : NULL;
}
