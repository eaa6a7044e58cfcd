/* grants: may this role send this message to the warehouse?
 *
 * A role is compiled once, at load, and is immutable then: threads share it freely.
 * grants_decide reads the message with protocol/sql_stmt and answers each need with
 * a lookup. Everything that is not granted is refused: a statement, a form, a name,
 * a function, a setting that is not known here does not pass. What is refused is
 * refused whole: one statement of a message refuses the message.
 *
 * A verdict carries the very bytes that were judged. Whoever sends must send those,
 * and ask again when the role's generation has changed.
 *
 * Not here: observe mode and audit (the caller's), what a server really grants.
 */
#ifndef SLUICE_AUTH_GRANTS_H
#define SLUICE_AUTH_GRANTS_H

#include "protocol/err.h"
#include "protocol/map.h"
#include "protocol/sql_kind.h"
#include "protocol/sql_name.h"
#include "protocol/sql_verb.h"

enum {
    GRANTS_PARTS = SQL_NAME_PARTS,
    GRANTS_STATEMENT_BYTES = 16 << 20, /* the longest statement of Redshift */
    GRANTS_OBJECT_BYTES = 192,         /* of an object's name in a verdict, cut there */
};

enum grants_reason {
#define REASON(id, code, sentence) GRANTS_##id,
#include "auth/grants_reason.def"
#undef REASON
    GRANTS_REASON_COUNT
};

const char *grants_reason_code(enum grants_reason reason);     /* "table": stable */
const char *grants_reason_sentence(enum grants_reason reason); /* in words */

/* ---- a role -------------------------------------------------------------------------------- */

/* Verbs on objects. A pattern has one part per part of a name, `*` is any run of characters within
 * a part; a part in double quotes is taken as it stands. The pattern `*` is every object. */
struct grants_rule {
    struct slice pattern;
    uint32_t verbs; /* 1 << enum sql_verb */
};

struct grants_list {
    const struct slice *at;
    size_t count;
};

struct grants_options {
    struct slice name; /* of the role, for messages */
    const struct grants_rule *rules;
    size_t rule_count;
    struct slice search_path;      /* comma-separated; empty: names must be qualified */
    struct grants_list functions;  /* beside the built-in ones: `f` or `schema.f` */
    struct grants_list copy_from;  /* patterns of sources, `*` any run of characters; none: any */
    struct grants_list copy_roles; /* patterns of ARNs, or `default`; none: any */
    bool no_access_keys;           /* keys in plain text are refused */
    bool catalog;                  /* what grants_catalog.def lists may be read */
    enum sql_case letters;
    size_t statement_bytes; /* 0: GRANTS_STATEMENT_BYTES */
    uint64_t generation;    /* of the configuration, for verdicts */
    struct map_seed seed;
};

struct grants;

/* Compiles a role, which keeps nothing of `options`. NULL and an error when a rule is wrong. */
struct grants *grants_new(const struct grants_options *options, struct err *err);
void grants_free(struct grants *grants); /* NULL is fine */

/* Is this a pattern? False, and in `err` why not. */
bool grants_check_pattern(struct slice pattern, struct err *err);

/* Why no object that needs one of `verbs` can ever match a good pattern; NULL: some can. */
const char *grants_why_never(struct slice pattern, uint32_t verbs, enum sql_case letters);

/* ALL on `*`: nothing is read, everything passes. */
bool grants_is_unrestricted(const struct grants *grants);
uint64_t grants_generation(const struct grants *grants);
struct slice grants_name(const struct grants *grants);

/* `verb` on a name of `count` parts: a name without a schema is looked for as the server would, and
 * `temp` says that it is one of a temporary table. ALLOWED, or why not. */
enum grants_reason grants_allow(const struct grants *grants, enum sql_verb verb,
                                const struct slice *parts, unsigned count, bool temp);

/* ---- a verdict ----------------------------------------------------------------------------- */

/* What the session knows; either function may be NULL: nothing is known. The name is unquoted. */
struct grants_session {
    void *context;
    bool (*is_prepared)(void *context, struct slice name);
    bool (*is_cursor)(void *context, struct slice name);
};

struct verdict {
    bool allow;
    bool is_plain; /* allowed, and one INSERT that calls no function: it leaves nothing behind */
    enum grants_reason reason;
    struct slice text;                /* the bytes that were judged */
    uint64_t generation;              /* of the role they were judged by */
    enum sql_kind kind;               /* of the refused statement, or of the last one */
    uint32_t statement;               /* the refused one, from 1, or how many there are */
    uint32_t at;                      /* of the refusal, in bytes */
    uint32_t first_at, first_len;     /* the first word of that statement */
    enum sql_verb verb;               /* that was wanted, with an object */
    uint8_t flag;                     /* enum sql_lex_flag, with LITERAL and TEXT */
    uint8_t refusal;                  /* enum sql_refusal */
    uint8_t parts;                    /* of the object's name */
    char object[GRANTS_OBJECT_BYTES]; /* object, function or parameter; empty when allowed */
};

/* Judges a whole message. True when it is allowed. */
bool grants_decide(const struct grants *grants, const struct grants_session *session,
                   struct slice text, struct verdict *verdict);

/* Words for a refused client: what, why, where, what to do. Never the content of a literal. */
void grants_explain(const struct grants *grants, const struct verdict *verdict, struct err *err);

#endif
