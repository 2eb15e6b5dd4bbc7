// One thread that carries many calls at once with libcurl's multi interface. Inside of the HTTP client only.
#pragma once

#include "net/client_call.h"

#include <stdbool.h>

typedef struct ClientLoop ClientLoop;

// The settings must outlive the loop.
ClientLoop *client_loop_new(const ClientSettings *settings, TlsMaterial *tls, GError **error);

// Performs one call, blocking the caller until its end, its deadline or its cancellation. A streamed body is handed to
// on_data on the caller's thread. Thread-safe; false also fills `sent` of the response.
bool client_loop_perform(ClientLoop *loop, const HttpRequest *request, HttpResponse *response, GError **error);

// Ends all calls with STOOP_ERROR_CANCELLED, now and later ones.
void client_loop_cancel(ClientLoop *loop);

// Joins the thread. No call may be under way.
void client_loop_free(ClientLoop *loop);
