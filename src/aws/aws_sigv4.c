#include "aws/aws_sigv4.h"

#include "base/error.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

#define HASH_LEN 32
#define NS_PER_S 1000000000

// --- Hashes ---

static void to_hex(const uint8_t *bytes, size_t len, char *hex) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *hex++ = digits[bytes[i] >> 4];
        *hex++ = digits[bytes[i] & 15];
    }
    *hex = '\0';
}

void aws_sha256(const void *data, size_t len, uint8_t hash[HASH_LEN]) {
    // SHA-256 is part of every provider of OpenSSL: it fails only where memory is gone, as g_malloc does.
    if (!EVP_Digest(data, len, hash, NULL, EVP_sha256(), NULL))
        g_error("SHA-256 is not to be had"); // lint: glib-log ok: as g_malloc does
}

void aws_sha256_hex(const void *data, size_t len, char hex[AWS_SHA256_HEX]) {
    uint8_t hash[HASH_LEN];
    aws_sha256(data, len, hash);
    to_hex(hash, sizeof hash, hex);
}

static void hmac(const void *key, size_t key_len, const char *text, uint8_t mac[HASH_LEN]) {
    unsigned len = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), mac, &len))
        g_error("HMAC-SHA-256 is not to be had"); // lint: glib-log ok: as g_malloc does
}

void aws_date(int64_t realtime_ns, char date[17]) {
    time_t seconds = (time_t)(realtime_ns / NS_PER_S);
    struct tm utc = {0};
    gmtime_r(&seconds, &utc);
    if (strftime(date, 17, "%Y%m%dT%H%M%SZ", &utc) == 0)
        g_strlcpy(date, "19700101T000000Z", 17);
}

// --- The canonical request ---

static void append_escaped(GString *out, const char *text, size_t len) {
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (g_ascii_isalnum(c) || (c && strchr("-._~", c))) {
            g_string_append_c(out, (char)c);
        } else {
            g_string_append_c(out, '%');
            g_string_append_c(out, hex[c >> 4]);
            g_string_append_c(out, hex[c & 15]);
        }
    }
}

typedef struct {
    const char *host, *path, *query;
    size_t host_len, path_len, query_len;
} UrlParts;

// How much of the authority is sent as Host: libcurl leaves out the port that the scheme has anyway, and a lone colon.
static size_t sent_host_len(const char *url, const char *host, size_t len) {
    const char *colon = memrchr(host, ':', len), *bracket = memrchr(host, ']', len);
    if (!colon || (bracket && colon < bracket))
        return len;
    size_t before = (size_t)(colon - host), digits = len - before - 1;
    bool tls = g_ascii_strncasecmp(url, "https:", 6) == 0;
    const char *own = tls ? "443" : "80";
    bool is_default = digits == strlen(own) && memcmp(colon + 1, own, digits) == 0;
    return digits == 0 || is_default ? before : len;
}

static bool split_url(const char *url, UrlParts *parts, GError **error) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    const char *end = host + strcspn(host, "/?");
    if (host == url || end == host) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' is no URL with a host", url);
        return false;
    }
    const char *query = strchr(end, '?');
    *parts = (UrlParts){
        .host = host,
        .host_len = sent_host_len(url, host, (size_t)(end - host)),
        .path = end,
        .path_len = query ? (size_t)(query - end) : strlen(end),
        .query = query ? query + 1 : "",
        .query_len = query ? strlen(query + 1) : 0,
    };
    return true;
}

// Without ".", "..", and empty parts; then escaped once more, the slashes kept.
static void append_normal_path(GString *out, const char *path, size_t len) {
    g_autofree char *text = g_strndup(path, len);
    g_auto(GStrv) parts = g_strsplit(text, "/", -1);
    g_autoptr(GPtrArray) kept = g_ptr_array_new();
    for (char **part = parts; *part; part++) {
        if (strcmp(*part, "..") == 0) {
            if (kept->len > 0)
                g_ptr_array_set_size(kept, (int)kept->len - 1);
        } else if (**part && strcmp(*part, ".") != 0) {
            g_ptr_array_add(kept, *part);
        }
    }
    for (guint i = 0; i < kept->len; i++) {
        g_string_append_c(out, '/');
        append_escaped(out, kept->pdata[i], strlen(kept->pdata[i]));
    }
    if (kept->len == 0 || (len > 0 && path[len - 1] == '/'))
        g_string_append_c(out, '/');
}

