// One call over one libcurl handle: options in, answer out. Inside of the HTTP client only.
#pragma once

#include "net/http.h"
#include "net/tls_material.h"

#include <curl/curl.h>
#include <stdatomic.h>

// What is the same for all handles of a client.
typedef struct {
    bool insecure, http1;
    char *server_name, *proxy; // NULL: none
    int64_t connect_timeout_us;
    atomic_uint_fast64_t *connections_opened; // counted here
} ClientSettings;

typedef enum { PIECE_TAKEN, PIECE_LATER, PIECE_FAILED } PieceResult;

typedef struct ClientCall ClientCall;
struct ClientCall {
    const HttpRequest *request;
    // Takes a piece of a streamed body. PIECE_LATER pauses the transfer and gets the same piece again.
    PieceResult (*take_piece)(ClientCall *call, const char *data, size_t len);
    HttpResponse response;
    bool streaming; // the body goes to take_piece
    bool refused;   // the end is ours: `error` says why
    GError *error;
};

typedef struct ClientHandle ClientHandle;

ClientHandle *client_handle_new(const ClientSettings *settings, TlsMaterial *tls);
void client_handle_free(ClientHandle *handle); // not while it is part of a multi
CURL *client_handle_easy(ClientHandle *handle);
ClientHandle *client_handle_of(CURL *easy);
ClientCall *client_handle_call(const ClientHandle *handle); // that it is prepared for, or NULL

// Sets the handle up for a call that lives until client_handle_finish. `multiplexed`: other calls share its connection.
void client_handle_prepare(ClientHandle *handle, ClientCall *call, bool multiplexed);

// After the transfer: fills `response` (also its `sent` on failure) or sets the error.
bool client_handle_finish(ClientHandle *handle, ClientCall *call, CURLcode code, HttpResponse *response,
                          GError **error);

// The call was taken off its connection by us before its end.
void client_handle_abandon(ClientHandle *handle, ClientCall *call, HttpResponse *response);

// What a Retry-After header asks for: seconds or a date; -1 when it is neither. NULL is -1.
int64_t client_retry_after_us(const char *value);
