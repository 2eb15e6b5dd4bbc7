#include "rules/rule_match.h"
#include "yaml/diag.h"

#include <string.h>

static const char *skip_blanks(const char *text) {
    while (*text && g_ascii_isspace(*text))
        text++;
    return text;
}

static size_t trimmed_len(const char *text, size_t len) {
    while (len > 0 && g_ascii_isspace(text[len - 1]))
        len--;
    return len;
}

// `format` has one %s, for the text in quotes.
static char *problem_with(const char *format, const char *text, size_t len) {
    g_autofree char *copy = g_strndup(text, len);
    g_autofree char *quoted = diag_quote(copy);
    g_auto(GStrv) parts = g_strsplit(format, "%s", 2);
    return g_strjoinv(quoted, parts);
}

static MatchText text_copy(const char *text, size_t len) {
    return (MatchText){.text = g_strndup(text, len), .len = len};
}

typedef enum { COMPARE_EQUAL, COMPARE_LESS, COMPARE_AT_MOST, COMPARE_GREATER, COMPARE_AT_LEAST } Comparator;
static const char *const comparator_texts[] = {"", "<", "<=", ">", ">="};

// Reads "", "=", "==", "<", "<=", ">", ">=", blanks tolerated anywhere. False for any other row of these signs.
static bool read_comparator(const char **text, Comparator *comparator) {
    char signs[3] = "";
    size_t count = 0;
    const char *c = skip_blanks(*text);
    for (; *c && strchr("<>=!~", *c); c = skip_blanks(c + 1)) {
        if (count == 2)
            return false;
        signs[count++] = *c;
    }
    *text = c;
    if (strcmp(signs, "=") == 0 || strcmp(signs, "==") == 0)
        signs[0] = '\0';
    for (size_t i = 0; i < G_N_ELEMENTS(comparator_texts); i++)
        if (strcmp(signs, comparator_texts[i]) == 0) {
            *comparator = (Comparator)i;
            return true;
        }
    return false;
}

static bool compare(Comparator comparator, Priority a, Priority b) {
    switch (comparator) {
    case COMPARE_EQUAL:
        return a == b;
    case COMPARE_LESS:
        return a < b;
    case COMPARE_AT_MOST:
        return a <= b;
    case COMPARE_GREATER:
        return a > b;
    case COMPARE_AT_LEAST:
        return a >= b;
    }
    return false;
}

static char *unknown_priority(const char *name) {
    const char *names[PRIORITY_UNKNOWN + 1] = {NULL};
    for (int i = PRIORITY_DEBUG; i < PRIORITY_UNKNOWN; i++)
        names[i] = priority_name((Priority)i);
    g_autofree char *written = g_ascii_strdown(name, -1);
    written[0] = g_ascii_toupper(written[0]);
    const char *near = diag_nearest(written, names);
    g_autofree char *quoted = diag_quote(name);
    if (near)
        return g_strdup_printf("%s is no priority: did you mean %s?", quoted, near);
    return g_strdup_printf("%s is no priority: it is one of Debug, Informational, Notice, Warning, Error, Critical, "
                           "Alert, Emergency, with <, <=, > or >= before it or none",
                           quoted);
}

bool rule_match_parse_priority(RuleMatch *match, const char *text, char **problem) {
    Comparator comparator = COMPARE_EQUAL;
    const char *rest = text;
    if (!read_comparator(&rest, &comparator)) {
        *problem = problem_with("%s starts with no comparator that is known: use <, <=, > or >=", text, strlen(text));
        return false;
    }
    g_autofree char *name = g_strndup(rest, trimmed_len(rest, strlen(rest)));
    Priority priority = *name ? priority_from_text(name, strlen(name)) : PRIORITY_UNKNOWN;
    if (priority == PRIORITY_UNKNOWN) {
        *problem = *name ? unknown_priority(name) : problem_with("%s names no priority", text, strlen(text));
        return false;
    }
    uint16_t priorities = 0;
    for (int i = PRIORITY_DEBUG; i < PRIORITY_UNKNOWN; i++)
        if (compare(comparator, (Priority)i, priority))
            priorities |= (uint16_t)(1U << i);
    match->priorities = priorities;
    g_free(match->priority_text);
    match->priority_text = g_strconcat(comparator_texts[comparator], priority_name(priority), NULL);
    return true;
}

bool tag_set_parse(TagSet *set, const char *text, char **problem) {
    g_autoptr(GPtrArray) tags = g_ptr_array_new_with_free_func(g_free);
    for (const char *c = text;; c++) {
        c = skip_blanks(c);
        size_t len = strcspn(c, ",");
        size_t trimmed = trimmed_len(c, len);
        if (trimmed == 0) {
            *problem = problem_with("an empty tag in %s", text, strlen(text));
            return false;
        }
        g_ptr_array_add(tags, g_strndup(c, trimmed));
        c += len;
        if (!*c)
            break;
    }
    set->count = tags->len;
    set->tags = (char **)g_ptr_array_steal(tags, NULL);
    return true;
}

