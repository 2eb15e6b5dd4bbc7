// Google made of a list: each request must be the next one of the list and gets its answer.
#pragma once

#include "gcp/gcp_client.h"

enum { EXCHANGE_REFUSED = -1 };

typedef struct {
    const char *request; // "GET https://..."; ends with '*': what it begins with
    const char *header;  // one that must be there; NULL: any
    const char *body;    // exactly; NULL: any; ends with '*': what it begins with
    int status;          // 0: the connection breaks after the request was sent; EXCHANGE_REFUSED: there is none
    const char *answer;  // its body; a first line "Location: …" or "Range: …" is a header
} Exchange;

typedef struct FakeGoogle FakeGoogle;

// `exchanges` ends with a row whose request is NULL. `variables` ("NAME=value", NULL-terminated) is the environment.
FakeGoogle *fake_google_new(const Exchange *exchanges, const char *credentials_path, const char *const *variables);
// Asserts that every exchange has happened.
void fake_google_free(FakeGoogle *fake);
GcpClient *fake_google_client(FakeGoogle *fake);
// The body of the last request.
const char *fake_google_last_body(FakeGoogle *fake);
// Moves the clock.
void fake_google_pass(FakeGoogle *fake, int64_t seconds);

// A new RSA key in a service account's key file in `folder`; returns its path. `token_uri` as given.
char *make_key_file(const char *folder, const char *token_uri);
// Whether the JWT's signature is that of the key in the file of make_key_file; its claims (g_free).
char *check_jwt(const char *key_file, const char *jwt);
