// CRC32C (Castagnoli), the checksum that Google Cloud Storage keeps of every object.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Goes on from `crc` (0 at the start).
uint32_t gcp_crc32c(uint32_t crc, const void *data, size_t len);
