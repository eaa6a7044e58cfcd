/* aws_errand: one signed call to AWS, carried through.
 *
 *      keys (aws_identity) --> may it go now? (hold) --> build, sign, send --> read --> done
 *                   ^                                        |
 *                   +---- new keys, right clock, a pause ----+
 *
 * Throttled and failed calls are made again with backoff, as long as the identity's quota lasts;
 * keys that AWS does not take any more are searched for anew, once; a wrong clock is corrected,
 * once.
 *
 * Embedded in its owner, who may stop it at any time. Thread: the control thread's.
 */
#ifndef SLUICE_PROXY_AWS_ERRAND_H
#define SLUICE_PROXY_AWS_ERRAND_H

#include "auth/aws_retry.h"
#include "proxy/aws_identity.h"
#include "proxy/io/wheel.h"

struct aws_errand;

struct aws_errand_kind {
    /* Writes the signed request. False and `err`: it cannot be written, now or later. */
    bool (*build)(struct aws_errand *e, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err);
    /* True: it was a success, what it said is kept. */
    bool (*read)(struct aws_errand *e, const struct aws_response *response,
                 struct aws_error *error);
    /* `err` NULL: success. `for_good`: AWS has said no, and will again. */
    void (*done)(struct aws_errand *e, const struct err *err, bool for_good);
    /* Milliseconds to wait before a call may go, 0: it goes now. NULL: never any. */
    int64_t (*hold)(struct aws_errand *e);
};

struct aws_errand {
    const struct aws_errand_kind *kind;
    struct aws_identity *identity;
    struct wheel *wheel;
    enum aws_service service;
    const char *what; /* "redshift GetClusterCredentials"; for errors */
    struct aws_identity_wait wait;
    struct aws_call call;
    struct aws_retry retry;
    struct wheel_node timer;
    struct aws_error last; /* what the last call failed with; fault NONE: none has */
    bool under_way, keys_renewed, clock_set;
};

void aws_errand_init(struct aws_errand *e, const struct aws_errand_kind *kind,
                     struct aws_identity *identity, struct wheel *wheel);

/* Harmless when it is under way already. `done` comes exactly once, possibly before this returns,
 * unless aws_errand_stop comes first. */
void aws_errand_start(struct aws_errand *e, enum aws_service service, const char *what);
void aws_errand_stop(struct aws_errand *e);

/* How things stand, for somebody who will wait no longer. */
void aws_errand_explain(const struct aws_errand *e, struct err *err);

#endif
