// Falco's priorities, and the time and priority that Falco puts in front of every output text.
#include "event/event_private.h"

#include <string.h>

static const char *const names[] = {"Debug", "Informational", "Notice", "Warning",
                                    "Error", "Critical",      "Alert",  "Emergency"};

Priority priority_from_text(const char *text, size_t len) {
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
        if (strlen(names[i]) == len && g_ascii_strncasecmp(text, names[i], len) == 0)
            return (Priority)i;
    // Falco's short forms.
    if (len == 4 && g_ascii_strncasecmp(text, "info", 4) == 0)
        return PRIORITY_INFORMATIONAL;
    if (len == 4 && g_ascii_strncasecmp(text, "warn", 4) == 0)
        return PRIORITY_WARNING;
    return PRIORITY_UNKNOWN;
}

const char *priority_name(Priority priority) {
    return (unsigned)priority < G_N_ELEMENTS(names) ? names[priority] : "";
}

// Compares with a pattern in which '9' stands for any digit; returns the bytes taken, 0 when it does not fit.
static size_t take(const char *text, size_t len, const char *pattern) {
    size_t n = strlen(pattern);
    if (len < n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (pattern[i] == '9' ? !g_ascii_isdigit(text[i]) : text[i] != pattern[i])
            return 0;
    return n;
}

static size_t take_fraction(const char *text, size_t len) {
    if (len < 2 || text[0] != '.')
        return 0;
    size_t n = 1;
    while (n < len && n <= 9 && g_ascii_isdigit(text[n]))
        n++;
    return n > 1 ? n : 0;
}

static size_t take_zone(const char *text, size_t len) {
    static const char *const zones[] = {"+99:99", "-99:99", "+9999", "-9999"};
    if (len > 0 && (text[0] == 'Z' || text[0] == 'z'))
        return 1;
    for (unsigned i = 0; i < G_N_ELEMENTS(zones); i++) {
        size_t n = take(text, len, zones[i]);
        if (n > 0)
            return n;
    }
    return 0;
}

// The time and the ": " behind it. A bare clock needs its fraction: "12:00:00: backup began" is a rule's own text.
static size_t take_time(const char *text, size_t len) {
    size_t n = take(text, len, "9999-99-99T99:99:99");
    if (n > 0) {
        n += take_fraction(text + n, len - n);
        size_t zone = take_zone(text + n, len - n);
        if (zone == 0)
            return 0;
        n += zone;
    } else {
        n = take(text, len, "99:99:99");
        size_t fraction = n > 0 ? take_fraction(text + n, len - n) : 0;
        if (fraction == 0)
            return 0;
        n += fraction;
    }
    size_t colon = take(text + n, len - n, ": ");
    return colon > 0 ? n + colon : 0;
}

size_t priority_prefix_length(const char *text, size_t len) {
    size_t n = take_time(text, len);
    if (n == 0)
        return 0;
    const char *end = memchr(text + n, ' ', MIN(len - n, sizeof "Informational"));
    size_t word = end ? (size_t)(end - (text + n)) : len - n;
    if (priority_from_text(text + n, word) == PRIORITY_UNKNOWN)
        return n;
    return end ? n + word + 1 : len;
}
