/* acl_oracle: what Sluice allows, judged by a database.
 *
 *     POLICY_SECONDS=60 POLICY_SEED=1 acl_oracle
 *
 * A PostgreSQL of its own holds the world's tables, and a user for every role with exactly its
 * GRANTs. Every random statement that Sluice allows to the role is run twice, in both string modes:
 *   as that user: it may fail, but never for want of a privilege (42501);
 *   as the superuser: nothing may change that the role's grants do not name. The tables tell.
 */
#include "policy/world.h"
#include "support/fixtures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FINDINGS_MAX = 10 };

struct witness {
    const struct world_role *role;
    char seen[200]; /* the first change that is not granted; empty: none */
};

struct tally {
    unsigned long texts, allowed, good, findings;
};

/* A notice `touched SCHEMA.TABLE VERB`. */
static void on_notice(void *context, const char *message)
{
    struct witness *w = context;
    char schema[64], table[64], verb[64];
    const char *at = strstr(message, "touched ");
    if (!at || w->seen[0]) return;
    if (sscanf(at, "touched %63[^.].%63[^ ] %63s", schema, table, verb) == 3 &&
        (world_allows(w->role, verb, schema, table) ||
         (strcmp(verb, "TRUNCATE") != 0 && world_allows(w->role, "MERGE", schema, table))))
        return;
    snprintf(w->seen, sizeof w->seen, "%.*s", (int)strcspn(at, "\n"), at);
}

static PGconn *open_session(const struct postgres *p, const char *user, bool standard)
{
    char info[400];
    snprintf(info, sizeof info,
             "host=%s port=%d user=%s dbname=postgres options='-c backslash_quote=on "
             "-c standard_conforming_strings=%s -c escape_string_warning=off "
             "-c statement_timeout=1000 -c lock_timeout=200'",
             p->dir, p->port, user, standard ? "on" : "off");
    PGconn *c = PQconnectdb(info);
    if (PQstatus(c) == CONNECTION_OK) return c;
    fprintf(stderr, "%s: %s", user, PQerrorMessage(c));
    exit(2);
}

/* Runs it and forgets it. The SQLSTATE of the first error goes to `state`. */
static void run(PGconn *c, const char *sql, char state[6])
{
    state[0] = 0;
    PQclear(PQexec(c, "BEGIN"));
    PQsendQuery(c, sql);
    for (PGresult *r; (r = PQgetResult(c));) {
        const char *code = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        const char *text = PQresultErrorMessage(r);
        /* COPY FROM 's3://...' is a file to PostgreSQL, and files are another privilege. */
        bool file = strstr(text, "pg_read_server_files") != NULL;
        if (code && !state[0] && !file) snprintf(state, 6, "%s", code);
        if (PQresultStatus(r) == PGRES_COPY_IN) PQputCopyEnd(c, "no");
        PQclear(r);
    }
    PQclear(PQexec(c, "ROLLBACK"));
    PQclear(PQexec(c, "DISCARD ALL"));
}

static void finding(struct tally *t, uint64_t seed, const struct world_role *role, const char *sql,
                    const char *what)
{
    t->findings++;
    printf("FINDING seed %llu, role %s: %s\n%s\n", (unsigned long long)seed, role->name, what, sql);
}

static void try_text(struct tally *t, uint64_t seed, const struct world_role *role,
                     const struct grants *grants, PGconn *const users[2], PGconn *const owners[2],
                     struct witness *witness)
{
    struct buf text = { 0 };
    struct generator g = generator_new(seed);
    struct verdict verdict;
    char state[6];
    g.out = &text;
    generate_text(&g, slice_of(NULL, 0));
    t->texts++;
    if (grants_decide(grants, NULL, buf_slice(&text), &verdict)) {
        t->allowed++;
        buf_add_u8(&text, 0);
        for (int standard = 0; standard < 2; standard++) {
            run(users[standard], text.at, state);
            t->good += !state[0];
            if (strcmp(state, "42501") == 0)
                finding(t, seed, role, text.at, "allowed, and refused by the database (42501)");
            *witness = (struct witness){ .role = role };
            run(owners[standard], text.at, state);
            if (witness->seen[0]) finding(t, seed, role, text.at, witness->seen);
        }
    }
    buf_fini(&text);
}

/* The witnesses can be trusted: a change that is not granted is seen, and a refusal is. */
static void check_oracle(struct tally *t, PGconn *user, PGconn *owner, struct witness *witness)
{
    static const char *const changes[] = {
        "insert into hr.salaries values (1)",
        "update hr.salaries set id = 2",
        "delete from hr.salaries",
        "truncate hr.salaries",
        "create table public.new (a int)",
        "drop table hr.salaries cascade",
        "alter table hr.salaries add c int",
    };
    char state[6];
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        *witness = (struct witness){ .role = &world_roles[0] };
        run(owner, changes[i], state);
        if (!witness->seen[0])
            finding(t, 0, &world_roles[0], changes[i], "the witness did not see it");
        run(user, changes[i], state);
        if (strcmp(state, "42501") != 0)
            finding(t, 0, &world_roles[0], changes[i], "the database did not refuse it");
    }
}

static bool make_world(struct postgres *p)
{
    struct buf sql = { 0 };
    world_write_sql(&sql);
    buf_add_u8(&sql, 0);
    bool good = !sql.failed && postgres_run(p, sql.at);
    buf_fini(&sql);
    return good;
}

int main(void)
{
    const char *given = getenv("POLICY_SECONDS"), *begin = getenv("POLICY_SEED");
    long long wait_ms = given ? (long long)(atof(given) * 1000) : 60000;
    uint64_t seed = begin ? strtoull(begin, NULL, 10) : (uint64_t)kit_now_ms() << 12, first = seed;
    struct kit *k = kit_new("acl");
    struct postgres p;
    struct tally tally = { 0 };
    struct witness witness = { 0 }, nobody = { .seen = "listens" };
    if (!postgres_start(k, &p, NULL) || !make_world(&p)) return 2;

    PGconn *users[8][2], *owners[2];
    struct grants *grants[8];
    for (int standard = 0; standard < 2; standard++) {
        owners[standard] = open_session(&p, "postgres", standard);
        PQsetNoticeProcessor(owners[standard], on_notice, &witness);
        for (unsigned r = 0; r < world_role_count; r++) {
            users[r][standard] = open_session(&p, world_roles[r].name, standard);
            PQsetNoticeProcessor(users[r][standard], on_notice, &nobody);
        }
    }
    for (unsigned r = 0; r < world_role_count; r++) grants[r] = world_compile(&world_roles[r]);
    check_oracle(&tally, users[0][0], owners[0], &witness);

    long long end_ms = kit_now_ms() + wait_ms;
    for (; kit_now_ms() < end_ms && tally.findings < FINDINGS_MAX; seed++) {
        unsigned r = (unsigned)(seed % world_role_count);
        try_text(&tally, seed, &world_roles[r], grants[r], users[r], owners, &witness);
    }
    printf("%s 1 - policy by a database's privileges: seeds %llu to %llu, %lu texts, %lu allowed, "
           "of which %lu runs succeeded, %lu findings\n",
           tally.findings ? "not ok" : "ok", (unsigned long long)first, (unsigned long long)seed,
           tally.texts, tally.allowed, tally.good, tally.findings);

    for (int standard = 0; standard < 2; standard++) {
        PQfinish(owners[standard]);
        for (unsigned r = 0; r < world_role_count; r++) PQfinish(users[r][standard]);
    }
    for (unsigned r = 0; r < world_role_count; r++) grants_free(grants[r]);
    kit_free(k);
    return tally.findings > 0;
}