static void append_path(GString *out, const UrlParts *parts, bool plain) {
    if (!plain)
        append_normal_path(out, parts->path, parts->path_len);
    else if (parts->path_len == 0)
        g_string_append_c(out, '/');
    else
        g_string_append_len(out, parts->path, (gssize)parts->path_len);
}

// Unescaped and escaped anew, so that every way to write a character is signed as the one that AWS knows.
static char *canonical_part(const char *text, size_t len) {
    g_autoptr(GString) plain = g_string_sized_new(len);
    for (size_t i = 0; i < len; i++) {
        int high = i + 2 < len ? g_ascii_xdigit_value(text[i + 1]) : -1;
        int low = i + 2 < len ? g_ascii_xdigit_value(text[i + 2]) : -1;
        if (text[i] == '%' && high >= 0 && low >= 0) {
            g_string_append_c(plain, (char)(high << 4 | low));
            i += 2;
        } else {
            g_string_append_c(plain, text[i]);
        }
    }
    GString *out = g_string_sized_new(len);
    append_escaped(out, plain->str, plain->len);
    return g_string_free(out, FALSE);
}

typedef struct {
    char *name, *value;
} Pair;

static void pair_free(void *data) {
    Pair *pair = data;
    g_free(pair->name);
    g_free(pair->value);
    g_free(pair);
}

static int compare_pairs(const void *a, const void *b) {
    const Pair *left = *(Pair *const *)a, *right = *(Pair *const *)b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->value, right->value);
}

static void append_query(GString *out, const char *query, size_t len) {
    g_autoptr(GPtrArray) pairs = g_ptr_array_new_with_free_func(pair_free);
    for (const char *at = query, *end = query + len; at < end;) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        const char *stop = amp ? amp : end;
        const char *equals = memchr(at, '=', (size_t)(stop - at));
        if (stop > at) {
            Pair *pair = g_new(Pair, 1);
            pair->name = canonical_part(at, (size_t)((equals ? equals : stop) - at));
            pair->value = equals ? canonical_part(equals + 1, (size_t)(stop - equals - 1)) : g_strdup("");
            g_ptr_array_add(pairs, pair);
        }
        at = stop + 1;
    }
    g_ptr_array_sort(pairs, compare_pairs);
    for (guint i = 0; i < pairs->len; i++) {
        const Pair *pair = pairs->pdata[i];
        g_string_append_printf(out, "%s%s=%s", i ? "&" : "", pair->name, pair->value);
    }
}

// Trimmed, and runs of blanks within as one.
static char *canonical_value(const char *value, size_t len) {
    GString *out = g_string_sized_new(len);
    for (size_t i = 0; i < len; i++) {
        char c = value[i] == '\t' ? ' ' : value[i];
        if (c != ' ' || (out->len > 0 && out->str[out->len - 1] != ' '))
            g_string_append_c(out, c);
    }
    if (out->len > 0 && out->str[out->len - 1] == ' ')
        g_string_truncate(out, out->len - 1);
    return g_string_free(out, FALSE);
}

static void add_header(GPtrArray *pairs, const char *name, size_t name_len, const char *value, size_t value_len) {
    g_autofree char *lower = g_ascii_strdown(name, (gssize)name_len);
    g_autofree char *text = canonical_value(value, value_len);
    for (guint i = 0; i < pairs->len; i++) {
        Pair *pair = pairs->pdata[i];
        if (strcmp(pair->name, lower) == 0) {
            g_autofree char *former = pair->value;
            pair->value = g_strconcat(former, ",", text, NULL);
            return;
        }
    }
    Pair *pair = g_new(Pair, 1);
    pair->name = g_steal_pointer(&lower);
    pair->value = g_steal_pointer(&text);
    g_ptr_array_add(pairs, pair);
}

