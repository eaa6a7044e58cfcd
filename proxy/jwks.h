/* jwks: the public keys of those who sign web identity tokens, kept fresh.
 *
 *      jwks_want ---> one fetch per place, however many ask
 *          |            ok: served, fetched again every iam.keys_refresh
 *          |            failed: what was known goes on being served, up to iam.keys_keep;
 *          |                    tried again after 1 s, 2 s, ... 1 min
 *          `-- a token names a key that is not there: fetched anew, once a minute at most, so that
 *              strangers with invented keys cannot make us ask
 *
 * Keys from a file are not here: they belong to the realm and change with a reload.
 * Nobody is let in for want of keys: who asks hears that there are none, and why.
 * Thread: the control thread's; a set that was handed out is immutable and counted, for any thread.
 */
#ifndef SLUICE_PROXY_JWKS_H
#define SLUICE_PROXY_JWKS_H

#include "auth/signature.h"
#include "protocol/list.h"
#include "protocol/map.h"
#include "proxy/ops/config.h"
#include "proxy/ops/log.h"

#include <stdatomic.h>
#include <uv.h>

struct http;
struct jwks;

struct jwks_set {
    atomic_uint refs;
    struct signature_keys *keys;
};

/* From a JWKS document; NULL with `err`. */
struct jwks_set *jwks_set_new(struct slice jwks, struct err *err);
struct jwks_set *jwks_set_ref(struct jwks_set *s);
void jwks_set_unref(struct jwks_set *s); /* NULL is fine */

struct jwks *jwks_open(uv_loop_t *uv, struct http *http, struct log *log, struct map_seed seed);
void jwks_close(struct jwks *j); /* NULL is fine, here and below; who waits is told */
void jwks_free(struct jwks *j);  /* after the end of the loop */

/* Begins to fetch what this configuration's issuers need and is not there yet. */
void jwks_prepare(struct jwks *j, const struct config_iam *iam);

/* The issuer's keys as they are now, borrowed until the next turn; NULL: none. */
struct jwks_set *jwks_now(struct jwks *j, const struct config_issuer *issuer);

/* Wants them fetched, because there are none or `unknown` a token named one that is not there.
 * True: `ready` comes, once, unless the node is taken off its list first. False: not now, it was
 * tried a moment ago; `why` says what came of it. */
struct jwks_wait {
    struct list node;
    void (*ready)(struct jwks_wait *w);
};
bool jwks_want(struct jwks *j, const struct config_iam *iam, const struct config_issuer *issuer,
               bool unknown, struct jwks_wait *w);

/* Why the last fetch failed; "": it did not. */
const char *jwks_trouble(struct jwks *j, const struct config_issuer *issuer);

#endif
