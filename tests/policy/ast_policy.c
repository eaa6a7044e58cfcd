#include "policy/ast_policy.h"

#include <stdarg.h>
#include <stdio.h>

/* The names of WITH that hide tables here. */
struct scope {
    const struct scope *outer;
    const cJSON *ctes; /* an array */
    int count;         /* the first so many of them are visible */
};

struct walk {
    const struct world_role *role;
    bool allowed;
    char *why;
    size_t cap;
};

static void refuse(struct walk *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct walk *w, const char *format, ...)
{
    va_list args;
    if (!w->allowed) return;
    w->allowed = false;
    va_start(args, format);
    vsnprintf(w->why, w->cap, format, args);
    va_end(args);
}

static const cJSON *get(const cJSON *o, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(o, key);
}
static const char *text(const cJSON *o, const char *key)
{
    return cJSON_GetStringValue(get(o, key));
}

static bool is_one_of(const char *word, const char *const list[])
{
    for (; word && *list; list++)
        if (strcmp(word, *list) == 0) return true;
    return false;
}

/* The `i`th of a list of String nodes. */
static const char *name_at(const cJSON *list, int i)
{
    return text(get(cJSON_GetArrayItem(list, i), "String"), "sval");
}

/* ---- relations ----------------------------------------------------------------------------- */

static void need(struct walk *w, const char *verb, const cJSON *relation)
{
    const char *schema = text(relation, "schemaname"), *name = text(relation, "relname");
    if (get(relation, "catalogname"))
        refuse(w, "a name of three parts");
    else if (!name || !world_allows(w->role, verb, schema, name))
        refuse(w, "%s on %s.%s", verb, schema ? schema : "?", name ? name : "?");
}

static bool is_hidden(const struct scope *s, const char *name)
{
    for (; s; s = s->outer)
        for (int i = 0; i < s->count; i++) {
            const cJSON *cte = get(cJSON_GetArrayItem(s->ctes, i), "CommonTableExpr");
            const char *called = text(cte, "ctename");
            if (called && name && strcmp(called, name) == 0) return true;
        }
    return false;
}

static void read(struct walk *w, const cJSON *relation, const struct scope *scope)
{
    if (get(relation, "schemaname") || !is_hidden(scope, text(relation, "relname")))
        need(w, "SELECT", relation);
}

/* ---- everything that may hold a relation or a function ------------------------------------- */

static void visit(struct walk *w, const cJSON *node, const struct scope *scope);

static void visit_children(struct walk *w, const cJSON *node, const struct scope *scope)
{
    const cJSON *child;
    cJSON_ArrayForEach(child, node) visit(w, child, scope);
}

/* A query or statement with its WITH: what follows it sees all its names; their own queries see the
 * earlier ones, or all when it is RECURSIVE. */
static void visit_with(struct walk *w, const cJSON *statement, const struct scope *outer,
                       void (*rest)(struct walk *, const cJSON *, const struct scope *))
{
    const cJSON *with = get(statement, "withClause");
    struct scope scope = { outer, get(with, "ctes"), 0 };
    int all = cJSON_GetArraySize(scope.ctes);
    bool recursive = cJSON_IsTrue(get(with, "recursive"));
    for (int i = 0; i < all; i++) {
        const cJSON *cte = get(cJSON_GetArrayItem(scope.ctes, i), "CommonTableExpr");
        scope.count = recursive ? all : i;
        const cJSON *query = get(cte, "ctequery");
        if (!get(query, "SelectStmt")) refuse(w, "a statement in WITH");
        visit(w, get(query, "SelectStmt"), &scope);
    }
    scope.count = all;
    rest(w, statement, &scope);
}

static void visit_select_body(struct walk *w, const cJSON *select, const struct scope *scope)
{
    const cJSON *child;
    if (get(select, "lockingClause")) refuse(w, "FOR UPDATE");
    if (get(select, "intoClause")) refuse(w, "INTO where none may be");
    cJSON_ArrayForEach(child, select)
    {
        if (strcmp(child->string, "withClause") != 0) visit(w, child, scope);
    }
}

static void check_function(struct walk *w, const cJSON *call)
{
    static const char *const allowed[] = {
#define FUNCTION(name) name,
#include "auth/grants_function.def"
#undef FUNCTION
        NULL
    };
    /* What PostgreSQL's grammar makes of other syntax. */
    static const char *const made[] = {
        "like_escape", "similar_to_escape", "overlay", "is_normalized",
        "xmlexists",   "normalize",         "ltrim",   "rtrim",
        "btrim",       "timezone",          "extract", "position",
        "substring",   "pg_collation_for",  NULL
    };
    const cJSON *names = get(call, "funcname");
    int parts = cJSON_GetArraySize(names);
    const char *last = name_at(names, parts - 1);
    bool system = parts == 1 || (parts == 2 && strcmp(name_at(names, 0), "pg_catalog") == 0);
    if (!system || !(is_one_of(last, allowed) || (parts == 2 && is_one_of(last, made))))
        refuse(w, "function %s", last ? last : "?");
}

