#include "gcp/gcp_crc32c.h"

#include <string.h>

#define POLYNOMIAL 0x82f63b78u // reflected

typedef struct {
    uint32_t t[8][256];
} Tables;

// Eight tables, so that eight bytes are taken at once. Each call makes them, which takes some microseconds: callers
// bring megabytes.
static void make_tables(Tables *tables) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
        tables->t[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            tables->t[k][i] = (tables->t[k - 1][i] >> 8) ^ tables->t[0][tables->t[k - 1][i] & 0xff];
}

static uint32_t take_eight(const Tables *tables, uint32_t crc, const unsigned char *p) {
    const uint32_t(*t)[256] = tables->t;
    uint32_t low = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    return t[7][low & 0xff] ^ t[6][low >> 8 & 0xff] ^ t[5][low >> 16 & 0xff] ^ t[4][low >> 24] ^ t[3][p[4]] ^
           t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]];
}

uint32_t gcp_crc32c(uint32_t crc, const void *data, size_t len) {
    Tables tables;
    make_tables(&tables);
    const unsigned char *p = data;
    crc = ~crc;
    for (; len >= 8; p += 8, len -= 8)
        crc = take_eight(&tables, crc, p);
    for (; len > 0; p++, len--)
        crc = tables.t[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
    return ~crc;
}
