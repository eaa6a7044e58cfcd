/* certificates: made on the spot, for the tests of TLS. */
#ifndef SLUICE_TESTS_CERTIFICATES_H
#define SLUICE_TESTS_CERTIFICATES_H

#include "unit/unit.h"

#include "proxy/io/tls_context.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct certificate {
    X509 *x509;
    EVP_PKEY *key;
    char pem[8192], key_pem[8192]; /* the chain up to, not including, the root */
};

enum key_kind { KEY_P256, KEY_RSA, KEY_ED25519 };

struct certificate_options {
    enum key_kind kind;
    const char *common_name;
    size_t common_name_bytes;         /* 0: up to the NUL */
    const char *names;                /* "DNS:a,IP:127.0.0.1,email:x@y"; NULL: none */
    struct slice raw_dns;             /* one more DNS name, also with a NUL inside */
    const struct certificate *issuer; /* NULL: self-signed */
    bool is_ca;
    const char *digest;   /* NULL: sha256 */
    long from_s, until_s; /* relative to now; both 0: valid */
};

static inline EVP_PKEY *key_new(enum key_kind kind)
{
    switch (kind) {
    case KEY_RSA: return EVP_RSA_gen(2048);
    case KEY_ED25519: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default: return EVP_EC_gen("P-256");
    }
}

static inline void add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

static inline void add_raw_dns(X509 *x509, struct slice dns)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, dns.at, (int)dns.len);
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
    assert_int_equal(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0), 1);
    GENERAL_NAMES_free(names);
}

static inline void to_pem(char *at, size_t cap, X509 *x509, EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes;
    if (x509) PEM_write_bio_X509(bio, x509);
    if (key) PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long len = BIO_get_mem_data(bio, &bytes);
    assert_true(len > 0 && (size_t)len < cap);
    memcpy(at, bytes, (size_t)len);
    at[len] = '\0';
    BIO_free(bio);
}

static inline struct certificate *certificate_new(const struct certificate_options *o)
{
    struct certificate *c = calloc(1, sizeof *c);
    static long serial = 1;
    X509 *x509 = X509_new();
    X509 *issuer = o->issuer ? o->issuer->x509 : x509;
    c->x509 = x509;
    c->key = key_new(o->kind);
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
    bool usual = !o->from_s && !o->until_s;
    X509_gmtime_adj(X509_getm_notBefore(x509), usual ? -3600 : o->from_s);
    X509_gmtime_adj(X509_getm_notAfter(x509), usual ? 86400 : o->until_s);
    X509_set_pubkey(x509, c->key);
    size_t len = o->common_name_bytes ? o->common_name_bytes : strlen(o->common_name);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
                                                (const unsigned char *)o->common_name, (int)len, -1,
                                                0),
                     1);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer));
    if (o->is_ca) add_extension(x509, issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (o->names) add_extension(x509, issuer, NID_subject_alt_name, o->names);
    if (o->raw_dns.len) add_raw_dns(x509, o->raw_dns);
    const EVP_MD *digest = o->kind == KEY_ED25519 && !o->issuer
                               ? NULL
                               : EVP_get_digestbyname(o->digest ? o->digest : "sha256");
    assert_true(X509_sign(x509, o->issuer ? o->issuer->key : c->key, digest) > 0);
    to_pem(c->pem, sizeof c->pem, x509, NULL);
    to_pem(c->key_pem, sizeof c->key_pem, NULL, c->key);
    return c;
}

static inline void certificate_free(struct certificate *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    free(c);
}

static inline struct certificate *ca_new(const char *name)
{
    return certificate_new(&(struct certificate_options){ .common_name = name, .is_ca = true });
}

static inline struct certificate *leaf_new(const struct certificate *ca, const char *name,
                                           const char *names)
{
    return certificate_new(
        &(struct certificate_options){ .common_name = name, .names = names, .issuer = ca });
}

static inline struct tls_source pem_source(const char *name, const char *pem)
{
    return (struct tls_source){ name, slice_str(pem) };
}

static inline struct tls_context *server_context(const struct certificate *own,
                                                 const struct certificate *client_ca,
                                                 enum tls_version least)
{
    struct err err = { 0 };
    struct tls_server_options options = {
        .certificate = pem_source("server.crt", own->pem),
        .key = pem_source("server.key", own->key_pem),
        .min_version = least,
    };
    if (client_ca) options.client_ca = pem_source("clients.crt", client_ca->pem);
    struct tls_context *context = tls_context_server(&options, NULL, &err);
    if (!context) fail_msg("%s", err.message);
    return context;
}

static inline struct tls_context *client_context(const struct certificate *ca,
                                                 enum tls_verify verify,
                                                 const struct certificate *own, const char *alpn)
{
    struct err err = { 0 };
    struct tls_client_options options = {
        .verify = verify,
        .alpn = alpn,
        .peer = "cluster warehouse",
        .ca_setting = "clusters.warehouse.ca",
    };
    if (ca) options.ca = pem_source("ca.crt", ca->pem);
    if (own) {
        options.certificate = pem_source("client.crt", own->pem);
        options.key = pem_source("client.key", own->key_pem);
    }
    struct tls_context *context = tls_context_client(&options, &err);
    if (!context) fail_msg("%s", err.message);
    return context;
}

#endif
