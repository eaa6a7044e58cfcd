/* audit: the record of what was refused, of what restricted roles did, and of what administrators
 * did: one JSON object per line, each bound to the one before it.
 *
 *   {"time":"2026-11-21T08:30:00.123Z","sequence":7,"event":"statement","decision":"deny",...,
 *    "prev":"<SHA-256 of line 6, without its line break, in hexadecimal>"}
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
 * Thread: any; one mutex, one write(2) per line. Blocks no longer than that write does.
 */
#ifndef SLUICE_PROXY_OPS_AUDIT_H
#define SLUICE_PROXY_OPS_AUDIT_H

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

/* A judged statement. */
struct audit_statement {
    struct audit_who who;
    enum audit_decision decision;
    const char *id;      /* of the decision; the client's error and the log have it, too */
    const char *reason;  /* stable code */
    const char *kind;    /* "INSERT", "COPY", ... */
    const char *verb;    /* that was wanted of the object; NULL: none */
    const char *object;  /* empty: none in particular */
    uint32_t statements; /* in the message, or up to the one refused */
    uint64_t fingerprint;
};

/* Records nothing until audit_open. NULL: no memory. */
struct audit *audit_new(struct log *log);
void audit_free(struct audit *a);

/* Takes on the settings and opens what they name, anew: at start, at each reload, after the file
 * was moved. Without settings (line 0) nothing is recorded from then on. False: it cannot be
 * written now, which the log tells; it is tried again with each record. */
bool audit_open(struct audit *a, const struct config_audit *settings);

/* Whether statements that are allowed are recorded, too. */
bool audit_wants_all(const struct audit *a);

/* False: it could not be written, and by the settings what it tells of must not happen. */
bool audit_statement(struct audit *a, const struct audit_statement *s);

/* What an administrator does, or is not allowed to: "PAUSE", and what is to be paused. As
 * audit_statement. */
bool audit_act(struct audit *a, const struct audit_who *who, enum audit_decision decision,
               const char *act, struct slice object);

/* The last record could not be written. */
bool audit_is_failing(const struct audit *a);

#endif
