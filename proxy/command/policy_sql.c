#include "proxy/command/policy_sql.h"

#include "protocol/sql_verb.h"

/* ---- names --------------------------------------------------------------------------------- */

static bool is_plain(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        const char c = name.at[i];
        const bool letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '$'))) return false;
    }
    return name.len > 0;
}

static void add_identifier(struct buf *out, struct slice name)
{
    if (is_plain(name)) {
        buf_add_slice(out, name);
        return;
    }
    buf_add_u8(out, '"');
    for (size_t i = 0; i < name.len; i++) {
        buf_add_u8(out, (uint8_t)name.at[i]);
        if (name.at[i] == '"') buf_add_u8(out, '"');
    }
    buf_add_u8(out, '"');
}

static void add_literal(struct buf *out, struct slice text)
{
    buf_add_u8(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.at[i];
        buf_add_u8(out, (uint8_t)c);
        if (c == '\'' || c == '\\') buf_add_u8(out, (uint8_t)c);
    }
    buf_add_u8(out, '\'');
}

/* `schema.table`, cut at its dot; quotes, stars and more parts are beyond what this can say. */
static bool cut(struct slice pattern, struct slice *schema, struct slice *table)
{
    const char *dot = memchr(pattern.at, '.', pattern.len);
    if (!dot || memchr(pattern.at, '"', pattern.len)) return false;
    *schema = slice_of(pattern.at, (size_t)(dot - pattern.at));
    *table = slice_after(pattern, schema->len + 1);
    return !memchr(schema->at, '*', schema->len) && !memchr(table->at, '.', table->len) &&
           (slice_is(*table, "*") || !memchr(table->at, '*', table->len));
}

/* ---- grants -------------------------------------------------------------------------------- */

/* What a verb takes on Redshift, of the privileges that GRANT ... ON TABLE knows. */
static const struct {
    enum sql_verb verb;
    const char *privileges[5];
} of_tables[] = {
    { SQL_VERB_SELECT, { "SELECT" } },
    { SQL_VERB_INSERT, { "INSERT" } },
    { SQL_VERB_COPY, { "INSERT" } },
    { SQL_VERB_UPDATE, { "UPDATE" } },
    { SQL_VERB_DELETE, { "DELETE" } },
    { SQL_VERB_MERGE, { "SELECT", "INSERT", "UPDATE", "DELETE" } },
    { SQL_VERB_TRUNCATE, { "TRUNCATE" } },
    { SQL_VERB_DDL, { "ALTER", "DROP" } },
    { SQL_VERB_UNLOAD, { "SELECT" } },
};

static void add_privilege(struct buf *out, const char *privilege)
{
    struct buf given = { 0 };
    buf_addf(&given, "%.*s,", SLICE_ARG(buf_slice(out)));
    struct buf wanted = { 0 };
    buf_addf(&wanted, "%s,", privilege);
    const bool there = out->len > 0 && memmem(given.at, given.len, wanted.at, wanted.len);
    if (!there) buf_addf(out, "%s%s", out->len ? ", " : "", privilege);
    buf_fini(&given);
    buf_fini(&wanted);
}

static void privileges_of(uint32_t verbs, struct buf *out)
{
    for (size_t i = 0; i < sizeof of_tables / sizeof *of_tables; i++) {
        if (!(verbs & 1U << of_tables[i].verb)) continue;
        for (size_t k = 0; of_tables[i].privileges[k]; k++)
            add_privilege(out, of_tables[i].privileges[k]);
    }
}

static void add_verbs(struct buf *out, uint32_t verbs)
{
    bool more = false;
    for (unsigned v = 0; v < SQL_VERB_COUNT; v++) {
        if (!(verbs & 1U << v)) continue;
        buf_addf(out, "%s%s", more ? ", " : "", sql_verb_name((enum sql_verb)v));
        more = true;
    }
}

/* What cannot be said: for whoever reads this to do by hand. */
static void add_remark(struct buf *out, uint32_t verbs, struct slice pattern, const char *why)
{
    buf_add_str(out, "-- ");
    add_verbs(out, verbs);
    buf_add_str(out, " on ");
    for (size_t i = 0; i < pattern.len; i++)
        buf_add_u8(out,
                   pattern.at[i] == '\n' || pattern.at[i] == '\r' ? ' ' : (uint8_t)pattern.at[i]);
    buf_addf(out, ": %s\n", why);
}