static GPtrArray *canonical_headers(const AwsSignInput *input, const UrlParts *parts, const char *date,
                                    const char *token) {
    GPtrArray *pairs = g_ptr_array_new_with_free_func(pair_free);
    add_header(pairs, "host", 4, parts->host, parts->host_len);
    add_header(pairs, "x-amz-date", 10, date, strlen(date));
    if (token)
        add_header(pairs, "x-amz-security-token", 20, token, strlen(token));
    for (const char *const *header = input->headers; header && *header; header++) {
        const char *colon = strchr(*header, ':');
        if (colon)
            add_header(pairs, *header, (size_t)(colon - *header), colon + 1, strlen(colon + 1));
    }
    g_ptr_array_sort(pairs, compare_pairs);
    return pairs;
}

char *aws_canonical_request(const AwsSignInput *input, const char *date, const char *token, char **signed_headers,
                            GError **error) {
    UrlParts parts;
    if (!split_url(input->url, &parts, error))
        return NULL;
    GString *out = g_string_new(input->method);
    g_string_append_c(out, '\n');
    append_path(out, &parts, input->plain_path);
    g_string_append_c(out, '\n');
    append_query(out, parts.query, parts.query_len);
    g_string_append_c(out, '\n');
    g_autoptr(GPtrArray) headers = canonical_headers(input, &parts, date, token);
    g_autoptr(GString) names = g_string_new(NULL);
    for (guint i = 0; i < headers->len; i++) {
        const Pair *pair = headers->pdata[i];
        g_string_append_printf(out, "%s:%s\n", pair->name, pair->value);
        g_string_append_printf(names, "%s%s", i ? ";" : "", pair->name);
    }
    g_string_append_printf(out, "\n%s\n%s", names->str, input->body_sha256);
    if (signed_headers)
        *signed_headers = g_strdup(names->str);
    return g_string_free(out, FALSE);
}

// --- The signature ---

static bool fits_header(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

bool aws_sign(const AwsSignInput *input, const AwsKeys *keys, GPtrArray *headers, GError **error) {
    if (!*keys->access_key || !fits_header(keys->access_key) ||
        (keys->session_token && !fits_header(keys->session_token))) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                            "the AWS access key or session token has characters that none has");
        return false;
    }
    char date[17], hash[AWS_SHA256_HEX];
    aws_date(input->realtime_ns, date);
    g_autofree char *names = NULL;
    g_autofree char *canonical = aws_canonical_request(input, date, keys->session_token, &names, error);
    if (!canonical)
        return false;
    aws_sha256_hex(canonical, strlen(canonical), hash);
    g_autofree char *day = g_strndup(date, 8);
    g_autofree char *scope = g_strdup_printf("%s/%s/%s/aws4_request", day, input->region, input->service);
    g_autofree char *to_sign = g_strdup_printf("AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
    g_autofree char *secret = g_strconcat("AWS4", keys->secret_key, NULL);
    uint8_t mac[HASH_LEN];
    hmac(secret, strlen(secret), day, mac);
    hmac(mac, sizeof mac, input->region, mac);
    hmac(mac, sizeof mac, input->service, mac);
    hmac(mac, sizeof mac, "aws4_request", mac);
    hmac(mac, sizeof mac, to_sign, mac);
    to_hex(mac, sizeof mac, hash);
    OPENSSL_cleanse(secret, strlen(secret));
    g_ptr_array_add(headers, g_strconcat("X-Amz-Date: ", date, NULL));
    if (keys->session_token)
        g_ptr_array_add(headers, g_strconcat("X-Amz-Security-Token: ", keys->session_token, NULL));
    g_ptr_array_add(headers, g_strdup_printf("Authorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, "
                                             "Signature=%s",
                                             keys->access_key, scope, names, hash));
    return true;
}
