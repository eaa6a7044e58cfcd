/* route: the one question: where does this go, and why.
 *
 * A table is an immutable snapshot of a routing document: made by build.h (or from
 * JSON by table.h), shared by counting references, asked by the data path, the
 * console, the command line and the replay alike, so that they cannot disagree.
 *
 *      facts of the session ---------------+
 *      facts of a statement (or none) --+  |
 *                                       v  v
 *      table ----------------------> route_decide ----> decision: rule, clusters, db user, ...
 *
 * Two kinds of rule, one order:
 * - A *login rule* has no statement, tables or query condition. The first that matches the
 * session's facts decides everything: at login, and again, with the same facts, for each
 * transaction. Session facts are those of the moment of login, the time included: an hour passing
 * does not move a session, only a new table does (or a caller who brings the facts up to date).
 * - A *statement rule* has one. It is tried when a transaction starts, also against the time and
 * the query_group of that moment. The first that matches, if it stands before the login rule that
 *   decided, replaces `to` and `query_group` for the transaction and nothing else.
 *
 * Pure: no clock, no allocation in a decision (but see route_statement.scratch). Any thread may
 * decide on a table that it holds a reference to.
 */
#ifndef SLUICE_ROUTING_ROUTE_H
#define SLUICE_ROUTING_ROUTE_H

#include "protocol/buf.h"
#include "routing/match.h"
#include "routing/regex.h"

struct route_table;

enum route_condition {
#define CONDITION(name, key, kind, level, sentence) ROUTE_##name,
#include "routing/condition.def"
#undef CONDITION
    ROUTE_CONDITIONS
};

enum { ROUTE_NO_RULE = UINT32_MAX };

/* What is known of a session at login. Names are matched byte by byte. */
struct route_facts {
    struct slice user, role, database, application, query_group;
    struct match_address client; /* FAMILY_NONE: a Unix socket */
    bool tls;
    int64_t at_s; /* of the login, in seconds since 1970 UTC */

    /* The database user that the session gets when no rule chooses one, and the others that a rule
     * may choose for it (the role's db_users). A rule that chooses any other is not obeyed. */
    struct slice db_user;
    const struct slice *db_users;
    uint32_t db_user_count;
};

/* What is known when a transaction starts. */
struct route_statement {
    struct slice verb; /* "SELECT"; upper case */
    const struct slice
        *tables; /* read or written: "schema.table", lower case as Redshift folds them */
    uint32_t table_count;
    struct slice text;        /* normalised, without literals */
    struct slice query_group; /* in force now */
    int64_t at_s;
    struct regex_scratch
        *scratch; /* the thread's; NULL: the decision makes one for itself if needed */
};

enum route_outcome {
    ROUTE_TO,     /* go to `clusters` */
    ROUTE_DENY,   /* the rule says no: tell the client `deny` */
    ROUTE_NONE,   /* no rule matches: an error that names no internals */
    ROUTE_UNSAFE, /* the rule chooses a db_user that the session may not have: an error, and an
                     alarm */
};

/* Slices point into the table and live as long as a reference to it, except db_user and database,
 * which may be the facts' own. An empty slice: not given. */
struct route_decision {
    enum route_outcome outcome;
    uint32_t rule;                /* the rule that won; ROUTE_NO_RULE: none */
    uint32_t login_rule;          /* the rule that decides all but `to` and `query_group` */
    struct slice id;              /* of `rule` */
    const struct slice *clusters; /* to try in this order */
    uint32_t cluster_count;
    struct slice db_user, database;
    struct slice query_group; /* to set on the server */
    struct slice deny;
    struct slice pool; /* the pool settings that the rule overrides, a JSON object as text */
    const struct slice *local_answers; /* what the proxy may answer by itself */
    uint32_t local_answer_count;
    uint32_t regex_limit_hits; /* expressions that ran out of budget: count them */
};

/* Decides. `statement` NULL: at login. Always fills `d`; true when the outcome is ROUTE_TO. */
bool route_decide(const struct route_table *table, const struct route_facts *facts,
                  const struct route_statement *statement, struct route_decision *d);

/* What of a statement could change a session's way: bits. 0: nothing, so its statements need not be
 * looked at, and a decision without one is right for all of them. */
enum route_need { ROUTE_NEEDS_VERB = 1, ROUTE_NEEDS_TABLES = 2, ROUTE_NEEDS_TEXT = 4 };

/* `login_rule`: of the session's decision at login. Time and query_group move, so rules that ask
 * for them count as if these fitted. Grows with the number of statement rules. */
uint8_t route_needs(const struct route_table *table, const struct route_facts *facts,
                    uint32_t login_rule);

/* Whether two decisions, of whatever rules and tables, have the same effect. */
bool route_same_effect(const struct route_decision *a, const struct route_decision *b);

/* Why, in one line: `rule "loads" (line 3): role, database`. */
void route_reason(const struct route_table *table, const struct route_decision *d, struct buf *out);

/* The first of the decision's clusters that `usable` accepts (it is up, its protocol version fits
 * what the session was welcomed with); the empty slice when none is. */
struct slice route_pick(const struct route_decision *d, bool (*usable)(void *arg, struct slice),
                        void *arg);

/* ---- the table ------------------------------------------------------------------------------ */

/* References may be taken and dropped by any thread; the last one frees. NULL is fine to drop. */
const struct route_table *route_table_ref(const struct route_table *table);
void route_table_unref(const struct route_table *table);

uint64_t route_table_version(const struct route_table *table);
uint32_t route_table_count(const struct route_table *table);
size_t route_table_bytes(const struct route_table *table);

/* Of one rule: its id, its line in the document (0: unknown), and a hash over all that it says, so
 * that counters survive a reload for as long as the rule means the same. */
struct slice route_rule_id(const struct route_table *table, uint32_t rule);
uint32_t route_rule_line(const struct route_table *table, uint32_t rule);
uint64_t route_rule_hash(const struct route_table *table, uint32_t rule);
bool route_rule_is_login(const struct route_table *table, uint32_t rule);

/* "user", "client", ...; and the condition that a key names, or ROUTE_CONDITIONS. */
const char *route_condition_key(enum route_condition c);
enum route_condition route_condition_of(struct slice key);
bool route_condition_is_statement(enum route_condition c);

#endif
