// WebSockets over connections that libcurl makes: proxies, TLS and names as for all calls of the client. Inside of the
// HTTP client only.
#pragma once

#include "net/client_call.h"
#include "net/websocket.h"

// Whose connection it is.
typedef struct {
    const ClientSettings *settings;
    TlsMaterial *tls;
    bool (*stopped)(void *owner);  // everything is to end
    void (*released)(void *owner); // the last touch of a socket that was opened; not called where none was
    void *owner;
} WebSocketOwner;

// As HttpTransport.open_websocket.
bool websocket_connect(const WebSocketOwner *owner, const HttpRequest *request, const char *const *protocols,
                       WebSocket **socket, HttpResponse *response, GError **error);
