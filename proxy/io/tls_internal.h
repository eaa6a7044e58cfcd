/* tls_internal: what tls.c, tls_context.c and tls_explain.c know of each other. Nobody else. */
#ifndef SLUICE_PROXY_IO_TLS_INTERNAL_H
#define SLUICE_PROXY_IO_TLS_INTERNAL_H

#include "proxy/io/tls.h"

#include <openssl/ssl.h>

struct tls_context {
    _Atomic uint32_t references;
    SSL_CTX *ssl;
    BIO_METHOD *bio; /* how connections reach their tls_io; see tls.c */
    bool is_server, asks_client;
    enum tls_verify verify;
    char *peer, *ca_setting;
    int64_t not_after_s, ticket_keys_made_s;
    uint8_t identity[32]; /* SHA-256 of the certificate and what it trusts */
};

struct tls {
    SSL *ssl;
    struct tls_context *context;
    struct tls_io *io; /* lent for the call that is going on */
    struct buf held;
    STACK_OF(GENERAL_NAME) * names; /* the peer's, once asked for */
    struct slice common_name;       /* OpenSSL's memory */
    uint32_t key_updates, key_update_bytes;
    bool failed;
};

/* tls.c: the BIO between OpenSSL and a tls_io; NULL: no memory. And the watch on key updates. */
BIO_METHOD *tls_bio_method(void);
void tls_on_message(int is_sent, int version, int type, const void *bytes, size_t len, SSL *ssl,
                    void *tls);

/* tls_explain.c: why an SSL call on `t` failed, and what to do about it. */
void tls_explain(const struct tls *t, struct err *err);
/* The last OpenSSL error in words; "unknown error" when there is none. */
const char *tls_reason(void);

#endif
