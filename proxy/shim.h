/* shim: answers to statements that drivers send and Redshift lacks (shim.def), and to empty ones.
 *
 * Opt-in, by name, per pool (`pool.local_answers`) or per rule of the routing table
 * (`local_answers`, on top of the pool's); each answer is counted. A statement is recognised by its
 * tokens, so that neither case nor white space nor comments matter; only one that stands alone is.
 */
#ifndef SLUICE_PROXY_SHIM_H
#define SLUICE_PROXY_SHIM_H

#include "proxy/session.h"

/* Answers the Query, if it is one for us. */
bool shim_answers(struct session *s, struct slice text);

/* Whether such a name exists, for checking configurations. */
bool shim_exists(struct slice name);

#endif
