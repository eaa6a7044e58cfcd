#include "proxy/io/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

const char *tls_reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;
    return text ? text : "unknown error";
}

/* ---- we do not trust the peer's certificate -----------------------------------------------------
 */

/* "warehouse.example.com, *.example.com": what the certificate is for. */
static void list_names(X509 *certificate, char *text, size_t cap)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    size_t len = 0;
    text[0] = '\0';
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        int type;
        const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type);
        int room = (int)(cap - len);
        if (type != GEN_DNS) continue;
        int n = snprintf(text + len, (size_t)room, "%s%.*s", len ? ", " : "",
                         ASN1_STRING_length(value), (const char *)ASN1_STRING_get0_data(value));
        if (n < 0 || n >= room) break;
        len += (size_t)n;
    }
    GENERAL_NAMES_free(names);
    /* The names are the peer's choice, and this ends up in logs. */
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

static void explain_verification(const struct tls *t, long result, struct err *err)
{
    const char *peer = t->context->peer;
    /* (A certificate that did not pass is not the session's: only the chain that was tried has it.)
     */
    X509 *certificate = sk_X509_value(SSL_get0_verified_chain(t->ssl), 0);
    char names[120] = "";
    switch (result) {
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        err_set(err, ERR_SERVER_UNREACHABLE, "certificate of %s is not signed by a known CA", peer);
        err_hint(err, "If the CA is right, set %s to a file with its certificate.",
                 t->context->ca_setting);
        return;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        err_set(err, ERR_SERVER_UNREACHABLE, "certificate of %s, or of its CA, has expired", peer);
        err_hint(err, "It must be renewed there, or %s; or this machine's clock is wrong.",
                 t->context->ca_setting);
        return;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        err_set(err, ERR_SERVER_UNREACHABLE, "certificate of %s is not valid yet", peer);
        err_hint(err, "Check this machine's clock.");
        return;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        if (certificate) list_names(certificate, names, sizeof names);
        err_set(err, ERR_SERVER_UNREACHABLE, "certificate of %s is for another name", peer);
        if (names[0]) err_detail(err, "It is for: %s", names);
        err_hint(err,
                 "Use one of its names as the endpoint, or \"verify-ca\" if any name will do.");
        return;
    default:
        err_set(err, ERR_SERVER_UNREACHABLE, "certificate of %s is not good: %s", peer,
                X509_verify_cert_error_string(result));
        return;
    }
}

static void explain_client_certificate(const struct tls *t, long result, struct err *err)
{
    (void)t;
    err_set(err, ERR_ACCESS_DENIED, "the client's certificate is not good: %s",
            X509_verify_cert_error_string(result));
    err_hint(err, "It must be valid and signed by a CA in the listener's client_ca.");
}

/* ---- everything else ----------------------------------------------------------------------------
 */

struct advice {
    int reason;
    const char *text, *hint;
};

/* A server hears from its client, or trips over what the client sent. */
static const struct advice server_advice[] = {
    { SSL_R_TLSV1_ALERT_UNKNOWN_CA, "the client does not trust our certificate's CA",
      "Give the client the CA (sslrootcert), or use a certificate that it trusts." },
    { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the client does not accept our certificate",
      "It must carry the name that clients connect to, as a subjectAltName." },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the client does not accept our certificate",
      "Give the client the CA (sslrootcert), and connect to a name in the certificate." },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "the client says that our certificate has expired",
      "Renew the listener's certificate and reload." },
    { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "the client knows no TLS version that we allow",
      "Upgrade the client, or lower the listener's min_version." },
    { SSL_R_UNSUPPORTED_PROTOCOL, "the client knows no TLS version that we allow",
      "Upgrade the client, or lower the listener's min_version." },
    { SSL_R_NO_SHARED_CIPHER, "the client knows no cipher that we allow",
      "Check the listener's ciphers; a client without ECDSA needs an RSA certificate." },
    { SSL_R_WRONG_VERSION_NUMBER, "what the client sent is not TLS", NULL },
    { SSL_R_HTTP_REQUEST, "the client speaks HTTP, not PostgreSQL over TLS", NULL },
    { SSL_R_HTTPS_PROXY_REQUEST, "the client takes this for an HTTPS proxy", NULL },
    { SSL_R_NO_APPLICATION_PROTOCOL, "the client wants to speak another protocol than postgresql",
      NULL },
};

/* A client hears from its server. */
static const struct advice client_advice[] = {
    { SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "refused the TLS handshake",
      "Perhaps it wants a client certificate, or allows none of our ciphers." },
    { SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, "wants a client certificate",
      "Set a client certificate and key for it." },
    { SSL_R_TLSV1_ALERT_UNKNOWN_CA, "does not trust the CA of our client certificate", NULL },
    { SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "does not accept our client certificate", NULL },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "does not accept our client certificate", NULL },
    { SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED, "says that our client certificate has expired",
      "Renew the client certificate and reload." },
    { SSL_R_TLSV1_ALERT_PROTOCOL_VERSION, "knows no TLS version that we allow",
      "Lower min_version for it, if that is acceptable." },
    { SSL_R_UNSUPPORTED_PROTOCOL, "knows no TLS version that we allow",
      "Lower min_version for it, if that is acceptable." },
    { SSL_R_TLSV1_UNRECOGNIZED_NAME, "does not know the name that we connect to",
      "Check the endpoint's name." },
    { SSL_R_WRONG_VERSION_NUMBER, "does not answer in TLS", "Check the port." },
};

static const struct advice *advice_for(const struct advice *rows, size_t count, int reason)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].reason == reason) return &rows[i];
    return NULL;
}

#define ADVICE(rows, reason) advice_for(rows, sizeof(rows) / sizeof(rows)[0], reason)

void tls_explain(const struct tls *t, struct err *err)
{
    bool is_server = t->context->is_server;
    unsigned long code = ERR_peek_error();
    int reason = code && ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
    long verification = SSL_get_verify_result(t->ssl);
    const struct advice *advice =
        is_server ? ADVICE(server_advice, reason) : ADVICE(client_advice, reason);
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verification != X509_V_OK) {
        (is_server ? explain_client_certificate : explain_verification)(t, verification, err);
    } else if (is_server) {
        err_set(err, ERR_PROTOCOL, "TLS: %s", advice ? advice->text : tls_reason());
    } else {
        err_set(err, ERR_SERVER_UNREACHABLE, advice ? "%s %s" : "TLS with %s failed: %s",
                t->context->peer, advice ? advice->text : tls_reason());
    }
    if (advice && advice->hint) err_hint(err, "%s", advice->hint);
}
