/* tls_context: what one side of TLS shows and trusts.
 *
 * Made once per load of the configuration, shared by all connections and threads,
 * never changed: a reload makes a new one, and old connections keep theirs.
 * Ownership: counted, atomically. Thread: any.
 */
#ifndef SLUICE_PROXY_IO_TLS_CONTEXT_H
#define SLUICE_PROXY_IO_TLS_CONTEXT_H

#include "protocol/err.h"
#include "protocol/slice.h"

struct tls_context;

/* PEM text. When `pem` is empty the file `name` is read; otherwise `name` only says in errors
 * where the text came from. name NULL: not given. */
struct tls_source {
    const char *name;
    struct slice pem;
};

enum tls_version { TLS_1_2, TLS_1_3 };

struct tls_server_options {
    struct tls_source certificate; /* the server's own first, then the chain */
    struct tls_source key;         /* not encrypted */
    struct tls_source client_ca;   /* set: clients are asked for a certificate, which must be
                                      signed by one of these; they may have none */
    enum tls_version min_version;
    const char *ciphers; /* OpenSSL's list for TLS 1.2; NULL: the library's policy */
    const char *alpn;    /* the one protocol spoken here; a constant; NULL: "postgresql" */
};

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_CA, TLS_VERIFY_FULL };

struct tls_client_options {
    struct tls_source ca; /* not given: the bundled Amazon roots, or the system's if `system_ca` */
    bool system_ca;
    enum tls_verify verify;
    struct tls_source certificate, key; /* of a client certificate; optional */
    enum tls_version min_version;
    const char *ciphers;
    const char *alpn;       /* the protocol to offer; NULL: none */
    const char *peer;       /* who is at the other end, for errors: "cluster warehouse" */
    const char *ca_setting; /* the directive that names the CA: "clusters.warehouse.ca" */
};

/* NULL with `err`, which names the file. A certificate that does not match the key, has expired or
 * is not valid yet is an error. `previous` (may be NULL): a context of the same listener; if its
 * certificate and client CA are the same, its tickets stay good. */
struct tls_context *tls_context_server(const struct tls_server_options *options,
                                       const struct tls_context *previous, struct err *err);
struct tls_context *tls_context_client(const struct tls_client_options *options, struct err *err);

struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL is fine */

/* When the own certificate expires, Unix seconds; 0: there is none. */
int64_t tls_context_not_after(const struct tls_context *c);

/* For an SSL_CTX that is somebody else's (curl's): what was read is wiped once it was handed over.
 */
void tls_forget_plaintext(void *ssl_ctx);

#endif
