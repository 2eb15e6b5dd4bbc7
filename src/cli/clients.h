// The clients of the outside world, made from the configuration. None of them touches the network before it is used.
#pragma once

#include "config/config.h"
#include "schema/clients.h"

#include <glib.h>
#include <stdbool.h>

// On failure what was made is in `clients` all the same, for clients_free. The image names stay the configuration's.
bool clients_make(const Config *config, ActionClients *clients, GError **error);
void clients_free(ActionClients *clients);
