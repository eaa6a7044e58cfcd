/* admission: whether a client may try to log in at all: from its address, over its TLS, with the
 * certificate it has shown. Asks the realm's access rules and says what would help.
 *
 * Thread: the client's worker's.
 */
#ifndef SLUICE_PROXY_ADMISSION_H
#define SLUICE_PROXY_ADMISSION_H

#include "auth/choose.h"
#include "proxy/client.h"

enum { ADMISSION_NAMES = 16 };

bool admission_allows(struct client *c, struct slice user, struct err *err);

/* The names in a client certificate that was verified, as many as there is room for. */
uint32_t admission_certificate_names(struct client *c, struct slice names[ADMISSION_NAMES]);

/* Whether the startup packet speaks of an identity provider's token. */
bool admission_has_idp_token(struct slice parameters);

/* What the choice of a proof depends on; `names` holds what `how` points to. */
void admission_circumstances(struct client *c, struct slice parameters,
                             struct slice names[ADMISSION_NAMES], struct auth_circumstances *how);

#endif
