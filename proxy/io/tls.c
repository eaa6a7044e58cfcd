#include "proxy/io/tls.h"

#include "proxy/io/tls_internal.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

enum {
    /* Nobody needs new keys more often than this many times in this many bytes. */
    KEY_UPDATES_MAX = 16,
    KEY_UPDATES_PER_BYTES = 1 << 20,
};

/* ---- between OpenSSL and the lent buffers -------------------------------------------------------
 */

static int bio_read(BIO *bio, char *at, int cap)
{
    struct slice *in = &((struct tls *)BIO_get_data(bio))->io->in;
    size_t n = cap < 0 ? 0 : (size_t)cap;
    BIO_clear_retry_flags(bio);
    if (in->len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (n > in->len) n = in->len;
    memcpy(at, in->at, n);
    *in = slice_after(*in, n);
    return (int)n;
}

/* Takes everything: how much may gather before it is sent is the caller's business. */
static int bio_write(BIO *bio, const char *at, int len)
{
    struct buf *out = ((struct tls *)BIO_get_data(bio))->io->out;
    BIO_clear_retry_flags(bio);
    buf_add(out, at, len < 0 ? 0 : (size_t)len);
    return out->failed ? -1 : len;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice");
    if (!method) return NULL;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_ctrl);
    BIO_meth_set_create(method, bio_create);
    return method;
}

/* Sees every message. A storm of key updates would cost us much more than it costs the peer
 * (CVE-like; OpenSSL itself sets no limit); cutting the input off stops OpenSSL in the midst. */
void tls_on_message(int is_sent, int version, int type, const void *bytes, size_t len, SSL *ssl,
                    void *tls)
{
    struct tls *t = tls;
    (void)version, (void)ssl;
    if (is_sent || type != SSL3_RT_HANDSHAKE || len == 0 || !t) return;
    if (*(const uint8_t *)bytes != SSL3_MT_KEY_UPDATE) return;
    if (++t->key_updates > KEY_UPDATES_MAX) t->io->in.len = 0;
}

/* ---- a connection -------------------------------------------------------------------------------
 */

static struct tls *tls_new(struct tls_context *context, struct err *err)
{
    ERR_clear_error();
    struct tls *t = calloc(1, sizeof *t);
    SSL *ssl = t ? SSL_new(context->ssl) : NULL;
    BIO *bio = ssl ? BIO_new(context->bio) : NULL;
    if (!bio) {
        SSL_free(ssl);
        free(t);
        err_set(err, ERR_OUT_OF_MEMORY, "no memory for a TLS connection");
        return NULL;
    }
    BIO_set_data(bio, t);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_msg_callback_arg(ssl, t);
    t->ssl = ssl;
    t->context = tls_context_ref(context);
    return t;
}

struct tls *tls_new_server(struct tls_context *context, struct err *err)
{
    struct tls *t = tls_new(context, err);
    if (t) SSL_set_accept_state(t->ssl);
    return t;
}

/* The name that the certificate must have, and SNI (RFC 6066 section 3: no IP addresses there, no
 * trailing dot). */
static bool set_server_name(struct tls *t, const char *server_name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    bool full = t->context->verify == TLS_VERIFY_FULL;
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(server_name);
    char name[256];
    size_t len = strlen(server_name);
    if (address) {
        bool fine = !full || X509_VERIFY_PARAM_set1_ip(param, ASN1_STRING_get0_data(address),
                                                       (size_t)ASN1_STRING_length(address));
        ASN1_OCTET_STRING_free(address);
        return fine;
    }
    if (len && server_name[len - 1] == '.') len--;
    if (len == 0 || len >= sizeof name) return false;
    memcpy(name, server_name, len);
    name[len] = '\0';
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(t->ssl, name) &&
           (!full || X509_VERIFY_PARAM_set1_host(param, name, len));
}

struct tls *tls_new_client(struct tls_context *context, const char *server_name, struct err *err)
{
    struct tls *t = tls_new(context, err);
    if (!t) return NULL;
    SSL_set_connect_state(t->ssl);
    ERR_clear_error();
    if (server_name ? set_server_name(t, server_name) : context->verify != TLS_VERIFY_FULL)
        return t;
    tls_free(t);
    err_set(err, ERR_SERVER_UNREACHABLE, "%s has no name that its certificate could be checked for",
            context->peer);
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t) return;
    struct tls_context *context = t->context;
    SSL_free(t->ssl);
    GENERAL_NAMES_free(t->names);
    OPENSSL_free((void *)(uintptr_t)t->common_name.at);
    buf_fini(&t->held);
    free(t);
    tls_context_unref(context); /* last: it owns the BIO's methods */
}

/* What a failed SSL call means. */
static enum tls_status outcome(struct tls *t, int result, struct err *err)
{
    if (t->key_updates > KEY_UPDATES_MAX) {
        t->failed = true;
        err_set(err, ERR_PROTOCOL, "the peer changes its TLS keys all the time");
        return TLS_FAILED;
    }
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ: return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN: return TLS_EOF;
    default:
        t->failed = true;
        tls_explain(t, err);
        return TLS_FAILED;
    }
}

enum tls_status tls_handshake(struct tls *t, struct tls_io *io, struct err *err)
{
    t->io = io;
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    enum tls_status status = result == 1 ? TLS_OK : outcome(t, result, err);
    t->io = NULL;
    if (status != TLS_EOF) return status;
    t->failed = true;
    err_set(err, ERR_PROTOCOL, "the peer ended the TLS handshake");
    return TLS_FAILED;
}

