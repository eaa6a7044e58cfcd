/* sql_trail: what each statement of a message is, and which objects it reads and changes.
 *
 * For records of what was sent or refused; it decides nothing, and tells what it can of texts that
 * nobody may send: of a statement that is not understood, what stands before the place where the
 * reading ends. Statements are cut as sql_stmt cuts them, empty ones not counted. Literals are not
 * in it.
 *
 * Its size is bounded, whatever the text: statements of one shape that follow each other are one
 * entry; of more than SQL_TRAIL_STATEMENTS entries the rest are one, without a kind of its own;
 * objects beyond SQL_TRAIL_OBJECTS of an entry are only counted. So is its time: many EXECUTEs of a
 * long statement are one object left out each, once 16 MB of such texts have been read.
 */
#ifndef SLUICE_PROTOCOL_SQL_TRAIL_H
#define SLUICE_PROTOCOL_SQL_TRAIL_H

#include "protocol/buf.h"
#include "protocol/sql_kind.h"
#include "protocol/sql_name.h"
#include "protocol/sql_verb.h"

enum {
    SQL_TRAIL_STATEMENTS = 1000,
    SQL_TRAIL_OBJECTS = 64,
    SQL_TRAIL_NAME_BYTES = SQL_NAME_PARTS * 128, /* the longest that is kept of a name */
};

struct sql_trail_object {
    enum sql_verb verb;
    uint32_t at, len; /* in `names` */
};

struct sql_trail_statement {
    enum sql_kind kind; /* of several kinds: SQL_KIND_NONE */
    uint32_t number;    /* in the message, from 1; of several, the first one's */
    uint32_t times;     /* how many they are */
    uint32_t object, objects, objects_left_out;
    uint64_t fingerprint; /* 0: of several shapes */
    bool alone;           /* the caller's `apart` */
};

struct sql_trail {
    struct buf statements, objects, names;
    uint32_t count;   /* of the statements of the message */
    uint32_t entries; /* in `statements` */
    bool failed;      /* no memory: it is not complete */
};

/* How names are shown, and what a session knows. */
struct sql_trail_session {
    enum sql_case letters;
    void *context;
    /* The text behind EXECUTE of a name: its objects count as the statement's. May be NULL. */
    bool (*prepared)(void *context, struct slice name, struct slice *text);
};

/* Reads a message into a trail, zeroed before. Statement number `apart` has an entry of its own (0:
 * none needs one). The caller calls sql_trail_fini, also when it failed. */
void sql_trail_read(struct sql_trail *trail, struct slice text,
                    const struct sql_trail_session *session, uint32_t apart);
void sql_trail_fini(struct sql_trail *trail);

const struct sql_trail_statement *sql_trail_statement(const struct sql_trail *trail, uint32_t i);

/* Object `i` of a statement; its name is in the trail. */
struct slice sql_trail_object(const struct sql_trail *trail,
                              const struct sql_trail_statement *statement, uint32_t i,
                              enum sql_verb *verb);

#endif
