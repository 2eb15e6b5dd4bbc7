#pragma once

#include <stdbool.h>
#include <stdint.h>

// How many bytes of payload the kernel has received on a TCP connection; false where it does not tell.
bool conn_received_bytes(int fd, uint64_t *bytes);
