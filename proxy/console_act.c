#include "proxy/console_act.h"

#include "protocol/sql_lex.h"
#include "proxy/session.h"
#include "proxy/worker.h"

static bool is_meant(const struct pool *p, const char *database)
{
    return !database[0] || strcmp(p->target.database, database) == 0;
}

/* ---- PAUSE, RESUME -------------------------------------------------------------------------- */

static void remember_paused(struct worker *w, const char *database)
{
    if (!database[0])
        w->paused = true;
    else if (!worker_is_paused(w, slice_str(database)))
        buf_add(&w->paused_databases, database, strlen(database) + 1);
}

void console_visit_pause(struct worker *w, struct survey_part *part)
{
    const char *database = part->survey->text;
    uint32_t at = 0;
    struct pool *p;
    remember_paused(w, database);
    part->number = 0;
    while ((p = map_next(&w->pools, &at))) {
        if (!is_meant(p, database)) continue;
        if (!p->paused) pool_pause(p);
        pool_reconnect(p);
        part->number += p->count[POOL_OPENING] + p->count[POOL_BUSY] + p->count[POOL_LEAVING];
    }
}

static void forget_paused(struct worker *w, const char *database)
{
    struct buf left = { 0 };
    if (!database[0]) w->paused = false;
    struct slice names = buf_slice(&w->paused_databases);
    while (database[0] && names.len) {
        struct slice name = slice_str(names.at);
        if (!slice_is(name, database)) buf_add(&left, name.at, name.len + 1);
        names = slice_after(names, name.len + 1);
    }
    buf_fini(&w->paused_databases);
    w->paused_databases = left;
}

void console_visit_resume(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    struct pool *p;
    forget_paused(w, part->survey->text);
    while ((p = map_next(&w->pools, &at)))
        if (p->paused && !worker_is_paused(w, slice_str(p->target.database))) pool_resume(p);
}

/* ---- RECONNECT, KILL and their kind ---------------------------------------------------------- */

void console_visit_reconnect(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    struct pool *p;
    while ((p = map_next(&w->pools, &at)))
        if (is_meant(p, part->survey->text)) pool_reconnect(p);
}

void console_visit_wait_close(struct worker *w, struct survey_part *part)
{
    static const enum pool_place places[] = { POOL_OPENING, POOL_BUSY, POOL_LEAVING };
    uint32_t at = 0;
    struct pool *p;
    part->number = 0;
    while ((p = map_next(&w->pools, &at))) {
        if (!is_meant(p, part->survey->text)) continue;
        for (size_t i = 0; i < sizeof places / sizeof *places; i++)
            list_each(node, &p->servers[places[i]])
            {
                const struct server *s = list_item(node, struct server, node);
                part->number += s->retiring || places[i] == POOL_LEAVING;
            }
    }
}

/* Consoles have no pool, and stay: one of them asks. */
static void send_away(struct worker *w, const char *database)
{
    struct err err;
    err_set(&err, ERR_TERMINATED, "");
    list_each(node, &w->sessions)
    {
        struct client *c = list_item(node, struct client, node);
        if (c->state < CLIENT_READY || c->state >= CLIENT_LEAVING) continue;
        const struct pool *p = session_of(c)->pool;
        if (p && is_meant(p, database)) client_refuse(c, &err);
    }
}

void console_visit_kill_all(struct worker *w, struct survey_part *part)
{
    const char *database = part->survey->text;
    uint32_t at = 0;
    struct pool *p;
    remember_paused(w, database);
    while ((p = map_next(&w->pools, &at)))
        if (is_meant(p, database) && !p->paused) pool_pause(p);
    send_away(w, database);
    at = 0;
    while ((p = map_next(&w->pools, &at)))
        if (is_meant(p, database)) pool_reconnect(p);
}

static struct client *client_with(struct worker *w, uint64_t id)
{
    list_each(node, &w->sessions)
    {
        struct client *c = list_item(node, struct client, node);
        if (c->id == id && c->state < CLIENT_LEAVING) return c;
    }
    return NULL;
}

/* One that asks nothing has nothing to be cancelled, as with its own cancel. */
void console_visit_cancel(struct worker *w, struct survey_part *part)
{
    struct client *c = client_with(w, part->survey->number);
    if (!c) return;
    part->number++;
    if (c->state >= CLIENT_READY) session_cancel(session_of(c), NULL);
}

void console_visit_kill(struct worker *w, struct survey_part *part)
{
    struct client *c = client_with(w, part->survey->number);
    struct err err;
    if (!c) return;
    part->number++;
    err_set(&err, ERR_TERMINATED, "");
    client_refuse(c, &err);
}

/* ---- SET log_level -------------------------------------------------------------------------- */

/* The level in "= debug", "TO 'debug'" or "debug". */
static struct slice level_in(struct slice words)
{
    struct sql_lex lex;
    sql_lex_init(&lex, words);
    if (lex.token.kind == '=' || lex.token.word == SQL_WORD_TO) sql_lex_next(&lex);
    struct slice level = slice_of(words.at + lex.token.at, lex.token.len);
    if (lex.token.kind != SQL_STRING || level.len < 2) return level;
    return slice_of(level.at + 1, level.len - 2);
}

/* The log is everybody's: the first worker that comes here has changed it, and tells. */
void console_visit_log_level(struct worker *w, struct survey_part *part)
{
    struct log *log = w->env.log;
    enum log_level level;
    if (!log_level_named(level_in(slice_str(part->survey->text)), &level)) return;
    part->number++;
    enum log_level was = log_set_level(log, level);
    if (was != level)
        log_event(log, EVENT_log_level, LOG_TEXT("was", log_level_name(was)),
                  LOG_TEXT("is", log_level_name(level)), LOG_END);
}
