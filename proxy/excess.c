#include "proxy/excess.h"

#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/message.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX_BYTES = 256 * 1024, TABLE_FIELDS = 7, PARTS_MAX = 3 };

struct excess {
    struct realm *realm; /* held, for the role's sake */
    const struct realm_role *role;
    struct buf in;
    bool found, failed;
};

/* The privileges that are asked about, in the order of the answer's fields, and the verbs that need
 * them on the server, as `sluice policy grants` says. (Redshift's has_table_privilege knows no
 * others that PostgreSQL knows, too.) */
static const struct {
    const char *privilege;
    uint32_t verbs;
} privileges[] = {
    { "SELECT", 1U << SQL_VERB_SELECT | 1U << SQL_VERB_MERGE | 1U << SQL_VERB_UNLOAD },
    { "INSERT", 1U << SQL_VERB_INSERT | 1U << SQL_VERB_COPY | 1U << SQL_VERB_MERGE },
    { "UPDATE", 1U << SQL_VERB_UPDATE | 1U << SQL_VERB_MERGE },
    { "DELETE", 1U << SQL_VERB_DELETE | 1U << SQL_VERB_MERGE },
};

enum { PRIVILEGES = sizeof privileges / sizeof *privileges };

/* ---- the question --------------------------------------------------------------------------- */

/* An escape would be read in two ways; names with a backslash are left out before. */
static void add_literal(struct buf *out, struct slice text)
{
    buf_add_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        buf_add_u8(out, (uint8_t)text.at[i]);
        if (text.at[i] == '\'') buf_add_u8(out, '\'');
    }
    buf_add_u8(out, '\'');
}

/* One part of a pattern as the server stores it, taken off *rest. False: it is no exact name. */
static bool take_part(struct slice *rest, struct buf *name)
{
    bool quoted = rest->len && rest->at[0] == '"';
    size_t i = quoted;
    for (; i < rest->len; i++) {
        char c = rest->at[i];
        if (quoted && c == '"') {
            if (i + 1 == rest->len || rest->at[i + 1] != '"') break;
            i++;
        } else if (!quoted && c == '.') {
            break;
        } else if (c == '\\' || (!quoted && c == '*')) {
            return false;
        }
        buf_add_u8(name, !quoted && c >= 'A' && c <= 'Z' ? (uint8_t)(c + 'a' - 'A') : (uint8_t)c);
    }
    if (quoted && i < rest->len) i++;
    bool more = i < rest->len;
    *rest = slice_after(*rest, more ? i + 1 : i);
    return name->len > 0 && (!more || rest->len > 0);
}

/* `schema.table`, or `database.schema.table` of this database. */
static void add_table(struct buf *out, struct slice pattern, const char *database)
{
    struct buf parts[PARTS_MAX] = { { 0 } };
    unsigned n = 0;
    bool exact = true;
    while (exact && pattern.len && n < PARTS_MAX) exact = take_part(&pattern, &parts[n++]);
    bool here = n == 2 || (n == 3 && slice_eq(buf_slice(&parts[0]), slice_str(database)));
    if (exact && here && pattern.len == 0) {
        buf_add_str(out, " OR (n.nspname = ");
        add_literal(out, buf_slice(&parts[n - 2]));
        buf_add_str(out, " AND c.relname = ");
        add_literal(out, buf_slice(&parts[n - 1]));
        buf_add_u8(out, ')');
    }
    for (unsigned i = 0; i < PARTS_MAX; i++) buf_fini(&parts[i]);
}

static void add_tables(struct buf *out, const struct config_list *patterns, const char *database)
{
    for (size_t i = 0; i < patterns->count; i++)
        add_table(out, slice_str(patterns->items[i]), database);
}

/* Plain enough for a PostgreSQL of 2005, and independent of the search_path. (Casts to "name" and
 * operators are looked up there, too; pg_catalog is always searched first unless somebody who may
 * set it for this user has done so.) */
void excess_query(const struct config_role *role, const char *database, struct buf *out)
{
    buf_add_str(out, "SELECT u.usesuper FROM pg_catalog.pg_user u WHERE u.usename = current_user; "
                     "SELECT n.nspname, c.relname, c.relowner = u.usesysid");
    for (unsigned i = 0; i < PRIVILEGES; i++)
        buf_addf(out, ", pg_catalog.has_table_privilege(c.oid, '%s')", privileges[i].privilege);
    buf_add_str(out, " FROM pg_catalog.pg_class c"
                     " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace,"
                     " pg_catalog.pg_user u WHERE u.usename = current_user"
                     " AND c.relkind IN ('r', 'v', 'm', 'p', 'f') AND (1 = 0");
    add_tables(out, &role->insert_only, database);
    for (size_t i = 0; i < role->n_grants; i++) add_tables(out, &role->grants[i].on, database);
    buf_add_u8(out, ')');
}

bool excess_ask(struct server *s, const struct realm_role *role)
{
    struct excess *e = calloc(1, sizeof *e);
    if (!e) return false;
    e->realm = realm_ref(s->target->realm);
    e->role = role;
    s->excess = e;
    struct buf sql = { 0 }, out = { 0 };
    excess_query(role->config, s->target->database, &sql);
    frontend_query(&out, buf_slice(&sql));
    bool ok = !sql.failed && !out.failed && stream_write_slice(&s->stream, buf_slice(&out));
    buf_fini(&sql);
    buf_fini(&out);
    if (!ok) excess_end(s);
    return ok;
}

