#include "net/tls_material.h"

#include "base/error.h"
#include "base/thread.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <string.h>

struct TlsMaterial {
    atomic_int references;
    X509_STORE *store; // NULL: the system's, not loaded yet; guarded by mutex until it is there
    X509 *certificate; // NULL: none
    GPtrArray *chain;  // further certificates that are sent along
    EVP_PKEY *key;
    Mutex mutex;
    char *failure; // guarded by mutex
};

static void free_certificate(void *certificate) {
    X509_free(certificate);
}

// All certificates of a PEM text in their order; NULL and an error when there is none or one is broken.
static GPtrArray *parse_certificates(const char *pem, const char *what, GError **error) {
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(free_certificate);
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)))
        g_ptr_array_add(found, certificate);
    // Reading ends with 'no start line' where the text has ended properly.
    bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(bio);
    if (found->len == 0 || !ended) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s: %s", what,
                    found->len == 0 ? "no certificate in PEM form" : "a certificate is broken");
        return NULL;
    }
    return g_steal_pointer(&found);
}

static X509_STORE *new_store(void) {
    X509_STORE *store = X509_STORE_new();
    // An intermediate CA that was given on purpose is trusted by itself.
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    return store;
}

static bool load_cas(TlsMaterial *material, const char *pem, GError **error) {
    g_autoptr(GPtrArray) certificates = parse_certificates(pem, "the CA file", error);
    if (!certificates)
        return false;
    material->store = new_store();
    for (guint i = 0; i < certificates->len; i++)
        X509_STORE_add_cert(material->store, certificates->pdata[i]);
    ERR_clear_error();
    return true;
}

// The system's CAs are some hundred, 20 ms and more than a MiB: not before a connection needs them.
static void need_store(TlsMaterial *material) {
    mutex_lock(&material->mutex);
    if (!material->store) {
        material->store = new_store();
        X509_STORE_set_default_paths(material->store);
        ERR_clear_error();
    }
    mutex_unlock(&material->mutex);
}

// Instead of OpenSSL's default, which asks at the terminal.
static int no_password(char *buffer, int size, int writing, void *user) {
    return -1;
}

static bool load_client(TlsMaterial *material, const char *cert_pem, const char *key_pem, GError **error) {
    g_autoptr(GPtrArray) certificates = parse_certificates(cert_pem, "the client certificate", error);
    if (!certificates)
        return false;
    BIO *bio = BIO_new_mem_buf(key_pem, -1);
    material->key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (!material->key) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "the client key: no private key in PEM form, or it needs a password");
        return false;
    }
    material->certificate = g_ptr_array_steal_index(certificates, 0);
    material->chain = g_steal_pointer(&certificates);
    if (X509_check_private_key(material->certificate, material->key) != 1) {
        ERR_clear_error();
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the client key is not the client certificate's");
        return false;
    }
    return true;
}

TlsMaterial *tls_material_new(const char *ca_pem, const char *cert_pem, const char *key_pem, GError **error) {
    if (!cert_pem != !key_pem) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "a client certificate needs its key, and a key its certificate");
        return NULL;
    }
    g_autoptr(TlsMaterial) material = g_new0(TlsMaterial, 1);
    atomic_init(&material->references, 1);
    mutex_init(&material->mutex);
    if ((ca_pem && !load_cas(material, ca_pem, error)) ||
        (cert_pem && !load_client(material, cert_pem, key_pem, error)))
        return NULL;
    return g_steal_pointer(&material);
}

TlsMaterial *tls_material_ref(TlsMaterial *material) {
    atomic_fetch_add(&material->references, 1);
    return material;
}

void tls_material_unref(TlsMaterial *material) {
    if (!material || atomic_fetch_sub(&material->references, 1) > 1)
        return;
    X509_STORE_free(material->store);
    X509_free(material->certificate);
    EVP_PKEY_free(material->key);
    if (material->chain)
        g_ptr_array_unref(material->chain);
    mutex_destroy(&material->mutex);
    g_free(material->failure);
    g_free(material);
}

static void note_failure(TlsMaterial *material, X509_STORE_CTX *verification) {
    X509 *certificate = X509_STORE_CTX_get_current_cert(verification);
    char subject[256] = "", issuer[256] = "";
    if (certificate) {
        X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
        X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof issuer);
    }
    char *text =
        g_strdup_printf("%s (certificate of '%s', issued by '%s')",
                        X509_verify_cert_error_string(X509_STORE_CTX_get_error(verification)), subject, issuer);
    mutex_lock(&material->mutex);
    g_free(material->failure);
    material->failure = text;
    mutex_unlock(&material->mutex);
}

static int verify(int ok, X509_STORE_CTX *verification) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());
    TlsMaterial *material = ssl ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) : NULL;
    if (!ok && material)
        note_failure(material, verification);
    return ok;
}

bool tls_material_apply(TlsMaterial *material, SSL_CTX *context) {
    need_store(material);
    SSL_CTX_set1_cert_store(context, material->store);
    if (SSL_CTX_get_verify_mode(context) != SSL_VERIFY_NONE && !SSL_CTX_get_app_data(context)) {
        SSL_CTX_set_app_data(context, material);
        SSL_CTX_set_verify(context, SSL_CTX_get_verify_mode(context), verify);
    }
    if (!material->certificate)
        return true;
    if (SSL_CTX_use_certificate(context, material->certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, material->key) != 1)
        return false;
    for (guint i = 0; i < material->chain->len; i++)
        if (SSL_CTX_add1_chain_cert(context, (X509 *)material->chain->pdata[i]) != 1)
            return false;
    return true;
}

char *tls_material_take_failure(TlsMaterial *material) {
    mutex_lock(&material->mutex);
    char *failure = g_steal_pointer(&material->failure);
    mutex_unlock(&material->mutex);
    return failure;
}
