/* realm: one configuration, made ready for use.
 *
 * Who may enter, with what, over which TLS, to which clusters: everything that the
 * data path asks of a configuration. Immutable once made, counted by reference
 * (atomically), so that a reload swaps one pointer per worker and those who came
 * in under the old one keep it.
 * What outlives a configuration (budgets, what was learned of a cluster) is in
 * shared.h, by name.
 */
#ifndef SLUICE_PROXY_REALM_H
#define SLUICE_PROXY_REALM_H

#include "auth/access.h"
#include "auth/grants.h"
#include "auth/users.h"
#include "protocol/problem.h"
#include "proxy/address.h"
#include "proxy/io/tls.h"
#include "proxy/ops/config.h"

#include <stdatomic.h>

struct jwks_set;
struct shared;

struct realm_listen {
    struct tls_context *tls; /* NULL: plain only */
    struct access *fronts;   /* load balancers that say who the client is; NULL: clients come
                                themselves */
};

struct realm_login {
    const char *db_user;
    struct secret *password;
};

struct realm_cluster {
    const struct config_cluster *config;
    struct budget *budget;   /* its connections, in all configurations */
    struct health *health;   /* likewise */
    struct tls_context *tls; /* NULL: never TLS */
    char *host;              /* or the path of a unix socket; NULL: AWS is asked, see places.h */
    const char *tls_name;    /* what its certificate must name; NULL: what AWS says */
    uint16_t port;
    struct realm_login *logins; /* static credentials */
    size_t n_logins;
};

struct realm_role {
    const struct config_role *config;
    struct grants *grants;
};

struct realm {
    atomic_uint refs;
    uint64_t generation;
    struct config *config;
    struct users *users;
    struct access *access;
    struct realm_listen *listens;   /* as config->listen */
    struct tls_context *admin_tls;  /* NULL: the admin listener is plain */
    struct realm_cluster *clusters; /* as config->clusters */
    struct realm_role *roles;       /* as config->roles */
    struct jwks_set **issuer_keys;  /* as config->iam.issuers; NULL: they are fetched */
    unsigned usual_methods;         /* what an unknown user pretends to have */
};

/* Makes a realm; every problem is added to `problems`, and NULL is returned if one of them is
 * an error. Takes over the caller's reference to `config`, also on failure. `previous` (or NULL):
 * the realm it replaces; TLS tickets and derived passwords stay good. */
struct realm *realm_new(struct config *config, const struct realm *previous, struct shared *shared,
                        struct problems *problems);

struct realm *realm_ref(struct realm *r);
void realm_unref(struct realm *r);

/* Could anybody from this address enter at all, with or without TLS? */
bool realm_lets_in(const struct realm *r, const struct address *from);

/* The listener with that address, as the configuration writes it; -1: none. While the process lives
 * no configuration is without one that was opened at the start, but their order may change. */
int realm_listen_at(const struct realm *r, const char *address);

/* Why a connection from there to that listener is not even read; NULL: it is. */
const char *realm_turns_away(const struct realm *r, uint16_t listen, const struct address *from);

/* NULL: no such role. */
const struct realm_role *realm_role(const struct realm *r, const char *name);

const struct realm_cluster *realm_cluster(const struct realm *r, const char *name);

/* The password of a database user at a cluster with static credentials; NULL: none. */
const struct secret *realm_password(const struct realm_cluster *c, const char *db_user);

#endif