uint64_t excess_end(struct server *s)
{
    struct excess *e = s->excess;
    if (!e) return 0;
    uint64_t generation = e->realm->generation;
    s->excess = NULL;
    realm_unref(e->realm);
    buf_fini(&e->in);
    free(e);
    return generation;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void note(struct server *s, const char *object, const char *may)
{
    struct excess *e = s->excess;
    e->found = true;
    log_event(s->env->log,
              e->role->config->excess_privilege == CONFIG_EXCESS_WARN ? EVENT_role_excess_allowed
                                                                      : EVENT_role_excess,
              LOG_TEXT("role", e->role->config->name), LOG_TEXT("db_user", s->target->db_user),
              LOG_TEXT("cluster", s->target->cluster->config->name),
              LOG_TEXT("database", s->target->database), LOG_TEXT("object", object),
              LOG_TEXT("may", may), LOG_END);
}

static uint32_t read_u16(const char *at) { return (uint32_t)(uint8_t)at[0] << 8 | (uint8_t)at[1]; }

static uint32_t read_u32(const char *at) { return read_u16(at) << 16 | read_u16(at + 2); }

/* The fields of a DataRow; how many, at most `max`. NULL reads as empty. */
static unsigned read_row(struct slice body, struct slice *fields, unsigned max)
{
    if (body.len < 2) return 0;
    unsigned n = read_u16(body.at);
    body = slice_after(body, 2);
    for (unsigned i = 0; i < n && i < max; i++) {
        if (body.len < 4) return 0;
        uint32_t len = read_u32(body.at);
        body = slice_after(body, 4);
        if (len == UINT32_MAX) len = 0;
        if (len > body.len) return 0;
        fields[i] = slice_of(body.at, len);
        body = slice_after(body, len);
    }
    return n;
}

static bool may(const struct excess *e, uint32_t verbs, const struct slice name[2])
{
    for (unsigned v = 0; v < SQL_VERB_COUNT; v++)
        if (verbs & 1U << v &&
            grants_allow(e->role->grants, (enum sql_verb)v, name, 2, false) == GRANTS_ALLOWED)
            return true;
    return false;
}

static void take_table(struct server *s, const struct slice row[TABLE_FIELDS])
{
    const struct excess *e = s->excess;
    struct buf more = { 0 };
    char name[160];
    if (may(e, 1U << SQL_VERB_DDL, row)) return;
    if (slice_is(row[2], "t")) buf_add_str(&more, " owner");
    for (unsigned i = 0; i < PRIVILEGES; i++)
        if (slice_is(row[3 + i], "t") && !may(e, privileges[i].verbs, row))
            buf_addf(&more, " %s", privileges[i].privilege);
    snprintf(name, sizeof name, "%.*s.%.*s", SLICE_ARG(row[0]), SLICE_ARG(row[1]));
    buf_add_u8(&more, 0);
    if (more.failed)
        s->excess->failed = true;
    else if (more.len > 1)
        note(s, name, more.at + 1);
    buf_fini(&more);
}

static void take_row(struct server *s, struct slice body)
{
    struct slice row[TABLE_FIELDS] = { { 0 } };
    unsigned n = read_row(body, row, TABLE_FIELDS);
    if (n == 1 && slice_is(row[0], "t"))
        note(s, "", "superuser");
    else if (n == TABLE_FIELDS)
        take_table(s, row);
    else if (n != 1)
        s->excess->failed = true;
}

static void take_error(struct server *s, struct slice body)
{
    struct excess *e = s->excess;
    e->failed = true;
    log_event(s->env->log, EVENT_role_excess_unknown, LOG_TEXT("role", e->role->config->name),
              LOG_TEXT("db_user", s->target->db_user), LOG_STR("why", backend_field(body, 'M')),
              LOG_END);
}

static void take_message(struct server *s, char type, struct slice body)
{
    struct slice name, value;
    switch (type) {
    case BACKEND_DATA_ROW: take_row(s, body); break;
    case BACKEND_ERROR: take_error(s, body); break;
    case BACKEND_PARAMETER_STATUS:
        if (backend_read_parameter(body, &name, &value)) params_set(&s->params, name, value);
        break;
    default: break;
    }
}

enum excess_answer excess_take(struct server *s, const char *at, size_t len)
{
    struct excess *e = s->excess;
    buf_add(&e->in, at, len);
    struct slice in = buf_slice(&e->in);
    while (in.len >= MESSAGE_HEADER) {
        uint32_t size = read_u32(in.at + 1);
        if (size < 4 || size > ANSWER_MAX_BYTES) return EXCESS_GARBLED;
        if (in.len - 1 < size) break;
        char type = in.at[0];
        take_message(s, type, slice_of(in.at + MESSAGE_HEADER, size - 4));
        in = slice_after(in, 1 + size);
        /* Behind it a server says nothing until it is asked again. */
        if (type != BACKEND_READY) continue;
        if (in.len) return EXCESS_GARBLED;
        return e->failed ? EXCESS_UNKNOWN : e->found ? EXCESS_FOUND : EXCESS_NONE;
    }
    buf_drop(&e->in, e->in.len - in.len);
    return e->in.failed || e->in.len > ANSWER_MAX_BYTES ? EXCESS_GARBLED : EXCESS_MORE;
}
