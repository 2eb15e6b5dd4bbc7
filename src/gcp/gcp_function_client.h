// Functions of Google Cloud, of both generations: found by name, called with an ID token.
#pragma once

#include "gcp/gcp_client.h"

// The URL that calls the function `name` in `location`, from the API (both generations are tried). g_free.
bool gcp_function_url(GcpClient *client, const char *name, const char *location, const GcpCall *call, char **url,
                      GError **error);

// Posts JSON to the function. True for 200 to 299, then `answer` (g_free) has the start of what it said; else the error
// has it. Not repeated once it may have run.
bool gcp_function_call(GcpClient *client, const char *url, const char *json, size_t len, const GcpCall *call,
                       int *status, char **answer, GError **error);

// Whether these can be the names of a function and a location.
bool gcp_function_name_is_valid(const char *name);