// The end of a field's name: the first '=', '!=' or ',' outside brackets, or the end. NULL when a bracket stays open.
static const char *field_end(const char *text) {
    unsigned depth = 0;
    for (; *text; text++) {
        if (*text == '[' || *text == '(')
            depth++;
        else if ((*text == ']' || *text == ')') && depth > 0)
            depth--;
        else if (depth == 0 && (*text == '=' || *text == ',' || (*text == '!' && text[1] == '=')))
            return text;
    }
    return depth == 0 ? text : NULL;
}

static bool is_field_name(const char *text, size_t len) {
    unsigned depth = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '[' || text[i] == '(')
            depth++;
        else if ((text[i] == ']' || text[i] == ')') && depth > 0)
            depth--;
        else if (depth == 0 && (g_ascii_isspace(text[i]) || strchr("\"'`!<>~", text[i])))
            return false;
    }
    return len > 0;
}

static bool read_field(const char **text, Condition *condition, char **problem) {
    const char *end = field_end(*text);
    if (!end) {
        *problem = problem_with("a bracket stays open in %s", *text, strlen(*text));
        return false;
    }
    size_t len = trimmed_len(*text, (size_t)(end - *text));
    if (*end == '\0' || *end == ',') {
        *problem = len == 0
                       ? g_strdup("an empty condition: write key=value or key!=value")
                       : problem_with(
                             "%s is no condition: write key=value or key!=value, and quote a value that holds a comma",
                             *text, len);
        return false;
    }
    if (!is_field_name(*text, len)) {
        *problem = len == 0 ? problem_with("no field before %s", end, strlen(end))
                            : problem_with("%s is no name of a field: only = and != compare", *text, len);
        return false;
    }
    condition->op = *end == '!' ? CONDITION_NOT_EQUALS : CONDITION_EQUALS;
    condition->field = text_copy(*text, len);
    end += condition->op == CONDITION_NOT_EQUALS ? 2 : 1;
    // `==` is how programmers write it; a value that starts with '=' can be quoted.
    if (condition->op == CONDITION_EQUALS && *end == '=')
        end++;
    *text = end;
    return true;
}

// A quote inside is doubled; a backslash is a backslash, as command lines and paths have many.
static bool read_quoted(const char **text, MatchText *value, char **problem) {
    const char *start = *text;
    char quote = *start;
    g_autoptr(GString) plain = g_string_new(NULL);
    const char *c = start + 1;
    for (; *c; c++) {
        if (*c == quote && c[1] != quote)
            break;
        if (*c == quote)
            c++;
        g_string_append_c(plain, *c);
    }
    if (!*c) {
        *problem = problem_with("the quote is not closed in %s", start, strlen(start));
        return false;
    }
    c = skip_blanks(c + 1);
    if (*c && *c != ',') {
        *problem = problem_with("after a quoted value comes a comma or the end, found %s", c, strlen(c));
        return false;
    }
    *text = c;
    *value = text_copy(plain->str, plain->len);
    return true;
}

static bool read_value(const char **text, MatchText *value, char **problem) {
    const char *c = skip_blanks(*text);
    if (*c == '"' || *c == '\'') {
        *text = c;
        return read_quoted(text, value, problem);
    }
    size_t len = strcspn(c, ",");
    *value = text_copy(c, trimmed_len(c, len));
    *text = c + len;
    return true;
}

static void condition_clear(void *data) {
    Condition *condition = data;
    g_free(condition->field.text);
    g_free(condition->value.text);
}

bool condition_set_parse(ConditionSet *set, const char *text, char **problem) {
    g_autoptr(GArray) conditions = g_array_new(FALSE, TRUE, sizeof(Condition));
    g_array_set_clear_func(conditions, condition_clear);
    for (const char *c = text;; c++) {
        c = skip_blanks(c);
        Condition condition = {0};
        if (!read_field(&c, &condition, problem) || !read_value(&c, &condition.value, problem)) {
            condition_clear(&condition);
            return false;
        }
        g_array_append_val(conditions, condition);
        if (!*c)
            break;
    }
    gsize count = 0;
    set->conditions = g_array_steal(conditions, &count);
    set->count = count;
    return true;
}

void condition_append(GString *out, const Condition *condition) {
    g_string_append(out, condition->field.text);
    g_string_append(out, condition->op == CONDITION_EQUALS ? "=" : "!=");
    const char *value = condition->value.text;
    bool plain = !strpbrk(value, ",\"'") && *value != '=' && skip_blanks(value) == value &&
                 trimmed_len(value, condition->value.len) == condition->value.len;
    if (plain) {
        g_string_append(out, value);
        return;
    }
    g_string_append_c(out, '"');
    for (; *value; value++) {
        if (*value == '"')
            g_string_append_c(out, '"');
        g_string_append_c(out, *value);
    }
    g_string_append_c(out, '"');
}
