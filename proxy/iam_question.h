/* iam_question: one token, while somebody is asked whose it is.
 *
 *      T1, a presigned URL   --> STS, over HTTP; up to three attempts
 *      T2, a web identity    --> the issuer's keys (jwks, waited for if need be), then the
 * signature on one of libuv's threads: a curve takes a millisecond
 *
 * Knows nothing of who waits for the answer, of limits or of what was asked before: that is
 * iam_door. Thread: the control thread's. Ownership: embedded in its owner; the token's text is
 * wiped when the answer is there.
 */
#ifndef SLUICE_PROXY_IAM_QUESTION_H
#define SLUICE_PROXY_IAM_QUESTION_H

#include "auth/iam_token.h"
#include "proxy/aws_client.h"
#include "proxy/io/wheel.h"
#include "proxy/jwks.h"
#include "proxy/realm.h"

enum { IAM_REGIONS_MAX = 16 };

/* What a realm says about tokens; points into it. */
struct iam_rules {
    struct iam_token_rules rules;
    struct slice regions[IAM_REGIONS_MAX];
};
void iam_rules_make(const struct realm *realm, struct iam_rules *r);

/* The world of all questions. */
struct iam_world {
    uv_loop_t *uv;
    struct http *http;
    struct jwks *jwks;
    struct wheel *wheel;
};

struct iam_question;
typedef void iam_question_done(struct iam_question *q, enum iam_verdict verdict,
                               const struct iam_identity *who, const struct iam_refusal *refusal);

struct web_question;

struct iam_question {
    const struct iam_world *world;
    struct realm *realm;     /* borrowed: the owner's */
    struct iam_token opened; /* T1 */
    struct buf jwt;          /* T2, secret; empty: T1 */
    int64_t usable_until_ms; /* of the identity, and of the token; set by the answer for T2 */
    struct aws_call call;
    struct wheel_node timer;
    struct jwks_wait wait;
    struct web_question *web; /* on another thread; NULL: none */
    size_t issuer;
    uint32_t attempts;
    bool fetched; /* its issuer's keys, for this token */
    iam_question_done *done;
};

/* Takes over `opened` (T1) or `jwt` (T2). `done` comes once, perhaps from within, unless cancel
 * comes first. */
void iam_question_ask(struct iam_question *q, const struct iam_world *world, struct realm *realm,
                      struct iam_token *opened, struct buf *jwt, iam_question_done *done);
void iam_question_cancel(struct iam_question *q); /* also frees what is left */

bool iam_refuse_unavailable(struct iam_refusal *refusal, const char *why);

#endif
