#include "policy/world.h"

#include <stdio.h>
#include <stdlib.h>

const struct world_role world_roles[] = {
    { "loader", NULL, { { "public.events", "INSERT" }, { "staging.*", "INSERT" } } },
    { "analyst", "public", { { "public.*", "SELECT" }, { "mart.*", "SELECT" } } },
    { "steward",
      "public,staging",
      { { "public.*", "SELECT INSERT" },
        { "staging.*", "SELECT INSERT UPDATE DELETE" },
        { "staging.raw", "TRUNCATE MERGE" } } },
    { "stager",
      NULL,
      { { "*", "CREATE_TEMP" },
        { "staging.*", "SELECT INSERT UPDATE DELETE" },
        { "mart.sales", "MERGE" } } },
    { "nobody", "public", { { "hr.absent", "SELECT" } } },
};
const unsigned world_role_count = sizeof world_roles / sizeof *world_roles;

static const struct {
    const char *schema, *table;
} tables[] = {
    { "public", "events" }, { "public", "customers" }, { "staging", "raw" }, { "staging", "parts" },
    { "mart", "sales" },    { "mart", "raw" },         { "hr", "salaries" }, { "public", "sales" },
};
enum { TABLES = sizeof tables / sizeof *tables };

/* ---- roles --------------------------------------------------------------------------------- */

struct grants *world_compile(const struct world_role *role)
{
    struct grants_rule rules[6];
    size_t n = 0;
    for (const struct world_grant *g = role->grants; n < 6 && g->pattern; g++, n++) {
        rules[n] = (struct grants_rule){ slice_str(g->pattern), 0 };
        char words[80], *rest = words;
        snprintf(words, sizeof words, "%s", g->verbs);
        for (char *word; (word = strsep(&rest, " "));)
            rules[n].verbs |= sql_verb_find(slice_str(word));
    }
    struct grants_options options = {
        .name = slice_str(role->name),
        .rules = rules,
        .rule_count = n,
        .search_path = slice_str(role->search_path ? role->search_path : ""),
        .letters = SQL_CASE_UNKNOWN,
        .seed = { 1, 2 },
    };
    struct err err;
    struct grants *grants = grants_new(&options, &err);
    if (!grants) {
        fprintf(stderr, "role %s: %s\n", role->name, err.message);
        exit(2);
    }
    return grants;
}

/* Is `word` one of the words of `list`? */
static bool has_word(const char *list, const char *word, char separator)
{
    size_t n = strlen(word);
    for (const char *at = list; at; at = strchr(at, separator), at = at ? at + 1 : NULL)
        if (strncmp(at, word, n) == 0 && (at[n] == separator || at[n] == 0)) return true;
    return false;
}

static bool is_granted(const struct world_role *role, const char *verb, const char *schema,
                       const char *relation)
{
    char full[300], any[300];
    snprintf(full, sizeof full, "%s.%s", schema, relation);
    snprintf(any, sizeof any, "%s.*", schema);
    for (const struct world_grant *g = role->grants; g->pattern; g++)
        if (has_word(g->verbs, verb, ' ') &&
            (strcmp(g->pattern, full) == 0 || strcmp(g->pattern, any) == 0 ||
             strcmp(g->pattern, "*") == 0))
            return true;
    return false;
}

bool world_allows(const struct world_role *role, const char *verb, const char *schema,
                  const char *relation)
{
    static const char *const systems[] = { "pg_",  "stl_",  "stv_", "svl_",
                                           "svv_", "svcs_", "sys_", "padb_" };
    if (schema) return is_granted(role, verb, schema, relation);
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++)
        if (strncmp(relation, systems[i], strlen(systems[i])) == 0)
            return is_granted(role, verb, "pg_catalog", relation);
    if (!role->search_path) return false;
    char path[80], *rest = path;
    snprintf(path, sizeof path, "%s", role->search_path);
    for (char *word; (word = strsep(&rest, ","));)
        if (!is_granted(role, verb, word, relation)) return false;
    return true;
}

