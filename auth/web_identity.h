/* web_identity: a client's IAM identity as a signed statement of STS (kind T2).
 *
 *      client                                             Sluice
 *        sts:GetWebIdentityToken(Audience = server_id)      verify with the account's public keys,
 *        password = the JWT ------------- TLS ---->         locally: nothing is asked of anybody
 *
 * Unlike kind T1 the client needs the network, the proxy does not (the keys may
 * come from a file), and STS says more: which Lambda function is calling.
 * Who asserts and what is asserted go together: the issuer chooses the key set,
 * the header's kid one key of that set, and that key its algorithm.
 *
 * Pure. Refusals as in iam_token: one text for the client, the reason for the log.
 */
#ifndef SLUICE_AUTH_WEB_IDENTITY_H
#define SLUICE_AUTH_WEB_IDENTITY_H

#include "auth/iam_token.h"
#include "auth/signature.h"

enum {
    WEB_IDENTITY_MAX_BYTES = 8192,
    WEB_IDENTITY_LEEWAY_S = 60,
    WEB_IDENTITY_MAX_LIFE_S = 3600,
};

struct web_identity_issuer {
    struct slice issuer;               /* "https://<id>.tokens.sts.global.api.aws", exactly */
    const struct signature_keys *keys; /* NULL: not fetched yet */
};

struct web_identity_rules {
    const struct web_identity_issuer *issuers;
    size_t issuer_count;
    struct slice audience; /* our server_id */
};

struct web_identity {
    struct iam_identity who;
    char lambda_arn[IAM_ARN_BYTES]; /* the calling function, as STS saw it; else empty */
    char source_region[AWS_REGION_BYTES];
    char org_id[40];
    int64_t usable_until_ms;
};

enum web_identity_verdict {
    WEB_IDENTITY_ACCEPTED,
    WEB_IDENTITY_REFUSED,
    WEB_IDENTITY_UNKNOWN_KEY, /* fetch the issuer's keys (at most once a minute), then try again */
};

/* `issuer` is set to the index of the token's issuer unless the verdict is REFUSED. */
enum web_identity_verdict web_identity_verify(const struct web_identity_rules *rules,
                                              struct slice jwt, int64_t now_ms,
                                              struct web_identity *out, size_t *issuer,
                                              struct iam_refusal *refusal);

/* GET {issuer}/.well-known/jwks.json. False when the issuer is no https URL. */
bool web_identity_keys_request(struct slice issuer, struct aws_request *request);

#endif
