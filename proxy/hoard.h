/* hoard: memory for statements that are being gathered, of all clients together (limits.memory).
 *
 * A statement that has to be there whole takes as much of it as has arrived: who announces
 * 16 MB and sends nothing takes nothing. When there is no room the client is not read, and
 * stands in its worker's line until others have sent theirs on:
 *
 *   arriving --no room--> in line --room, or the finisher--> arriving --> whole --> sent: released
 *       `-- slower than it may be, while others stand in line --> sent away
 *
 * Statements of which only a part is there could wait for each other. So one of those in a line,
 * of all workers, is the finisher: it may go over the limit until its statement is whole. And who
 * does not go on, or too slowly (limits.statement_stall), is sent away while others wait. So memory
 * is bounded by the limit and one statement, and everybody's turn comes. (What one read brought is
 * there before its place is.)
 * Owner: the session, while it gathers. Thread: the session's worker; the sums are shared by all.
 */
#ifndef SLUICE_PROXY_HOARD_H
#define SLUICE_PROXY_HOARD_H

#include "protocol/list.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct worker;
struct hoard_place;

/* A worker's. */
struct hoard {
    struct list line;      /* places that wait, first come first */
    struct list gathering; /* places of those whose statements arrive, in line or not */
    uint64_t looked_ms;    /* when the slow ones were last looked for */
};

void hoard_begin(struct worker *w);

/* Of a statement of `whole` bytes so many are there. Without room its client is paused until there
 * is. */
void hoard_take(struct session *s, uint64_t there, uint64_t whole);

/* What it holds is whole, and waits for something else. */
void hoard_is_whole(struct session *s);

/* A statement was sent on; what is there is of others. They have a time of their own, and no more
 * memory than that. */
void hoard_went_on(struct session *s, uint64_t there);

/* It holds nothing any more, or leaves. */
void hoard_release(struct session *s);

#endif
