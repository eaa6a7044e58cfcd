/* creds: logins at clusters that live for minutes, fetched from AWS.
 *
 *      worker: creds_ask ---- mail ----> control: an entry for (cluster, database user, database)
 *         done(login) <------ mail ----     fresh: at once;  else one call, however many wait
 *
 *      issued            refresh in the background          margin   expires
 *        |------------- served --------|70-80 %|-- served --|--- not served ---|
 *
 * The expiry limits logging in, not the session that follows: who is in never
 * notices. A failure is remembered for a while, so that ten thousand clients do not
 * become ten thousand calls; calls are limited by a token bucket.
 * After the server refused a login (creds_reject) it is fetched anew, once.
 *
 * Memory only; passwords are wiped with their last reference. In no log, no SHOW.
 * Thread: lives on the control thread; creds_ask, creds_reject from any worker.
 */
#ifndef SLUICE_PROXY_CREDS_H
#define SLUICE_PROXY_CREDS_H

#include "auth/secret.h"
#include "proxy/io/mailbox.h"
#include "proxy/ops/admin_rows.h"
#include "proxy/ops/log.h"
#include "proxy/ops/metrics.h"
#include "proxy/realm.h"

struct http;
struct creds;
struct creds_ask;

/* Immutable, counted atomically. */
struct creds_login {
    atomic_uint refs;
    char *user; /* as AWS said it, "IAM:loader": to be used verbatim */
    struct secret *password;
    char *host; /* where AWS says that the cluster is; NULL: the configuration says it */
    uint16_t port;
    int64_t expires_ms;
    uint64_t serial;
    bool second; /* fetched because the server had refused the one before */
};

struct creds_login *creds_login_ref(struct creds_login *l);
void creds_login_unref(struct creds_login *l); /* NULL is fine */

/* Whether a cluster's logins come from here. */
bool creds_serves(const struct realm_cluster *cluster);

/* Control thread. `metrics`: that thread's. `http`: the caller's, must outlive it. close: answers
 * those who still ask with an error; free: after the end of the loop. */
struct creds *creds_open(uv_loop_t *uv, struct http *http, struct log *log, struct map_seed seed,
                         struct metrics *metrics);
void creds_close(struct creds *c); /* NULL is fine, here and below */
void creds_free(struct creds *c);

/* The login, a reference for the owner; or NULL and why: ERR_NO_CREDENTIALS may pass,
 * ERR_SERVER_REJECTED will not. */
typedef void creds_done(void *owner, struct creds_login *login, const struct err *err);

/* Asks; within `patience_ms` `done` comes by the mailbox `answer_to` (the asking thread's own),
 * exactly once, unless creds_ask_cancel comes first. NULL: out of memory, or shutting down. */
struct creds_ask *creds_ask(struct creds *c, struct realm *realm,
                            const struct realm_cluster *cluster, const char *database,
                            const char *db_user, uint64_t patience_ms, struct mailbox *answer_to,
                            creds_done *done, void *owner);
void creds_ask_cancel(struct creds_ask *ask);

/* The server refused this login, or nobody answers where AWS said that it is. */
void creds_reject(struct creds *c, const struct creds_login *login);

/* Rows of SHOW CREDENTIALS. Control thread. */
void creds_show(const struct creds *c, struct rows *r);

/* Two cells for each login at hand: "cluster/database/user", and its expiry, Unix time. */
void creds_each(const struct creds *c, struct rows *r);

/* A cluster whose logins are wanted and cannot be had now, and why; false: none. The slices live
 * until the loop's next turn. Control thread. */
bool creds_failing(const struct creds *c, struct slice *cluster, struct slice *why);

#endif
