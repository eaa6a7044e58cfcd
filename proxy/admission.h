/* admission: whether a client may try to log in at all: from its address, over its TLS, with the
 * certificate it has shown. Asks the realm's access rules and says what would help.
 *
 * Thread: the client's worker's.
 */
#ifndef SLUICE_PROXY_ADMISSION_H
#define SLUICE_PROXY_ADMISSION_H

#include "proxy/client.h"

enum { ADMISSION_NAMES = 16 };

bool admission_allows(struct client *c, struct slice user, struct err *err);

/* The names in a client certificate that was verified, as many as there is room for. */
uint32_t admission_certificate_names(struct client *c, struct slice names[ADMISSION_NAMES]);

#endif
