// CAs and a client certificate, parsed once and shared by all connections of a client. Inside of the HTTP client only.
#pragma once

#include <glib.h>
#include <openssl/ssl.h>
#include <stdbool.h>

typedef struct TlsMaterial TlsMaterial;

// PEM texts; NULL CA: the system's. Fails with STOOP_ERROR_INVALID when one does not parse or the key is another
// certificate's.
TlsMaterial *tls_material_new(const char *ca_pem, const char *cert_pem, const char *key_pem, GError **error);
TlsMaterial *tls_material_ref(TlsMaterial *material);
void tls_material_unref(TlsMaterial *material);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TlsMaterial, tls_material_unref)

// Puts it into a context for one connection; the material must outlive the connection. Thread-safe.
bool tls_material_apply(TlsMaterial *material, SSL_CTX *context);

// What was wrong with the last certificate of a server that did not verify, NULL if there was none. Thread-safe.
char *tls_material_take_failure(TlsMaterial *material);