static void add_target(struct buf *out, const char *what, struct slice schema, struct slice table)
{
    if (slice_is(table, "*")) {
        buf_addf(out, "ALL %sS IN SCHEMA ", what);
        add_identifier(out, schema);
        return;
    }
    buf_addf(out, "%s ", what);
    add_identifier(out, schema);
    buf_add_u8(out, '.');
    add_identifier(out, table);
}

static void end_grant(struct buf *out, const char *db_user)
{
    buf_add_str(out, " TO ");
    add_identifier(out, slice_str(db_user));
    buf_add_str(out, ";\n");
}

static void add_grant(struct buf *out, uint32_t verbs, struct slice pattern, const char *db_user)
{
    struct slice schema, table;
    const uint32_t temp = verbs & 1U << SQL_VERB_CREATE_TEMP;
    const uint32_t by_role = verbs & 1U << SQL_VERB_MAINTAIN;
    if (temp) add_remark(out, temp, pattern, "GRANT TEMP ON DATABASE ... by hand");
    if (by_role)
        add_remark(out, by_role, pattern, "GRANT ANALYZE and VACUUM to a role, and that role");
    verbs &= ~(temp | by_role);
    if (!verbs) return;
    if (!cut(pattern, &schema, &table)) {
        add_remark(out, verbs, pattern, "no GRANT can say this; name the tables");
        return;
    }
    struct buf privileges = { 0 };
    buf_add_str(out, "GRANT USAGE ON SCHEMA ");
    add_identifier(out, schema);
    end_grant(out, db_user);
    if (verbs & 1U << SQL_VERB_DDL) {
        buf_add_str(out, "GRANT CREATE ON SCHEMA ");
        add_identifier(out, schema);
        end_grant(out, db_user);
    }
    privileges_of(verbs, &privileges);
    if (privileges.len > 0) {
        buf_addf(out, "GRANT %.*s ON ", SLICE_ARG(buf_slice(&privileges)));
        add_target(out, "TABLE", schema, table);
        end_grant(out, db_user);
    }
    buf_fini(&privileges);
    if (!(verbs & 1U << SQL_VERB_CALL)) return;
    if (!slice_is(table, "*")) {
        add_remark(out, 1U << SQL_VERB_CALL, pattern,
                   "GRANT EXECUTE ON PROCEDURE with its argument types");
        return;
    }
    buf_add_str(out, "GRANT EXECUTE ON ");
    add_target(out, "PROCEDURE", schema, table);
    end_grant(out, db_user);
}

static uint32_t verbs_of(uint32_t set)
{
    uint32_t verbs = 0;
    for (unsigned v = 0; v < 32; v++)
        if (set & 1U << v) verbs |= sql_verb_find(slice_str(config_word_verb((enum config_verb)v)));
    return verbs;
}

void policy_sql(const struct config_role *role, const char *db_user, struct buf *out)
{
    buf_add_str(out, "CREATE USER ");
    add_identifier(out, slice_str(db_user));
    buf_add_str(out, " PASSWORD DISABLE;\n");
    if (config_role_is_unrestricted(role)) {
        buf_add_str(out,
                    "-- ALL on *: the role is not restricted; grant what the user shall have\n");
        return;
    }
    if (role->search_path) {
        buf_add_str(out, "ALTER USER ");
        add_identifier(out, slice_str(db_user));
        buf_addf(out, " SET search_path TO %s;\n", role->search_path);
    }
    for (size_t i = 0; i < role->insert_only.count; i++)
        add_grant(out, 1U << SQL_VERB_INSERT, slice_str(role->insert_only.items[i]), db_user);
    for (size_t i = 0; i < role->n_grants; i++)
        for (size_t k = 0; k < role->grants[i].on.count; k++)
            add_grant(out, verbs_of(role->grants[i].verbs), slice_str(role->grants[i].on.items[k]),
                      db_user);
    for (size_t i = 0; i < role->copy.iam_roles.count; i++) {
        struct slice arn = slice_str(role->copy.iam_roles.items[i]);
        if (memchr(arn.at, '*', arn.len)) continue;
        buf_add_str(out, "GRANT ASSUMEROLE ON ");
        add_literal(out, arn);
        end_grant(out, db_user);
        out->len -= 2; /* before the semicolon and line break */
        buf_add_str(out, " FOR COPY;\n");
    }
    buf_add_str(out,
                "-- PUBLIC may make temporary tables: REVOKE TEMP ON DATABASE ... FROM PUBLIC\n");
}
