/* hoard: memory for statements that are being gathered, of all clients together (limits.memory).
 *
 * A statement that has to be there whole takes its place before it is gathered: as many
 * bytes as its header says. When there is no room the client is not read, and stands in
 * its worker's line until others have sent theirs on. So memory is bounded, and whoever
 * has a place can finish: there is no deadlock. (The first bytes, what one read brought,
 * are there before the place is.)
 * Thread: the session's worker; the sum is shared by all.
 */
#ifndef SLUICE_PROXY_HOARD_H
#define SLUICE_PROXY_HOARD_H

#include "protocol/list.h"

#include <stdbool.h>
#include <stdint.h>

struct session;
struct worker;

struct hoard_place {
    struct list node;        /* in the line */
    uint64_t bytes, waiting; /* taken; wanted, while it stands in line */
};

void hoard_begin(struct worker *w);
void hoard_place_init(struct hoard_place *place);

/* The session wants to hold so many bytes. Without room its client is paused until there is. */
void hoard_take(struct session *s, uint64_t bytes);

/* It holds nothing any more, or leaves. */
void hoard_release(struct session *s);

#endif
