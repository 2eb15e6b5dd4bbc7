#include "actionners/replicas.h"

#include <stdbool.h>
#include <string.h>

enum { MOST_REPLICAS = 1000000 };

char *replicas_check(const char *text) {
    size_t digits = strspn(text, "0123456789");
    bool percent = strcmp(text + digits, "%") == 0;
    bool plain = text[digits] == '\0';
    if (digits == 0 || digits > 7 || (!percent && !plain))
        return g_strdup("is neither a number of pods such as \"2\" nor a percentage such as \"33%\"");
    int64_t number = g_ascii_strtoll(text, NULL, 10);
    if (percent && number > 100)
        return g_strdup("is more than 100%, which no owner can ever have");
    if (number > MOST_REPLICAS)
        return g_strdup_printf("is more than %d", MOST_REPLICAS);
    return NULL;
}

int64_t replicas_needed(const char *text, int64_t wanted) {
    int64_t number = g_ascii_strtoll(text, NULL, 10);
    if (!g_str_has_suffix(text, "%"))
        return number;
    return (number * wanted + 99) / 100;
}
