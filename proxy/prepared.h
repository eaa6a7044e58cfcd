/* prepared: prepared statements on whatever server the session happens to have.
 *
 * Parse, Bind, Describe and Close are brought from the client's names to the
 * server's, and a statement that the server does not have is parsed there first,
 * unseen by the client. The books are protocol/stmt's; here they meet the ledger.
 * Not used in session mode: there the server's names are the client's.
 */
#ifndef SLUICE_PROXY_PREPARED_H
#define SLUICE_PROXY_PREPARED_H

#include "protocol/sql_effects.h"
#include "proxy/outbox.h"
#include "proxy/request.h"

enum { PREPARED_HELD_MAX = 1 << 20 }; /* a larger Parse is not held, and pins */

/* Each takes the first piece of such a message; the session has a server. What is to be sent is in
 * `out` afterwards (TAKE_SENT, TAKE_DROP), or is the piece as it is (TAKE_SEND). */
enum take prepared_parse(struct session *s, const struct piece *p, struct upstream *out);
enum take prepared_bind(struct session *s, const struct piece *p, struct upstream *out);
enum take prepared_describe(struct session *s, const struct piece *p, struct upstream *out);
enum take prepared_close(struct session *s, const struct piece *p, struct upstream *out);

/* The statement that a Bind or Describe names. False: malformed. */
bool prepared_named_by(const struct piece *p, struct slice *name);

/* Its text, and by which generation of the role it was judged (for the judge to set anew). False:
 * there is none, or none that is known to be on the server. */
bool prepared_text(struct session *s, struct slice name, struct slice *text, uint64_t **generation);

/* The client's book; NULL: no memory. */
struct stmt_book *prepared_book(struct session *s);

/* Before it is used: the server must have it, and is sent a Parse where it does not. `generation`:
 * of the role that judged it. */
bool prepared_bring(struct session *s, struct upstream *out, struct stmt *stmt,
                    uint64_t generation);
/* The server has lost it, by the name that it knows it by: parsed again. True also when there is
 * nothing to be done. */
bool prepared_restore(struct session *s, struct slice name, struct upstream *out);
/* It may not be there any more. */
void prepared_doubt(struct server *server, const struct stmt *stmt);

/* A simple Query makes an end of the unnamed statement, on the server and for the client; or for
 * the client alone. */
void prepared_query(struct session *s);
void prepared_forget_unnamed(struct session *s);

/* Parse and Close without a server: a statement that is known to be a good one is kept in the
 * client's book alone, or taken out of it. */
enum take prepared_keep(struct session *s, const struct piece *p, struct upstream *out);
enum take prepared_drop(struct session *s, const struct piece *p);

/* What the ledger says of a Parse that was sent: it was answered (ok), or failed, or never will be
 * answered. `s` may be NULL. */
void prepared_parsed(struct session *s, struct server *server, uint32_t tag, uint32_t serial,
                     bool ok);

/* The same of a Parse that we answered ourselves. */
void prepared_named(struct session *s, uint32_t serial, bool ok);

/* Copies beyond the pool's limit are closed; called when a session gets the server. */
void prepared_trim(struct server *server, struct upstream *out);

/* A CommandComplete tag after which Redshift may have thrown prepared statements away. */
void prepared_tag(struct server *server, struct slice tag);

#endif