enum tls_status tls_read(struct tls *t, struct tls_io *io, char *at, size_t cap, size_t *len,
                         struct err *err)
{
    enum tls_status status = TLS_OK;
    t->io = io;
    *len = 0;
    while (status == TLS_OK && *len < cap) {
        size_t room = cap - *len;
        ERR_clear_error();
        int n = SSL_read(t->ssl, at + *len, room < INT_MAX ? (int)room : INT_MAX);
        if (n > 0) {
            *len += (size_t)n;
            t->key_update_bytes += (uint32_t)n;
        } else {
            status = outcome(t, n, err);
        }
    }
    if (t->key_update_bytes > KEY_UPDATES_PER_BYTES) t->key_update_bytes = t->key_updates = 0;
    t->io = NULL;
    return status;
}

bool tls_write(struct tls *t, struct tls_io *io, const char *at, size_t len)
{
    t->io = io;
    while (len && !t->failed) {
        ERR_clear_error();
        int n = SSL_write(t->ssl, at, len < INT_MAX ? (int)len : INT_MAX);
        if (n <= 0) {
            t->failed = true;
            break;
        }
        at += n;
        len -= (size_t)n;
    }
    t->io = NULL;
    return !t->failed;
}

void tls_shutdown(struct tls *t, struct tls_io *io)
{
    if (t->failed || !SSL_is_init_finished(t->ssl)) return;
    t->io = io;
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    t->io = NULL;
}

bool tls_hold(struct tls *t, struct slice raw)
{
    buf_add_slice(&t->held, raw);
    return !t->held.failed;
}

struct buf tls_unhold(struct tls *t)
{
    struct buf held = t->held;
    t->held = (struct buf){ 0 };
    return held;
}

/* ---- what is known of it ------------------------------------------------------------------------
 */

const char *tls_version(const struct tls *t) { return SSL_get_version(t->ssl); }
const char *tls_cipher(const struct tls *t) { return SSL_get_cipher_name(t->ssl); }
bool tls_is_resumed(const struct tls *t) { return SSL_session_reused(t->ssl); }

bool tls_alpn_is_postgresql(const struct tls *t)
{
    const unsigned char *at;
    unsigned len;
    SSL_get0_alpn_selected(t->ssl, &at, &len);
    return slice_is(slice_of(at, len), "postgresql");
}

size_t tls_server_end_point(struct tls *t, uint8_t hash[TLS_END_POINT_BYTES])
{
    X509 *certificate =
        t->context->is_server ? SSL_get_certificate(t->ssl) : SSL_get0_peer_certificate(t->ssl);
    int digest, key, bits;
    unsigned len = TLS_END_POINT_BYTES;
    uint32_t flags;
    ERR_clear_error();
    if (!certificate || !X509_get_signature_info(certificate, &digest, &key, &bits, &flags) ||
        digest == NID_undef)
        return 0;
    /* RFC 5929: for what is too weak by now, SHA-256. */
    if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest);
    if (!md || EVP_MD_get_size(md) > TLS_END_POINT_BYTES) return 0;
    return X509_digest(certificate, md, hash, &len) ? len : 0;
}

/* The peer's certificate, if there is one and it was checked. */
static X509 *verified(const struct tls *t)
{
    bool checks =
        t->context->is_server ? t->context->asks_client : t->context->verify != TLS_VERIFY_NONE;
    if (!checks || SSL_get_verify_result(t->ssl) != X509_V_OK) return NULL;
    return SSL_get0_peer_certificate(t->ssl);
}

bool tls_peer_is_verified(const struct tls *t) { return verified(t) != NULL; }

/* A name with a NUL inside looks like another one to whoever stops there (CVE-2009-4034). */
static bool is_clean(struct slice text) { return text.len && !memchr(text.at, '\0', text.len); }

struct slice tls_peer_common_name(struct tls *t)
{
    X509 *certificate = verified(t);
    unsigned char *utf8 = NULL;
    ERR_clear_error();
    if (!certificate || t->common_name.at) return t->common_name;
    X509_NAME *subject = X509_get_subject_name(certificate);
    int first = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (first < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, first) >= 0)
        return t->common_name;
    ASN1_STRING *value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, first));
    int len = ASN1_STRING_to_UTF8(&utf8, value);
    if (len < 0) return t->common_name;
    struct slice name = slice_of(utf8, (size_t)len);
    if (is_clean(name))
        t->common_name = name;
    else
        OPENSSL_free(utf8);
    return t->common_name;
}

static bool name_of(const GENERAL_NAME *general, struct tls_name *name)
{
    int type;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(general, &type);
    switch (type) {
    case GEN_DNS: name->kind = TLS_NAME_DNS; break;
    case GEN_EMAIL: name->kind = TLS_NAME_EMAIL; break;
    case GEN_URI: name->kind = TLS_NAME_URI; break;
    default: return false;
    }
    name->text = slice_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));
    return is_clean(name->text);
}

size_t tls_peer_names(struct tls *t, struct tls_name *names, size_t cap)
{
    X509 *certificate = verified(t);
    size_t count = 0;
    ERR_clear_error();
    if (!certificate) return 0;
    if (!t->names) t->names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(t->names) && count < cap; i++)
        if (name_of(sk_GENERAL_NAME_value(t->names, i), &names[count])) count++;
    return count;
}

int64_t tls_peer_not_after(const struct tls *t)
{
    X509 *certificate = SSL_get0_peer_certificate(t->ssl);
    struct tm parts;
    if (!certificate || !ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts)) return 0;
    return timegm(&parts);
}
