/* sql_effects: what a text does to the session that runs it.
 *
 * For the pooler: it reads the statements of those whose statements are not judged (and, too, of
 * those whose are), and learns what it has to carry over to another server, what makes the session
 * keep its server, and what kind of statement comes first. It never refuses: what it cannot read
 * is SQL_EFFECT_UNREAD, which pins. It sees what stands in the text: what a function, a rule or a
 * procedure does inside is not visible here (CALL and DO therefore pin).
 *
 * Effects are those of a success. If the server answers with an error, the statement had none, but
 * for the statements before it in the same text.
 *
 *   "BEGIN; SET a TO 1; SELECT 2"  ->  3 statements, first BEGIN, effects {BEGIN, SETTING},
 *                                      acts [BEGIN (0)] [SET a '1' (1)]
 *
 * One pass, linear time, no memory; slices point into the text.
 */
#ifndef SLUICE_PROTOCOL_SQL_EFFECTS_H
#define SLUICE_PROTOCOL_SQL_EFFECTS_H

#include "protocol/sql_kind.h"

/* What the pooler repeats or keeps books of, in the order of the text. */
enum sql_act_kind {
    SQL_ACT_SET,            /* name, value: `SET name TO value` says it again */
    SQL_ACT_SET_CONFIG,     /* name, value: the value is one literal, of a list perhaps */
    SQL_ACT_RESET,          /* name */
    SQL_ACT_RESET_ALL,      /* */
    SQL_ACT_PREPARE,        /* name; value: what follows it, up to the statement's end */
    SQL_ACT_EXECUTE,        /* name; value likewise */
    SQL_ACT_DEALLOCATE,     /* name */
    SQL_ACT_DEALLOCATE_ALL, /* */
    SQL_ACT_DISCARD,        /* name: ALL, PLANS, SEQUENCES, TEMP, TEMPORARY */
    SQL_ACT_BEGIN,
    SQL_ACT_COMMIT,
    SQL_ACT_ROLLBACK,
    SQL_ACT_ROLLBACK_TO, /* a savepoint: settings made after it are undone */
};

struct sql_act {
    uint8_t kind;       /* enum sql_act_kind */
    bool local;         /* SET, SET_CONFIG, RESET: for the transaction only */
    uint32_t statement; /* counted from 0; empty statements are not counted */
    struct slice name;  /* as written, quotes and all; settings': sql_setting_name */
    struct slice value;
};

enum { SQL_ACTS_MAX = 16 }; /* more in one text make it UNREAD */

struct sql_effects {
    uint32_t effects;    /* a set of enum sql_effect, of all statements */
    uint32_t statements; /* that are not empty */
    enum sql_kind first;
    uint32_t act_count;
    struct sql_act acts[SQL_ACTS_MAX]; /* those from act_count on are not initialised */
};

/* Reads `text`. `more`: it is the head of a longer text; then what the last statement does behind
 * the head is for sql_skim to find, and a statement that must be known whole is UNREAD. */
void sql_effects(struct slice text, bool more, struct sql_effects *e);

#endif
