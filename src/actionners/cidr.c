#include "actionners/cidr.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

// The number of bits after the slash, or -1: digits only, no sign, no needless zero in front.
static int prefix_bits(const char *text) {
    size_t len = strlen(text);
    if (len == 0 || len > 3 || strspn(text, "0123456789") != len || (text[0] == '0' && len > 1))
        return -1;
    return (int)g_ascii_strtoll(text, NULL, 10);
}

char *cidr_check(const char *text) {
    unsigned char address[sizeof(struct in6_addr)];
    const char *slash = strchr(text, '/');
    g_autofree char *host = slash ? g_strndup(text, (gsize)(slash - text)) : g_strdup(text);
    bool v4 = inet_pton(AF_INET, host, address) == 1;
    bool v6 = !v4 && inet_pton(AF_INET6, host, address) == 1;
    if (!v4 && !v6)
        return g_strdup("is no CIDR: write it as 10.0.0.0/8 or fd00::/8");
    int most = v4 ? 32 : 128;
    if (!slash)
        return g_strdup_printf("is an address, no CIDR: write it as %s/%d", host, most);
    int bits = prefix_bits(slash + 1);
    if (bits < 0 || bits > most)
        return g_strdup_printf("is no CIDR: after the slash stands a number from 0 to %d", most);
    return NULL;
}
