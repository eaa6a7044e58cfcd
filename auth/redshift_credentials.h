/* redshift_credentials: database logins that live for minutes, and where to use them.
 *
 * Three APIs give them, and differ in who the database user is:
 *
 *      GetClusterCredentials         the one we ask for ("IAM:loader")
 *      GetClusterCredentialsWithIAM  the caller's own identity ("IAMR:role")
 *      serverless GetCredentials     the same, for a workgroup
 *
 * The user name in an answer is to be used verbatim as the startup `user`. The
 * expiry limits logging in, not the session that follows.
 * Pure: requests out, answers in. When to ask again is proxy/creds' business.
 * Ownership: a login owns its texts, fini wipes them.
 */
#ifndef SLUICE_AUTH_REDSHIFT_CREDENTIALS_H
#define SLUICE_AUTH_REDSHIFT_CREDENTIALS_H

#include "auth/aws_error.h"

enum redshift_api { REDSHIFT_BY_USER, REDSHIFT_WITH_IAM, REDSHIFT_WORKGROUP };

enum { REDSHIFT_MIN_DURATION_S = 900, REDSHIFT_MAX_DURATION_S = 3600 };

/* What it takes to sign a call now. */
struct aws_signer {
    const struct aws_endpoint *endpoint; /* of the service that is called */
    const struct aws_credentials *credentials;
    int64_t now_ms, skew_ms;
};

struct redshift_order {
    enum redshift_api api;
    struct slice name;     /* cluster identifier or workgroup */
    struct slice domain;   /* a custom domain name instead of it; else empty */
    struct slice database; /* may be empty */
    struct slice db_user;  /* BY_USER only, as are the next three */
    const struct slice *db_groups;
    size_t db_group_count;
    bool autocreate;
    uint32_t duration_s; /* 0: REDSHIFT_MAX_DURATION_S */
};

struct redshift_login {
    struct buf user, password;
    int64_t expires_ms;
};

/* AWS_REDSHIFT or AWS_REDSHIFT_SERVERLESS: whose endpoint the signer must name. */
enum aws_service redshift_service(enum redshift_api api);

/* False and `err`: the order breaks a rule of the API, or out of memory. */
bool redshift_login_request(const struct redshift_order *order, const struct aws_signer *signer,
                            struct aws_request *request, struct err *err);

/* False and `error` when the answer has no login. `out` is to be fini'd in any case. */
bool redshift_login_answer(enum redshift_api api, const struct aws_response *response,
                           struct redshift_login *out, struct aws_error *error);
void redshift_login_fini(struct redshift_login *login);

/* ---- where a cluster is ------------------------------------------------------------------------
 */

enum redshift_state {
    REDSHIFT_AVAILABLE,
    REDSHIFT_BUSY,   /* maintenance, modifying, resizing: connecting may need a second try */
    REDSHIFT_PAUSED, /* nobody can connect until it is resumed */
    REDSHIFT_CREATING,
    REDSHIFT_GONE, /* deleting, or failed for good */
};

struct redshift_endpoint {
    char host[256]; /* empty while there is none yet */
    uint16_t port;
    char status[64]; /* AWS's word: "available, prep-for-resize" */
    enum redshift_state state;
};

/* DescribeClusters, GetWorkgroup. */
bool redshift_endpoint_request(enum redshift_api api, struct slice name,
                               const struct aws_signer *signer, struct aws_request *request);
bool redshift_endpoint_answer(enum redshift_api api, const struct aws_response *response,
                              struct redshift_endpoint *out, struct aws_error *error);

/* What an endpoint's host name says: <cluster>.<id>.<region>.redshift.amazonaws.com[.cn] or
 * <workgroup>.<account>.<region>.redshift-serverless.amazonaws.com[.cn]. False for anything else,
 * a custom domain name for one. The slices point into `host`. */
struct redshift_host {
    enum redshift_api api; /* BY_USER or WORKGROUP */
    struct slice name, region;
};
bool redshift_host_parse(struct slice host, struct redshift_host *out);

#endif
