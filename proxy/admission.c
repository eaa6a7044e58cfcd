#include "proxy/admission.h"

#include "auth/access.h"
#include "protocol/startup.h"
#include "proxy/io/tls.h"
#include "proxy/realm.h"

static enum config_tls_mode tls_mode_of(const struct client *c)
{
    return c->realm->config->listen[c->listen].tls.mode;
}

uint32_t admission_certificate_names(struct client *c, struct slice names[ADMISSION_NAMES])
{
    struct tls *tls = stream_tls(&c->stream);
    struct tls_name alternative[ADMISSION_NAMES];
    uint32_t n = 0;
    if (!tls || !tls_peer_is_verified(tls)) return 0;
    struct slice common = tls_peer_common_name(tls);
    if (common.len) names[n++] = common;
    size_t count = tls_peer_names(tls, alternative, ADMISSION_NAMES - 1);
    for (size_t i = 0; i < count && n < ADMISSION_NAMES; i++) names[n++] = alternative[i].text;
    return n;
}

/* verify-ca: some certificate that the CA signed; verify-full: one that names the user. */
static bool has_wanted_certificate(struct client *c, enum config_tls_mode mode, struct slice user)
{
    struct slice names[ADMISSION_NAMES];
    if (mode < CONFIG_TLS_VERIFY_CA || c->address.family == ADDRESS_UNIX) return true;
    uint32_t n = admission_certificate_names(c, names);
    if (mode == CONFIG_TLS_VERIFY_CA)
        return stream_tls(&c->stream) && tls_peer_is_verified(stream_tls(&c->stream));
    for (uint32_t i = 0; i < n; i++)
        if (slice_eq(names[i], user)) return true;
    return false;
}

bool admission_allows(struct client *c, struct slice user, struct err *err)
{
    struct access_question q = { .family = c->address.family,
                                 .bytes = c->address.bytes,
                                 .user = user,
                                 .tls = stream_is_tls(&c->stream) };
    enum config_tls_mode mode = tls_mode_of(c);
    if (c->address.family != ADDRESS_UNIX && mode >= CONFIG_TLS_REQUIRE && !q.tls) {
        err_set(err, ERR_TLS_REQUIRED, "this proxy accepts TLS connections only");
        err_hint(err, "connect with sslmode=require or stronger");
        return false;
    }
    if (!has_wanted_certificate(c, mode, user)) {
        err_set(err, ERR_ACCESS_DENIED, "a client certificate%s is required",
                mode == CONFIG_TLS_VERIFY_FULL ? " that names the user" : "");
        return false;
    }
    if (access_allows(c->realm->access, &q)) return true;
    q.tls = true;
    if (!stream_is_tls(&c->stream) && access_allows(c->realm->access, &q)) {
        err_set(err, ERR_TLS_REQUIRED, "connections from this address need TLS");
        err_hint(err, "connect with sslmode=require or stronger");
        return false;
    }
    err_set(err, ERR_ACCESS_DENIED, "connection not allowed from this address for this user");
    err_hint(err, "ask your administrator for an \"access\" rule");
    return false;
}

/* Drivers that would answer code 14 say so: they have a token, of some type, of some provider. */
bool admission_has_idp_token(struct slice parameters)
{
    return startup_get(parameters, "idp_type").len || startup_get(parameters, "token_type").len;
}

void admission_circumstances(struct client *c, struct slice parameters,
                             struct slice names[ADMISSION_NAMES], struct auth_circumstances *how)
{
    *how = (struct auth_circumstances){
        .redshift_driver =
            auth_is_redshift_driver(startup_get(parameters, "driver_version"),
                                    startup_get(parameters, "client_protocol_version").at != NULL),
        .tls = stream_tls(&c->stream) != NULL,
        .loopback = address_is_loopback(&c->address),
        .unix_socket = c->address.family == ADDRESS_UNIX,
        .has_idp_token = admission_has_idp_token(parameters),
        .certificate_names = names,
        .certificate_name_count = admission_certificate_names(c, names),
    };
}
