/* excess: may the database user of a restricted role do more than the role?
 *
 * Who gets past the proxy, by a bug of ours or by another way in, has what the database user has.
 * So a pool asks its first server in each generation of the configuration, before a client is
 * given it: is this user a superuser, owner of a table that the role names, or does it hold a
 * privilege on it that the role lacks? Only tables that the role names exactly are asked about,
 * and of them those that exist. A role that may DDL on a table may do anything to it.
 * With `excess_privilege: refuse` the pool serves nobody then, with `warn` the log says so.
 * An answer that cannot be had counts as excess.
 *
 * The server is in nobody's hands meanwhile: its ledger does not hear of the question.
 * Owner: the server (server.excess); the pool drives it. Thread: the worker's.
 */
#ifndef SLUICE_PROXY_EXCESS_H
#define SLUICE_PROXY_EXCESS_H

#include "proxy/server.h"

struct excess;

enum excess_answer {
    EXCESS_MORE,    /* bytes are missing */
    EXCESS_NONE,    /* the user is no stronger than the role */
    EXCESS_FOUND,   /* it is; the log has it */
    EXCESS_UNKNOWN, /* the server refused to answer; the log has it */
    EXCESS_GARBLED, /* what it says is no answer: the connection is of no use any more */
};

/* Sends the question. The role stays valid as long as the target's realm is held. False: no memory,
 * or a broken stream. */
bool excess_ask(struct server *s, const struct realm_role *role);

/* Bytes from the server. When it is no longer MORE the question is over: call excess_end. */
enum excess_answer excess_take(struct server *s, const char *at, size_t len);

/* Forgets the question; harmless when there is none. Returns the generation that was asked for. */
uint64_t excess_end(struct server *s);

/* The question itself, appended; for tests. */
void excess_query(const struct config_role *role, const char *database, struct buf *out);

#endif
