/* attribution: whose statements these are, as Redshift's own records show it.
 *
 * A route's query_group may have words in braces: {identity}, the ARN or name that was proven,
 * {user}, the user of the proxy, {conn}, the connection's number as the log has it. None of them
 * is chosen by the client. What could not stand in a query_group becomes '_'.
 *
 * Who was identified by AWS or by the warehouse gets "{identity} {conn}" at Redshift when neither
 * rule nor client says otherwise (`iam.attribution`).
 *
 * Not a comment before each statement: that would move the positions of errors, and a prepared
 * statement that many clients share has one text for all of them.
 */
#ifndef SLUICE_PROXY_ATTRIBUTION_H
#define SLUICE_PROXY_ATTRIBUTION_H

#include "proxy/client.h"

enum { ATTRIBUTION_MAX_BYTES = 320 };

/* Appends `text` with its words filled in, at most ATTRIBUTION_MAX_BYTES. */
void attribution_expand(const struct client *c, struct slice text, struct buf *out);

/* What it is without a rule; false: nothing. Appends. */
bool attribution_default(const struct client *c, struct buf *out);

#endif
