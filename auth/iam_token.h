/* iam_token: a client's IAM identity as a password (kind T1).
 *
 *      client, with its role's keys and no network              Sluice
 *        presign STS GetCallerIdentity,                            take apart (iam_token_open)
 *        bound to our server_id by a signed header                 rebuild     (iam_token_request)
 *        password = "sluice-sts-v1." + base64url(URL) -- TLS -->   ask STS, judge (iam_token_judge)
 *
 * Reconstruct, don't validate: seven values are pulled out of the client's URL,
 * each checked, and the request that goes to STS is built anew from constants
 * and those values. No byte of the client's reaches STS but inside them. (Vault's
 * CVE-2020-16250 and aws-iam-authenticator's CVE-2022-2385 came of the opposite.)
 *
 * Pure: it neither asks STS nor reads a clock. The client hears one and the same
 * refusal for everything that could teach an attacker; the reason is for the log
 * and never quotes the token.
 * Ownership: an opened token owns its texts; fini wipes them.
 */
#ifndef SLUICE_AUTH_IAM_TOKEN_H
#define SLUICE_AUTH_IAM_TOKEN_H

#include "auth/aws_http.h"
#include "auth/iam_arn.h"

enum {
    IAM_TOKEN_MAX_BYTES = 16384, /* of the password; session tokens have no stated limit */
    IAM_TOKEN_DEFAULT_AGE_S = 300,
    IAM_TOKEN_MAX_AGE_S = 900, /* STS honours a URL for 15 minutes, whatever X-Amz-Expires says */
    IAM_TOKEN_AHEAD_S = 300,   /* how far a client's clock may be ahead of ours */
    IAM_SERVER_ID_MIN_BYTES = 8,
};

/* What a password looks like; says nothing about whether it is good. */
enum iam_token_kind {
    IAM_TOKEN_NONE, /* a plain password */
    IAM_TOKEN_STS,  /* T1 */
    IAM_TOKEN_EKS,  /* "k8s-aws-v1.": the same for Kubernetes; only where rules->eks */
    IAM_TOKEN_JWT,  /* T2: see web_identity */
    IAM_TOKEN_RDS,  /* an RDS IAM token: nobody but RDS can verify it */
};
enum iam_token_kind iam_token_kind_of(struct slice password);

struct iam_token_rules {
    struct slice server_id;
    const struct slice *regions; /* whose STS may be asked, a fixed list */
    size_t region_count;
    uint32_t max_age_s;                /* 0: IAM_TOKEN_DEFAULT_AGE_S */
    bool fips, dual_stack, global_sts; /* further names of STS that clients may have signed for */
    bool eks;
};

/* Why a login failed, twice: for the client and for the log. */
struct iam_refusal {
    struct err client;
    char reason[224];
};

struct iam_token {
    enum iam_token_kind kind;
    char host[AWS_ENDPOINT_URL_BYTES]; /* one of those that the rules' regions make */
    char region[AWS_REGION_BYTES];     /* of the signature's scope */
    char partition[IAM_PARTITION_BYTES];
    char key_id[IAM_NAME_BYTES];    /* may be logged: it is no secret */
    char hash[SHA256_HEX_BYTES];    /* of the whole password: the only cache key */
    char date[TIMESTAMP_AMZ_BYTES]; /* X-Amz-Date as the client wrote it */
    char signature[SHA256_HEX_BYTES];
    uint32_t expires_s;
    int64_t issued_ms;
    int64_t usable_until_ms;  /* a verified identity may be cached until then, not longer */
    struct buf session_token; /* secret; empty for long-lived keys */
};

/* Whether a server id is one that can be bound: 8 to 128 visible ASCII characters. */
bool iam_server_id_is_valid(struct slice server_id);

/* Takes a password of kind STS (or EKS, where allowed) apart. False and `refusal`: it is not one,
 * not for us, or not for now. `token` is to be fini'd in any case. */
bool iam_token_open(const struct iam_token_rules *rules, struct slice password, int64_t now_ms,
                    struct iam_token *token, struct iam_refusal *refusal);
void iam_token_fini(struct iam_token *token);

/* The request to send to STS. `connect_to`: scheme://host[:port] to connect to instead (tests, VPC
 * endpoints without private DNS); the Host header stays the signed one. False: out of memory. */
bool iam_token_request(const struct iam_token_rules *rules, const struct iam_token *token,
                       struct slice connect_to, struct aws_request *request);

enum iam_verdict {
    IAM_ACCEPTED,
    IAM_REFUSED,     /* the token is bad; may be remembered for some seconds */
    IAM_UNAVAILABLE, /* STS did not say: try again within the login's time; never remembered */
};

/* Reads STS's answer. */
enum iam_verdict iam_token_judge(const struct iam_token *token, const struct aws_response *response,
                                 struct iam_identity *identity, struct iam_refusal *refusal);

/* Fills a refusal for a password kind that cannot be verified here at all (RDS, EKS when it is
 * off), with words that say what to use instead. */
void iam_token_refuse_kind(enum iam_token_kind kind, struct slice server_id,
                           struct iam_refusal *refusal);

/* The client's side: appends a token. No network; only HMACs over the keys. False and `err`: no
 * usable server id or region, or out of memory. */
struct iam_token_order {
    struct slice server_id, region;
    bool fips, dual_stack;
    int64_t now_ms;
};
bool iam_token_mint(const struct iam_token_order *order, const struct aws_credentials *credentials,
                    struct buf *out, struct err *err);

#endif
