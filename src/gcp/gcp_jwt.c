// Tokens that a service account signs itself. https://datatracker.ietf.org/doc/html/rfc7523
#include "base/error.h"
#include "gcp/gcp_client_private.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>
#include <yyjson.h>

#define SCOPE "https://www.googleapis.com/auth/cloud-platform"
enum { LIFE_S = 3600, SKEW_S = 10 };

// Base64 for URLs, without padding.
static void append_base64url(GString *out, const void *bytes, size_t len) {
    g_autofree char *text = g_base64_encode(bytes, len);
    for (const char *c = text; *c && *c != '='; c++)
        g_string_append_c(out, *c == '+' ? '-' : *c == '/' ? '_' : *c);
}

static void append_json(GString *out, yyjson_mut_doc *doc) {
    size_t len = 0;
    char *json = yyjson_mut_write(doc, 0, &len);
    append_base64url(out, json, len);
    free(json);
    yyjson_mut_doc_free(doc);
}

static EVP_PKEY *read_private_key(const char *pem) {
    BIO *bio = BIO_new_mem_buf(pem, (int)strlen(pem));
    // Without a password it must not ask for one on the terminal.
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)"") : NULL;
    BIO_free(bio);
    return key;
}

static bool append_signature(GString *out, EVP_PKEY *key, GError **error) {
    unsigned char signature[1024]; // an RSA key of 8192 bits
    size_t len = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool ok = context && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_size(key) <= (int)sizeof signature &&
              EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(context, signature, &len, (const unsigned char *)out->str, out->len) == 1;
    EVP_MD_CTX_free(context);
    if (!ok) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the private key of the service account cannot sign");
        return false;
    }
    g_string_append_c(out, '.');
    append_base64url(out, signature, len);
    return true;
}

char *gcp_jwt(const GcpKey *key, const char *target_audience, int64_t now_s, GError **error) {
    yyjson_mut_doc *head = yyjson_mut_doc_new(NULL), *claims = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *h = yyjson_mut_obj(head), *c = yyjson_mut_obj(claims);
    yyjson_mut_doc_set_root(head, h);
    yyjson_mut_doc_set_root(claims, c);
    yyjson_mut_obj_add_str(head, h, "alg", "RS256");
    yyjson_mut_obj_add_str(head, h, "typ", "JWT");
    if (key->private_key_id)
        yyjson_mut_obj_add_str(head, h, "kid", key->private_key_id);
    yyjson_mut_obj_add_str(claims, c, "iss", key->email);
    yyjson_mut_obj_add_str(claims, c, "sub", key->email);
    yyjson_mut_obj_add_str(claims, c, target_audience ? "target_audience" : "scope",
                           target_audience ? target_audience : SCOPE);
    yyjson_mut_obj_add_str(claims, c, "aud", key->token_uri);
    // Clocks differ a little.
    yyjson_mut_obj_add_sint(claims, c, "iat", now_s - SKEW_S);
    yyjson_mut_obj_add_sint(claims, c, "exp", now_s - SKEW_S + LIFE_S);
    g_autoptr(GString) out = g_string_new(NULL);
    append_json(out, head);
    g_string_append_c(out, '.');
    append_json(out, claims);
    EVP_PKEY *private_key = read_private_key(key->private_key);
    bool ok = false;
    if (private_key)
        ok = append_signature(out, private_key, error);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the private key of the service account cannot be read");
    EVP_PKEY_free(private_key);
    return ok ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}