static void check_type(struct walk *w, const cJSON *type)
{
    const cJSON *names = get(type, "names");
    int parts = cJSON_GetArraySize(names);
    const char *last = name_at(names, parts - 1);
    if (parts > 2 || (parts == 2 && strcmp(name_at(names, 0), "pg_catalog") != 0))
        refuse(w, "type of a schema");
    else if (last && strncmp(last, "reg", 3) == 0)
        refuse(w, "type %s", last);
}

static void visit(struct walk *w, const cJSON *node, const struct scope *scope)
{
    static const char *const never[] = {
        "RangeFunction", "RangeTableFunc", "XmlExpr",    "XmlSerialize",
        "CurrentOfExpr", "InsertStmt",     "UpdateStmt", "DeleteStmt",
        "MergeStmt",     "JsonTable",      NULL
    };
    if (!w->allowed || !node) return;
    const char *key = node->string;
    if (is_one_of(key, never)) {
        refuse(w, "%s", key);
        return;
    }
    if (get(node, "relname")) {
        read(w, node, scope);
        return;
    }
    if (get(node, "funcname")) check_function(w, node);
    if (get(node, "names") && get(node, "typemod")) check_type(w, node);
    if (key && strcmp(key, "A_Expr") == 0 && cJSON_GetArraySize(get(node, "name")) > 1 &&
        strcmp(name_at(get(node, "name"), 0), "pg_catalog") != 0)
        refuse(w, "OPERATOR()");
    if (get(node, "limitOption")) /* a SELECT, tagged or not */
        visit_with(w, node, scope, visit_select_body);
    else
        visit_children(w, node, scope);
}

/* ---- statements ---------------------------------------------------------------------------- */

/* What is left of a statement when its target is judged. */
static void visit_but_target(struct walk *w, const cJSON *statement, const struct scope *scope)
{
    static const char *const judged[] = { "relation", "withClause", "into", NULL };
    const cJSON *child;
    cJSON_ArrayForEach(child, statement)
    {
        if (!is_one_of(child->string, judged)) visit(w, child, scope);
    }
}

static void judge_temp(struct walk *w, const cJSON *relation)
{
    const char *kind = text(relation, "relpersistence");
    if (!kind || strcmp(kind, "t") != 0 || get(relation, "schemaname"))
        refuse(w, "a table that is not temporary");
    else if (!world_allows(w->role, "CREATE_TEMP", "", text(relation, "relname")))
        refuse(w, "CREATE_TEMP");
}

static void judge_query(struct walk *w, const cJSON *select)
{
    const cJSON *into = get(select, "intoClause");
    cJSON *plain = cJSON_Duplicate(select, true);
    if (into) judge_temp(w, get(into, "rel"));
    cJSON_DeleteItemFromObjectCaseSensitive(plain, "intoClause");
    visit(w, plain, NULL);
    cJSON_Delete(plain);
}

static void judge_change(struct walk *w, const cJSON *s, const char *verb)
{
    need(w, verb, get(s, "relation"));
    if (get(s, "whereClause") && strcmp(verb, "MERGE") != 0) need(w, "SELECT", get(s, "relation"));
    if (get(s, "returningList")) refuse(w, "RETURNING");
    if (get(s, "onConflictClause")) refuse(w, "ON CONFLICT");
    visit_with(w, s, NULL, visit_but_target);
}

static void judge_set(struct walk *w, const cJSON *s)
{
    static const char *const settable[] = { "application_name",   "statement_timeout",
                                            "query_group",        "timezone",
                                            "datestyle",          "client_encoding",
                                            "extra_float_digits", NULL };
    const char *kind = text(s, "kind"), *name = text(s, "name");
    if (!kind || strcmp(kind, "VAR_RESET_ALL") == 0) {
        refuse(w, "RESET ALL");
    } else if (strcmp(kind, "VAR_SET_MULTI") == 0) {
        if (strncmp(name, "TRANSACTION", 11) != 0 && strcmp(name, "SESSION CHARACTERISTICS") != 0)
            refuse(w, "SET %s", name);
    } else {
        char folded[64];
        snprintf(folded, sizeof folded, "%s", name ? name : "");
        for (char *c = folded; *c; c++) *c = ascii_lower(*c);
        if (strcmp(folded, "transaction_isolation") == 0 && strcmp(kind, "VAR_RESET") == 0) return;
        if (!is_one_of(folded, settable)) refuse(w, "SET %s", folded);
        if (strcmp(folded, "client_encoding") != 0 || strcmp(kind, "VAR_SET_VALUE") != 0) return;
        const cJSON *value = get(get(cJSON_GetArrayItem(get(s, "args"), 0), "A_Const"), "sval");
        struct slice encoding = slice_str(text(value, "sval"));
        if (!slice_is_nocase(encoding, "utf8") && !slice_is_nocase(encoding, "unicode"))
            refuse(w, "encoding");
    }
}