/* The privileges of PostgreSQL that a verb stands for; MERGE is SELECT, INSERT, UPDATE, DELETE. */
static const char *privileges_of(const char *verb)
{
    if (strcmp(verb, "MERGE") == 0) return "SELECT, INSERT, UPDATE, DELETE";
    return strcmp(verb, "CREATE_TEMP") == 0 ? NULL : verb;
}

static void write_grants(struct buf *out, const struct world_role *role)
{
    static const char *const verbs[] = {
        "SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "MERGE"
    };
    buf_addf(out, "CREATE ROLE %s LOGIN;", role->name);
    buf_addf(out, "GRANT USAGE ON SCHEMA public, staging, mart, hr TO %s;", role->name);
    if (role->search_path)
        buf_addf(out, "ALTER ROLE %s SET search_path TO %s;", role->name, role->search_path);
    for (const struct world_grant *g = role->grants; g->pattern; g++)
        if (has_word(g->verbs, "CREATE_TEMP", ' '))
            buf_addf(out, "GRANT TEMP ON DATABASE postgres TO %s;", role->name);
    for (int t = 0; t < TABLES; t++)
        for (size_t v = 0; v < sizeof verbs / sizeof *verbs; v++)
            if (is_granted(role, verbs[v], tables[t].schema, tables[t].table))
                buf_addf(out, "GRANT %s ON %s.%s TO %s;", privileges_of(verbs[v]), tables[t].schema,
                         tables[t].table, role->name);
}

void world_write_sql(struct buf *out)
{
    buf_add_str(out, "REVOKE ALL ON DATABASE postgres FROM PUBLIC;"
                     "GRANT CONNECT ON DATABASE postgres TO PUBLIC;"
                     "REVOKE ALL ON SCHEMA public FROM PUBLIC;"
                     "CREATE SCHEMA staging; CREATE SCHEMA mart; CREATE SCHEMA hr;"
                     "CREATE FUNCTION hr.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "RAISE NOTICE 'touched %.% %', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP; "
                     "RETURN NULL; END $$;");
    for (int t = 0; t < TABLES; t++) {
        const char *s = tables[t].schema, *n = tables[t].table;
        buf_addf(out, "CREATE TABLE %s.%s (id int, kind text, amount numeric, at timestamp);", s,
                 n);
        buf_addf(out, "INSERT INTO %s.%s VALUES (1, 'a', 1.5, now()), (2, 'b', 2.5, now());", s, n);
        buf_addf(out,
                 "CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s.%s "
                 "EXECUTE FUNCTION hr.tell();",
                 s, n);
    }
    for (unsigned r = 0; r < world_role_count; r++) write_grants(out, &world_roles[r]);
    /* So are definitions, but for those of temporary tables. */
    buf_add_str(
        out,
        "CREATE FUNCTION hr.tell_made() RETURNS event_trigger LANGUAGE plpgsql AS $$ "
        "DECLARE o record; BEGIN FOR o IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP "
        "IF o.schema_name IS DISTINCT FROM 'pg_temp' THEN "
        "RAISE NOTICE 'touched %', o.command_tag; END IF; END LOOP; END $$;"
        "CREATE FUNCTION hr.tell_dropped() RETURNS event_trigger LANGUAGE plpgsql AS $$ "
        "DECLARE o record; BEGIN FOR o IN SELECT * FROM pg_event_trigger_dropped_objects() LOOP "
        "IF NOT o.is_temporary THEN RAISE NOTICE 'touched %', o.object_identity; END IF; "
        "END LOOP; END $$;"
        "CREATE EVENT TRIGGER made ON ddl_command_end EXECUTE FUNCTION hr.tell_made();"
        "CREATE EVENT TRIGGER dropped ON sql_drop EXECUTE FUNCTION hr.tell_dropped();");
}
