#include "proxy/slow.h"

#include "auth/redact.h"
#include "protocol/sql_normal.h"
#include "protocol/stmt.h"
#include "proxy/pool.h"

#include <stdio.h>

enum { KEPT_BYTES = 16 << 10, SHOWN_BYTES = 1 << 10 };

/* Up to the NUL, or to the end of what has arrived; *rest is what is behind it. */
static struct slice take_string(struct slice *rest)
{
    const char *end = rest->len ? memchr(rest->at, 0, rest->len) : NULL;
    size_t n = end ? (size_t)(end - rest->at) : rest->len;
    struct slice text = slice_of(rest->at, n);
    *rest = slice_after(*rest, n + (end != NULL));
    return text;
}

static struct slice text_of(struct session *s, const struct piece *p)
{
    struct slice rest = piece_body(p);
    if (p->type == FRONTEND_QUERY) return take_string(&rest);
    take_string(&rest); /* the name of the portal or of the statement */
    if (p->type == FRONTEND_PARSE) return take_string(&rest);
    struct slice name = take_string(&rest);
    const struct stmt_entry *entry = s->book ? stmt_book_find(s->book, name) : NULL;
    return entry && entry->stmt ? entry->stmt->text : (struct slice){ 0 };
}

void slow_asked(struct session *s, const struct piece *p)
{
    if (s->asked_text.len > 0) return;
    if (p->type != FRONTEND_QUERY && p->type != FRONTEND_PARSE && p->type != FRONTEND_BIND) return;
    struct slice text = text_of(s, p);
    if (text.len > KEPT_BYTES) text.len = KEPT_BYTES;
    s->asked_text.secret = true;
    buf_add_slice(&s->asked_text, text);
}

static void tell(const struct session *s, uint64_t ms)
{
    enum config_statement_text shown = s->client.env->realm->config->log.statements;
    struct slice text = buf_slice(&s->asked_text);
    struct buf normal = { 0 };
    char fingerprint[20] = "";
    if (shown != CONFIG_TEXT_NONE && text.len > 0)
        snprintf(fingerprint, sizeof fingerprint, "%016llx",
                 (unsigned long long)sql_fingerprint(text));
    if (shown == CONFIG_TEXT_NORMALIZED) sql_normalize(text, SHOWN_BYTES, &normal);
    if (shown == CONFIG_TEXT_REDACTED)
        redact_sql(text, REDACT_SECRETS_AND_ROLES, SHOWN_BYTES, &normal);
    log_event(s->client.env->log, EVENT_query_slow, LOG_U64("conn", s->client.id),
              LOG_STR("user", s->client.user->name), LOG_TEXT("pool", s->pool->key),
              LOG_STR("rule", s->rule), LOG_U64("ms", ms), LOG_TEXT("fingerprint", fingerprint),
              LOG_STR("statement", buf_slice(&normal)), LOG_END);
    buf_fini(&normal);
}

void slow_answered(struct session *s, uint64_t ms)
{
    uint64_t limit = s->client.env->realm->config->log.slow_query_ms;
    if (limit > 0 && ms > limit) tell(s, ms);
    if (s->asked_text.len > 0) buf_wipe(&s->asked_text);
}