static void judge_statement(struct walk *w, const cJSON *node);

static void judge_inner(struct walk *w, const cJSON *s, bool explain)
{
    const cJSON *query = get(s, "query"), *option;
    cJSON_ArrayForEach(option, get(s, "options"))
    {
        const char *name = text(get(option, "DefElem"), "defname");
        if (!name || strcmp(name, "verbose") != 0) refuse(w, "option of EXPLAIN");
    }
    bool plain = get(query, "SelectStmt") || get(query, "InsertStmt") || get(query, "UpdateStmt") ||
                 get(query, "DeleteStmt") || (explain && get(query, "ExecuteStmt"));
    if (!plain) refuse(w, "what may not be prepared or explained");
    if (get(get(query, "SelectStmt"), "intoClause")) refuse(w, "INTO");
    judge_statement(w, query);
}

static void judge_transaction(struct walk *w, const cJSON *s)
{
    static const char *const kinds[] = { "TRANS_STMT_BEGIN", "TRANS_STMT_START",
                                         "TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", NULL };
    if (!is_one_of(text(s, "kind"), kinds)) refuse(w, "%s", text(s, "kind"));
}

static void judge_truncate(struct walk *w, const cJSON *s)
{
    const cJSON *relation;
    const char *behavior = text(s, "behavior");
    if (behavior && strcmp(behavior, "DROP_CASCADE") == 0) refuse(w, "CASCADE");
    cJSON_ArrayForEach(relation, get(s, "relations"))
        need(w, "TRUNCATE", get(relation, "RangeVar"));
}

static void judge_copy(struct walk *w, const cJSON *s)
{
    struct slice file = slice_str(text(s, "filename"));
    bool from_afar = cJSON_IsTrue(get(s, "is_from")) &&
                     (slice_starts(file, "s3://") || slice_starts(file, "emr://") ||
                      slice_starts(file, "dynamodb://"));
    if (!from_afar || get(s, "query") || cJSON_IsTrue(get(s, "is_program"))) refuse(w, "COPY");
    const cJSON *to = get(s, "relation");
    if (!world_allows(w->role, "COPY", text(to, "schemaname"), text(to, "relname")))
        need(w, "INSERT", to);
}

/* `node`: {"SelectStmt": {...}} */
static void judge_statement(struct walk *w, const cJSON *node)
{
    static const char *const harmless[] = { "VariableShowStmt", "DeallocateStmt", "FetchStmt",
                                            "ClosePortalStmt", NULL };
    const cJSON *s = node ? node->child : NULL;
    const char *kind = s ? s->string : "nothing";
    if (is_one_of(kind, harmless)) return;
    if (strcmp(kind, "SelectStmt") == 0)
        judge_query(w, s);
    else if (strcmp(kind, "InsertStmt") == 0)
        judge_change(w, s, "INSERT");
    else if (strcmp(kind, "UpdateStmt") == 0)
        judge_change(w, s, "UPDATE");
    else if (strcmp(kind, "DeleteStmt") == 0)
        judge_change(w, s, "DELETE");
    else if (strcmp(kind, "MergeStmt") == 0)
        judge_change(w, s, "MERGE");
    else if (strcmp(kind, "TransactionStmt") == 0)
        judge_transaction(w, s);
    else if (strcmp(kind, "VariableSetStmt") == 0)
        judge_set(w, s);
    else if (strcmp(kind, "PrepareStmt") == 0)
        judge_inner(w, s, false);
    else if (strcmp(kind, "ExplainStmt") == 0)
        judge_inner(w, s, true);
    else if (strcmp(kind, "ExecuteStmt") == 0)
        visit_children(w, s, NULL);
    else if (strcmp(kind, "DeclareCursorStmt") == 0 && get(get(s, "query"), "SelectStmt"))
        visit(w, get(get(s, "query"), "SelectStmt"), NULL);
    else if (strcmp(kind, "TruncateStmt") == 0)
        judge_truncate(w, s);
    else if (strcmp(kind, "CopyStmt") == 0)
        judge_copy(w, s);
    else if (strcmp(kind, "CreateStmt") == 0) {
        judge_temp(w, get(s, "relation"));
        if (get(s, "inhRelations") || get(s, "partspec")) refuse(w, "INHERITS");
        visit_but_target(w, s, NULL);
    } else if (strcmp(kind, "CreateTableAsStmt") == 0) {
        judge_temp(w, get(get(s, "into"), "rel"));
        if (!get(get(s, "query"), "SelectStmt")) refuse(w, "CREATE TABLE AS EXECUTE");
        visit_but_target(w, s, NULL);
    } else
        refuse(w, "%s", kind);
}

bool ast_allows(const cJSON *tree, const struct world_role *role, char *why, size_t cap)
{
    struct walk w = { role, true, why, cap };
    const cJSON *raw;
    cJSON_ArrayForEach(raw, get(tree, "stmts")) judge_statement(&w, get(raw, "stmt"));
    return w.allowed;
}
