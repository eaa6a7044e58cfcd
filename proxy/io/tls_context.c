#include "proxy/io/tls_context.h"

#include "proxy/io/tls_internal.h"

#include "proxy/io/amazon_roots.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FILE_MAX_BYTES = 4 << 20, /* the system's CA bundle has 0.2 MB */
    TICKET_KEY_BYTES = 80,
    TICKET_KEY_LIFE_S = 24 * 60 * 60, /* a reload after this makes new ones */
};

/* ---- PEM ----------------------------------------------------------------------------------------
 */

static bool read_file(const char *name, struct buf *text, struct err *err)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat file = { 0 };
    ssize_t n = 0;
    if (fd < 0) return err_set(err, ERR_CONFIG, "cannot open %s: %s", name, strerror(errno));
    /* All at once: a buf that grows leaves parts of a key behind. */
    if (fstat(fd, &file) == 0 && file.st_size > 0 && file.st_size <= FILE_MAX_BYTES)
        buf_reserve(text, (size_t)file.st_size + 4096);
    while (text->len <= FILE_MAX_BYTES && buf_reserve(text, 4096)) {
        n = read(fd, text->at + text->len, 4096);
        if (n <= 0) break;
        text->len += (uint32_t)n;
    }
    int code = errno;
    close(fd);
    if (n < 0) return err_set(err, ERR_CONFIG, "cannot read %s: %s", name, strerror(code));
    if (n > 0 || text->failed) return err_set(err, ERR_CONFIG, "%s is too large", name);
    return true;
}

/* A source opened for OpenSSL. `text` is wiped by whoever calls, after use: it may be a key. */
static BIO *source_open(const struct tls_source *source, struct buf *text, struct err *err)
{
    struct slice pem = source->pem;
    if (pem.len == 0) {
        if (!read_file(source->name, text, err)) return NULL;
        pem = buf_slice(text);
    }
    BIO *bio = pem.len <= FILE_MAX_BYTES ? BIO_new_mem_buf(pem.at, (int)pem.len) : NULL;
    if (!bio) err_set(err, ERR_CONFIG, "%s is too large or empty", source->name);
    return bio;
}

/* All certificates of a source, in order; at least one. */
static STACK_OF(X509) * read_certificates(const struct tls_source *source, struct err *err)
{
    struct buf text = { 0 };
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = source_open(source, &text, err);
    X509 *one;
    ERR_clear_error();
    while (bio && all && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        if (!sk_X509_push(all, one)) X509_free(one);
    bool fine = bio && all && sk_X509_num(all) > 0 &&
                ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (bio && !fine) {
        err_set(err, ERR_CONFIG, "%s has no certificate in PEM, or a damaged one", source->name);
        err_hint(err, "It must have one or more blocks of BEGIN CERTIFICATE.");
    }
    BIO_free(bio);
    buf_wipe(&text);
    ERR_clear_error();
    if (fine) return all;
    sk_X509_pop_free(all, X509_free);
    return NULL;
}

/* OpenSSL would ask on the terminal. */
static int no_password(char *at, int cap, int is_write, void *user)
{
    (void)at, (void)cap, (void)is_write, (void)user;
    return -1;
}

static EVP_PKEY *read_key(const struct tls_source *source, struct err *err)
{
    struct buf text = { 0 };
    BIO *bio = source_open(source, &text, err);
    EVP_PKEY *key = NULL;
    ERR_clear_error();
    if (bio && !(key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL))) {
        err_set(err, ERR_CONFIG, "%s has no private key in PEM, or an encrypted one", source->name);
        err_hint(err, "Decrypt it with: openssl pkey -in KEY -out NEWKEY");
    }
    BIO_free(bio);
    buf_wipe(&text);
    ERR_clear_error();
    return key;
}

static int64_t unix_time(const ASN1_TIME *time)
{
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) ? timegm(&parts) : 0;
}

