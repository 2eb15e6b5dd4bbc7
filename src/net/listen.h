// Listening sockets that share one port.
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

// Opens `count` listening sockets (non-blocking, close-on-exec, SO_REUSEPORT) on one address and port into `fds`; the
// kernel spreads new connections over them. Port 0 takes a free one. Fails when anybody else listens there already,
// with a text that names address and port. The caller closes the sockets.
bool listen_sockets(const char *address, uint16_t port, unsigned count, int *fds, uint16_t *bound_port, GError **error);
