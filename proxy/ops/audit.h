/* audit: the record of what was refused, of what restricted roles did, and of what administrators
 * did: one JSON object per line, each bound to the one before it.
 *
 *   {"time":"2026-11-21T08:30:00.123Z","sequence":7,"event":"statement","decision":"deny",...,
 *    "prev":"<SHA-256 of line 6, without its line break, in hexadecimal>"}
 *
 * A message with several statements has a line for each, with the same `id`: `statement` of
 * `statements`; `times` says that so many of one shape follow each other. Of a refused message one
 * line has the reason, and the others have the reason "message": nothing of it was sent. `objects`
 * is all that the statement reads and changes, `refused` the one that the reason is about.
 *
 * A line that was changed, left out or moved breaks the chain at the line behind it; that the last
 * ones were cut off shows only where the chain's end is known from elsewhere (the log tells it at
 * each opening). What could not be written is counted in `lost` of the next line and leaves a gap
 * in `sequence`. A statement is there by its fingerprint, never by its text.
 *
 * A file is opened with O_APPEND, mode 0600, one process to a file; its chain is continued. When it
 * was moved away, reopening makes a new one whose first line ("opened") continues the chain of the
 * old one. Syslog is /dev/log, facility authpriv.
 *
 * Thread: any; one mutex, one write(2) per message. Blocks no longer than that write does.
 */
#ifndef SLUICE_PROXY_OPS_AUDIT_H
#define SLUICE_PROXY_OPS_AUDIT_H

#include "protocol/sql_trail.h"
#include "proxy/ops/config.h"
#include "proxy/ops/log.h"

struct audit;

enum audit_decision { AUDIT_ALLOW, AUDIT_DENY, AUDIT_OBSERVE };

/* Who did it; strings may be NULL and are the caller's. */
struct audit_who {
    uint64_t conn;
    struct slice user,
        identity; /* what vouched for it says who it is; empty or the same: no more */
    const char *role, *from, *database;
};

/* A judged message; `trail` is what its statements are (protocol/sql_trail). */
struct audit_message {
    struct audit_who who;
    enum audit_decision decision;
    const char *id;       /* of the decision; the client's error and the log have it, too */
    const char *reason;   /* stable code */
    const char *others;   /* likewise, of the statements that were not `refused` */
    const char *kind;     /* "INSERT", ...: where the trail has none */
    uint32_t refused;     /* the statement that `reason` is about, from 1; 0: it is all of them */
    const char *object;   /* that the reason is about; empty: none in particular */
    const char *verb;     /* that was wanted of it; NULL: none */
    uint64_t fingerprint; /* of the text, where the trail is empty */
    const struct sql_trail *trail;
};

/* Records nothing until audit_open. NULL: no memory. */
struct audit *audit_new(struct log *log);
void audit_free(struct audit *a);

/* Takes on the settings and opens what they name, anew: at start, at each reload, after the file
 * was moved. Without settings (line 0) nothing is recorded from then on. False: it cannot be
 * written now, which the log tells; it is tried again with each record. */
bool audit_open(struct audit *a, const struct config_audit *settings);

/* Whether statements that are allowed are recorded, too, of a role that says `of_role`. */
bool audit_wants_all(const struct audit *a, enum config_role_record of_role);

/* A record for each statement of the message, or for the message when it has none: all of them in
 * one write, or none. False: it could not be written, and by the settings what it tells of must not
 * happen. */
bool audit_message(struct audit *a, const struct audit_message *m);

/* What an administrator does, or is not allowed to: "PAUSE", and what is to be paused. As
 * audit_message. */
bool audit_act(struct audit *a, const struct audit_who *who, enum audit_decision decision,
               const char *act, struct slice object);

/* The last record could not be written. */
bool audit_is_failing(const struct audit *a);

#endif