static bool check_dates(X509 *certificate, const char *name, struct err *err)
{
    char day[32] = "";
    time_t now = time(NULL);
    time_t from = unix_time(X509_get0_notBefore(certificate));
    time_t until = unix_time(X509_get0_notAfter(certificate));
    time_t *wrong = now > until ? &until : now < from ? &from : NULL;
    struct tm parts;
    if (!wrong) return true;
    strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(wrong, &parts));
    err_set(err, ERR_CONFIG, "certificate %s %s %s", name,
            now > until ? "has expired on" : "is not valid before", day);
    err_hint(err, now > until ? "Renew it." : "Check this machine's clock.");
    return false;
}

/* ---- both sides ---------------------------------------------------------------------------------
 */

struct tls_context *tls_context_ref(struct tls_context *c)
{
    c->references++;
    return c;
}

void tls_context_unref(struct tls_context *c)
{
    if (!c || --c->references) return;
    SSL_CTX_free(c->ssl);
    BIO_meth_free(c->bio);
    free(c->peer);
    free(c->ca_setting);
    free(c);
}

int64_t tls_context_not_after(const struct tls_context *c) { return c->not_after_s; }

static struct tls_context *context_new(const SSL_METHOD *method, enum tls_version min_version,
                                       const char *ciphers, struct err *err)
{
    ERR_clear_error();
    struct tls_context *c = calloc(1, sizeof *c);
    if (c) {
        c->references = 1;
        c->ssl = SSL_CTX_new(method);
        c->bio = tls_bio_method();
    }
    if (!c || !c->ssl || !c->bio) {
        err_set(err, ERR_OUT_OF_MEMORY, NULL);
        tls_context_unref(c);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(c->ssl, min_version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(c->ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* Buffers are freed between records (an idle connection costs a third), and the chain is what
     * the file says: OpenSSL would look for one again in each handshake. */
    SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_msg_callback(c->ssl, tls_on_message);
    SSL_CTX_set1_groups_list(c->ssl, "X25519:P-256:P-384");
    if (ciphers && !SSL_CTX_set_cipher_list(c->ssl, ciphers)) {
        err_set(err, ERR_CONFIG, "no known cipher in \"%s\"", ciphers);
        err_hint(err, "See `openssl ciphers -v`; TLS 1.3 ciphers are not set here.");
        tls_context_unref(c);
        return NULL;
    }
    return c;
}

static bool use_certificates(struct tls_context *c, STACK_OF(X509) * chain, EVP_PKEY *key,
                             const char *certificate_name, const char *key_name, struct err *err)
{
    X509 *own = sk_X509_value(chain, 0);
    if (!check_dates(own, certificate_name, err)) return false;
    ERR_clear_error();
    if (!X509_check_private_key(own, key)) {
        err_set(err, ERR_CONFIG, "key %s does not belong to certificate %s", key_name,
                certificate_name);
        err_hint(err, "The certificate file must start with the certificate of this very key.");
        return false;
    }
    if (!SSL_CTX_use_certificate(c->ssl, own) || !SSL_CTX_use_PrivateKey(c->ssl, key))
        return err_set(err, ERR_CONFIG, "cannot use certificate %s with key %s: %s",
                       certificate_name, key_name, tls_reason());
    for (int i = 1; i < sk_X509_num(chain); i++)
        if (!SSL_CTX_add1_chain_cert(c->ssl, sk_X509_value(chain, i)))
            return err_set(err, ERR_CONFIG, "cannot use a CA certificate in %s: %s",
                           certificate_name, tls_reason());
    c->not_after_s = unix_time(X509_get0_notAfter(own));
    return true;
}

static bool set_identity(struct tls_context *c, const struct tls_source *certificate,
                         const struct tls_source *key, struct err *err)
{
    STACK_OF(X509) *chain = read_certificates(certificate, err);
    EVP_PKEY *private = chain ? read_key(key, err) : NULL;
    bool fine = private && use_certificates(c, chain, private, certificate->name, key->name, err);
    EVP_PKEY_free(private);
    sk_X509_pop_free(chain, X509_free);
    return fine;
}

static bool trust_all(struct tls_context *c, STACK_OF(X509) * all, const char *name,
                      struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(c->ssl);
    ERR_clear_error();
    for (int i = 0; i < sk_X509_num(all); i++)
        if (!X509_STORE_add_cert(store, sk_X509_value(all, i)))
            return err_set(err, ERR_CONFIG, "cannot use a CA in %s: %s", name, tls_reason());
    return true;
}

static bool trust(struct tls_context *c, const struct tls_source *ca, struct err *err)
{
    STACK_OF(X509) *all = read_certificates(ca, err);
    bool fine = all && trust_all(c, all, ca->name, err);
    sk_X509_pop_free(all, X509_free);
    return fine;
}

/* ---- server -------------------------------------------------------------------------------------
 */

/* ALPN (RFC 7301): our protocol or, as PostgreSQL does, no connection: so nobody can pass bytes of
 * another protocol off as ours. Clients that offer nothing are served. */
static int on_alpn(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
                   const unsigned char *offered, unsigned len, void *user)
{
    const char *ours = user;
    (void)ssl;
    for (unsigned at = 0; at < len; at += 1u + offered[at]) {
        if (offered[at] > len - at - 1) break;
        if (!slice_is(slice_of(offered + at + 1, offered[at]), ours)) continue;
        *chosen = offered + at + 1;
        *chosen_len = offered[at];
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A resumed session would not look at the client's certificate again, which may have expired
 * since; such sessions start anew. */
static SSL_TICKET_RETURN on_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                   size_t name_len, SSL_TICKET_STATUS status, void *user)
{
    (void)ssl, (void)name, (void)name_len, (void)user;
    bool good = status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW;
    if (!good || SSL_SESSION_get0_peer(session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static bool ask_clients(struct tls_context *c, const struct tls_source *ca, struct err *err)
{
    STACK_OF(X509) *all = read_certificates(ca, err);
    bool fine = all && trust_all(c, all, ca->name, err);
    for (int i = 0; fine && i < sk_X509_num(all); i++)
        fine = SSL_CTX_add_client_CA(c->ssl, sk_X509_value(all, i)) ||
               err_set(err, ERR_OUT_OF_MEMORY, NULL);
    sk_X509_pop_free(all, X509_free);
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    c->asks_client = true;
    return fine;
}

/* What a ticket stands for: this certificate, these CAs. */
static bool digest_identity(struct tls_context *c)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    uint8_t one[EVP_MAX_MD_SIZE];
    unsigned len;
    X509 *own = SSL_CTX_get0_certificate(c->ssl);
    STACK_OF(X509_OBJECT) *trusted = X509_STORE_get0_objects(SSL_CTX_get_cert_store(c->ssl));
    bool fine = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) &&
                X509_digest(own, EVP_sha256(), one, &len) && EVP_DigestUpdate(digest, one, len);
    for (int i = 0; fine && i < sk_X509_OBJECT_num(trusted); i++) {
        X509 *ca = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(trusted, i));
        fine =
            !ca || (X509_digest(ca, EVP_sha256(), one, &len) && EVP_DigestUpdate(digest, one, len));
    }
    fine = fine && EVP_DigestFinal_ex(digest, c->identity, &len);
    EVP_MD_CTX_free(digest);
    return fine;
}

/* Tickets survive a reload, so that clients which come often (Lambdas) keep resuming. */
static bool set_tickets(struct tls_context *c, const struct tls_context *previous)
{
    uint8_t keys[TICKET_KEY_BYTES];
    int64_t now_s = time(NULL);
    bool fine = true;
    c->ticket_keys_made_s = now_s;
    SSL_CTX_set_num_tickets(c->ssl, 1);
    SSL_CTX_set_session_ticket_cb(c->ssl, NULL, on_ticket, NULL);
    if (previous && memcmp(previous->identity, c->identity, sizeof c->identity) == 0 &&
        now_s - previous->ticket_keys_made_s < TICKET_KEY_LIFE_S) {
        fine = SSL_CTX_get_tlsext_ticket_keys(previous->ssl, keys, sizeof keys) &&
               SSL_CTX_set_tlsext_ticket_keys(c->ssl, keys, sizeof keys);
        c->ticket_keys_made_s = previous->ticket_keys_made_s;
        OPENSSL_cleanse(keys, sizeof keys);
    }
    return fine && SSL_CTX_set_session_id_context(c->ssl, c->identity, sizeof c->identity);
}

struct tls_context *tls_context_server(const struct tls_server_options *options,
                                       const struct tls_context *previous, struct err *err)
{
    struct tls_context *c =
        context_new(TLS_server_method(), options->min_version, options->ciphers, err);
    if (!c) return NULL;
    c->is_server = true;
    const char *alpn = options->alpn ? options->alpn : "postgresql";
    SSL_CTX_set_alpn_select_cb(c->ssl, on_alpn, (void *)(uintptr_t)alpn);
    if (set_identity(c, &options->certificate, &options->key, err) &&
        (!options->client_ca.name || ask_clients(c, &options->client_ca, err))) {
        if (digest_identity(c) && set_tickets(c, previous)) return c;
        err_set(err, ERR_OUT_OF_MEMORY, NULL);
    }
    tls_context_unref(c);
    return NULL;
}

/* ---- client -------------------------------------------------------------------------------------
 */

static bool set_trust(struct tls_context *c, const struct tls_client_options *options,
                      struct err *err)
{
    if (options->verify == TLS_VERIFY_NONE) return true;
    SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
    if (options->ca.name) {
        /* Whatever stands in that file is trusted, also without the root above it. */
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(c->ssl), X509_V_FLAG_PARTIAL_CHAIN);
        return trust(c, &options->ca, err);
    }
    if (options->system_ca)
        return SSL_CTX_set_default_verify_paths(c->ssl) ||
               err_set(err, ERR_CONFIG, "cannot load the system's CAs: %s", tls_reason());
    struct tls_source bundled = { "the bundled Amazon roots", slice_str(amazon_roots) };
    return trust(c, &bundled, err);
}

static bool set_alpn(struct tls_context *c, const char *protocol, struct err *err)
{
    uint8_t list[256];
    size_t len = protocol ? strlen(protocol) : 0;
    if (!protocol) return true;
    if (len == 0 || len > 255) return err_set(err, ERR_INTERNAL, "bad ALPN protocol");
    list[0] = (uint8_t)len;
    memcpy(list + 1, protocol, len);
    return SSL_CTX_set_alpn_protos(c->ssl, list, (unsigned)len + 1) == 0 ||
           err_set(err, ERR_OUT_OF_MEMORY, NULL);
}

struct tls_context *tls_context_client(const struct tls_client_options *options, struct err *err)
{
    struct tls_context *c =
        context_new(TLS_client_method(), options->min_version, options->ciphers, err);
    if (!c) return NULL;
    c->verify = options->verify;
    c->peer = strdup(options->peer ? options->peer : "the server");
    c->ca_setting = strdup(options->ca_setting ? options->ca_setting : "its ca");
    if (!c->peer || !c->ca_setting)
        err_set(err, ERR_OUT_OF_MEMORY, NULL);
    else if (set_trust(c, options, err) && set_alpn(c, options->alpn, err) &&
             (!options->certificate.name ||
              set_identity(c, &options->certificate, &options->key, err)))
        return c;
    tls_context_unref(c);
    return NULL;
}

void tls_forget_plaintext(void *ssl_ctx) { SSL_CTX_set_options(ssl_ctx, SSL_OP_CLEANSE_PLAINTEXT); }
