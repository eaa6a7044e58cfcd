#include "protocol/sql_reader.h"

bool sql_ask(struct sql_reader *r, struct sql_need *n)
{
    n->kind = r->kind;
    n->statement = r->statement;
    if (r->inner) n->at = r->inner_at;
    if (r->policy->need(r->policy->context, n)) return true;
    return refuse_at(r, SQL_REFUSED_POLICY, n->at);
}

bool sql_ask_name(struct sql_reader *r, enum sql_need_kind what, const struct sql_name *name)
{
    struct sql_need n = { .what = what, .at = name->at, .name = *name };
    return sql_ask(r, &n);
}

bool sql_ask_object(struct sql_reader *r, enum sql_verb verb, const struct sql_name *name)
{
    if (name->quoted_capital && r->policy->letters == SQL_CASE_UNKNOWN)
        return refuse_at(r, SQL_REFUSED_QUOTED_CAPITALS, name->at);
    struct sql_need n = { .what = SQL_NEED_OBJECT, .verb = verb, .at = name->at, .name = *name };
    if (verb != SQL_VERB_SELECT) return sql_ask(r, &n);
    r->relations++;
    if (!sql_ask(r, &n) || !r->unload) return !r->refusal;
    n.verb = SQL_VERB_UNLOAD;
    return sql_ask(r, &n);
}
