/* choose: which proof a client is asked for.
 *
 * No single challenge is spoken by everybody: PostgreSQL's drivers know SCRAM but
 * not Redshift's digest; Amazon's know the digest and read SCRAM's code 10 as
 * something else. So the startup packet decides:
 *
 *     client certificate that names the user, "cert" listed      AUTH_CERT
 *     loopback or unix socket, "trust" listed                    AUTH_TRUST
 *     "iam" listed, TLS or unix socket                           AUTH_IAM (code 3)
 *     Amazon's driver that has a token, "idp" listed, TLS        AUTH_IDP (code 14)
 *     "passthrough" listed, TLS or unix socket                   AUTH_PASSTHROUGH (code 3)
 *     Amazon's driver, "digest" listed and held                  AUTH_DIGEST (code 13)
 *     other driver, "scram-sha-256" listed and held              AUTH_SCRAM (code 10)
 *     "md5" listed and held                                      AUTH_MD5 (code 5)
 *     any password method listed, TLS or unix socket             AUTH_CLEARTEXT (code 3)
 *
 * The first line that fits. Challenges are used only where the user's list names
 * them; cleartext is what is left over TLS when the driver speaks none of those.
 */
#ifndef SLUICE_AUTH_CHOOSE_H
#define SLUICE_AUTH_CHOOSE_H

#include "auth/users.h"

/* What is known about the connection when the startup packet is in. */
struct auth_circumstances {
    bool redshift_driver;
    bool has_idp_token; /* the startup packet speaks of an identity provider's token */
    bool tls;
    bool loopback; /* the real peer's address, never one that somebody claims for it */
    bool unix_socket;
    /* The names (CN and DNS names) of a client certificate that was verified; none: none. */
    const struct slice *certificate_names;
    uint32_t certificate_name_count;
};

struct auth_choice {
    enum auth_method method;
    const struct user *user; /* NULL: go through the motions, nobody can succeed */
};

/* Whether the startup packet is from one of Amazon's drivers: `driver_version` is the value of that
 * key (empty: absent), and only they send `client_protocol_version`. */
static inline bool auth_is_redshift_driver(struct slice driver_version,
                                           bool has_client_protocol_version)
{
    return has_client_protocol_version || slice_starts(driver_version, "Redshift ");
}

/* `user` is NULL when nobody has that name. He, and a user whose list has nothing for this
 * connection, are asked what most users of this table would be (users_stranger), so that asking
 * tells an outsider nothing. AUTH_NONE: not even that fits; refuse, for lack of TLS as a rule. */
struct auth_choice auth_choose(const struct user *user, const struct user *stranger,
                               const struct auth_circumstances *how);

#endif
