/* carry: what a session has set, brought along to whatever server it gets.
 *
 * Reads each statement's effects (protocol/sql_effects), keeps the session's settings
 * (protocol/sql_settings), and before the first request on another server has that
 * server set to them, in one round trip, only what differs. What cannot be carried
 * pins the session to its server.
 *
 *   settings     what holds when no transaction is open
 *   tentative    with what the open transaction did, until it ends
 *   server's     what that server is set to now
 *
 * In session mode nothing is brought anywhere, but it is still read what the
 * session leaves behind on its server. Thread: the worker's.
 */
#ifndef SLUICE_PROXY_CARRY_H
#define SLUICE_PROXY_CARRY_H

#include "protocol/sql_effects.h"
#include "proxy/outbox.h"
#include "proxy/request.h"

/* The ledger's tags of our own SET statements (kind TXN_QUERY): whose end is waited for, or not. */
enum { CARRY_TAG = 1, CARRY_GROUP_TAG = 4 };

/* The settings of a new pooled session, from its startup packet's pairs. */
bool carry_begin(struct session *s, struct slice pairs, struct err *err);
void carry_end(struct session *s);

/* The query_group that a rule wants for the transaction that begins (empty: none). A client that
 * has set its own since its login has the last word. */
bool carry_group(struct session *s, struct slice group, struct err *err);

/* Whether it has. */
bool carry_has_group(const struct session *s);

/* The session has just got its server: what differs is put into `out`, and the session is
 * `settling` until the answer is there. */
void carry_attach(struct session *s, struct upstream *out);

/* A statement is about to be sent. SEND; WAIT: not before the server owes nothing; DROP: it was
 * about our own books and is answered, or it went into `out` with the server's names. `out` NULL:
 * it is a Parse, of session mode. */
enum take carry_query(struct session *s, struct slice text, bool more, struct upstream *out);

/* The effects of a text that is being prepared. */
uint32_t carry_effects(struct slice text);

/* A statement is about to be bound for execution; `effects` of its text were seen at Parse, which
 * the ledger knows by `tag` and `serial`. */
void carry_bind(struct session *s, struct slice text, uint32_t effects, uint32_t tag,
                uint32_t serial);

/* Further bytes of a statement that is too long to be held. */
void carry_skim(struct session *s, struct slice piece, bool last);

/* DISCARD ALL that the proxy answers: as the client began, without its prepared statements. */
void carry_discard(struct session *s);

/* What the server answers. `tag`: of CommandComplete. */
void carry_tag(struct session *s, struct slice tag);
void carry_failed(struct session *s, struct slice body);
void carry_parse_failed(struct session *s, uint32_t tag, uint32_t serial);
void carry_ready(struct session *s);

/* The server takes its client's texts in an encoding that we cannot read: who is not judged is
 * pinned. (Whoever must be judged is refused: see judge_statement and the pool's on_ready.) */
void carry_unreadable(struct session *s);

/* Our own SET statements: an error, and their end. */
void carry_settle_error(struct session *s, struct slice body);
void carry_settled(struct session *s);

/* The same of a query_group that nobody waited for. */
void carry_group_error(struct session *s, struct slice body);
void carry_group_said(struct session *s);

/* A server that serves nobody is set back; false when there is nothing to do. */
bool carry_reset(struct server *server);

#endif
