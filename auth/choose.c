#include "auth/choose.h"

/* Names are compared by length: a NUL inside a certificate's name ends nothing. */
static bool certificate_names(const struct user *user, const struct auth_circumstances *how)
{
    for (uint32_t i = 0; i < how->certificate_name_count; i++)
        for (uint32_t k = 0; k < user->certificate_name_count; k++)
            if (slice_eq(how->certificate_names[i], user->certificate_names[k])) return true;
    return false;
}

static enum auth_method method_for(const struct user *user, const struct auth_circumstances *how)
{
    unsigned listed = user->methods;
    bool is_private = how->tls || how->unix_socket;
    bool is_amazons = how->redshift_driver;

    if (listed & AUTH_BIT(AUTH_CERT) && how->tls && certificate_names(user, how)) return AUTH_CERT;
    if (listed & AUTH_BIT(AUTH_TRUST) && (how->loopback || how->unix_socket)) return AUTH_TRUST;
    if (listed & AUTH_BIT(AUTH_IAM) && is_private) return AUTH_IAM;
    if (listed & AUTH_BIT(AUTH_IDP) && how->tls && how->has_idp_token) return AUTH_IDP;
    if (listed & AUTH_BIT(AUTH_PASSTHROUGH) && is_private) return AUTH_PASSTHROUGH;
    if (listed & AUTH_BIT(AUTH_DIGEST) && user->digest && is_amazons) return AUTH_DIGEST;
    if (listed & AUTH_BIT(AUTH_SCRAM) && user->scram && !is_amazons) return AUTH_SCRAM;
    if (listed & AUTH_BIT(AUTH_MD5) && user->md5) return AUTH_MD5;
    if (listed & AUTH_PASSWORD_BITS && is_private) return AUTH_CLEARTEXT;
    return AUTH_NONE;
}

struct auth_choice auth_choose(const struct user *user, const struct user *stranger,
                               const struct auth_circumstances *how)
{
    enum auth_method method = user ? method_for(user, how) : AUTH_NONE;
    if (method != AUTH_NONE) return (struct auth_choice){ method, user };
    return (struct auth_choice){ method_for(stranger, how), NULL };
}
