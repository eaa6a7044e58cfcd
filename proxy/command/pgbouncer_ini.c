#include "proxy/command/pgbouncer_ini.h"

#include "protocol/json.h"

#include <stdio.h>
#include <string.h>

struct line {
    struct slice key, value;
    bool in_databases;
};

static struct slice trim(struct slice s)
{
    while (s.len && strchr(" \t\r", s.at[0])) s = slice_after(s, 1);
    while (s.len && strchr(" \t\r", s.at[s.len - 1])) s.len--;
    return s;
}

/* The next `key = value`; sections are followed, comments and blank lines skipped. */
static bool next_line(struct slice *rest, bool *in_databases, struct line *out)
{
    while (rest->len) {
        const char *end = memchr(rest->at, '\n', rest->len);
        size_t n = end ? (size_t)(end - rest->at) : rest->len;
        struct slice text = trim(slice_of(rest->at, n));
        *rest = slice_after(*rest, end ? n + 1 : n);
        if (text.len == 0 || text.at[0] == ';' || text.at[0] == '#') continue;
        if (text.at[0] == '[') {
            *in_databases = slice_starts(text, "[databases]");
            continue;
        }
        const char *is = memchr(text.at, '=', text.len);
        if (!is) continue;
        n = (size_t)(is - text.at);
        *out = (struct line){ trim(slice_of(text.at, n)), trim(slice_after(text, n + 1)),
                              *in_databases };
        return true;
    }
    return false;
}

static struct slice setting(struct slice ini, const char *name)
{
    struct slice found = { 0 };
    struct line l;
    bool databases = false;
    while (next_line(&ini, &databases, &l))
        if (!l.in_databases && slice_is(l.key, name)) found = l.value;
    return found;
}

/* host=... of a database's line */
static struct slice part_of(struct slice text, const char *name)
{
    while (text.len) {
        const char *is = memchr(text.at, '=', text.len);
        if (!is) break;
        struct slice key = trim(slice_of(text.at, (size_t)(is - text.at)));
        text = trim(slice_after(text, (size_t)(is - text.at) + 1));
        bool quoted = text.len && text.at[0] == '\'';
        if (quoted) text = slice_after(text, 1);
        size_t n = 0;
        while (n < text.len && (quoted ? text.at[n] != '\'' : !strchr(" \t", text.at[n]))) n++;
        if (slice_is(key, name)) return slice_of(text.at, n);
        text = trim(slice_after(text, n + (quoted && n < text.len ? 1 : 0)));
    }
    return (struct slice){ 0 };
}

static void add_variable(struct buf *out, struct slice user)
{
    buf_add_str(out, "\"env:PASSWORD_");
    for (size_t i = 0; i < user.len; i++) {
        char c = user.at[i];
        if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        bool fine = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        buf_add_u8(out, (uint8_t)(fine ? c : '_'));
    }
    buf_add_str(out, "\"");
}

/* ---- what has an equal -------------------------------------------------------------------------
 */

enum form { NUMBER, SECONDS, WORD };
struct equal {
    const char *theirs, *ours;
    enum form form;
};
static const struct equal pool[] = {
    { "pool_mode", "mode", WORD },
    { "default_pool_size", "size", NUMBER },
    { "min_pool_size", "min_size", NUMBER },
    { "max_user_connections", "per_user", NUMBER },
    { "max_db_connections", "per_database", NUMBER },
    { "query_wait_timeout", "wait_timeout", SECONDS },
    { "server_idle_timeout", "server_idle_timeout", SECONDS },
    { "server_lifetime", "server_lifetime", SECONDS },
    { "server_connect_timeout", "server_connect_timeout", SECONDS },
    { "client_idle_timeout", "client_idle_timeout", SECONDS },
    { "idle_transaction_timeout", "idle_transaction_timeout", SECONDS },
    { "query_timeout", "query_timeout", SECONDS },
    { "cancel_wait_timeout", "cancel_timeout", SECONDS },
    { "max_prepared_statements", "prepared_statements", NUMBER },
};
static const struct equal limits[] = {
    { "max_client_conn", "clients", NUMBER },
    { "client_login_timeout", "login_timeout", SECONDS },
    { "listen_backlog", "backlog", NUMBER },
};
enum { POOL = sizeof pool / sizeof *pool, LIMITS = sizeof limits / sizeof *limits };

/* Of ours: said elsewhere. */
static const char *const told[] = {
    "listen_addr",          "listen_port",         "auth_file",          "auth_type",
    "client_tls_cert_file", "client_tls_key_file", "client_tls_ca_file", "client_tls_sslmode",
    "server_tls_sslmode",   "server_tls_ca_file"
};
static const struct {
    const char *name, *why;
} untold[] = {
    { "auth_query", "users are in the configuration; or auth \"passthrough\"" },
    { "auth_hba_file", "write its lines as rules of \"access\"" },
    { "server_reset_query", "not needed: what a session changed is known and undone" },
    { "ignore_startup_parameters", "not needed: what is unknown is kept, not refused" },
    { "admin_users", "give the user \"console\": \"operator\"" },
    { "stats_users", "give the user \"console\": \"viewer\"" },
    { "logfile", "the log goes to stderr, for the service manager" },
    { "pidfile", "not needed: the service manager knows" },
    { "so_reuseport", "\"workers\", in one process" },
    { "peers", "not needed on one machine: \"workers\"" },
};

static bool is_number(struct slice v)
{
    for (size_t i = 0; i < v.len; i++)
        if (v.at[i] < '0' || v.at[i] > '9') return false;
    return v.len > 0 && v.len < 10;
}

static void add_group(struct buf *out, struct slice ini, const char *name, const struct equal *list,
                      size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        struct slice v = setting(ini, list[i].theirs);
        if (v.len == 0 || (list[i].form != WORD && !is_number(v))) continue;
        buf_addf(out, any ? ",\n    \"%s\": " : "  \"%s\": {\n    ", any ? list[i].ours : name);
        if (!any) buf_addf(out, "\"%s\": ", list[i].ours);
        any = true;
        if (list[i].form == WORD)
            json_quote(out, v);
        else
            buf_addf(out, list[i].form == SECONDS ? "\"%.*ss\"" : "%.*s", SLICE_ARG(v));
    }
    if (any) buf_add_str(out, "\n  },\n");
}

/* , "KEY": "VALUE", where there is a value */
static void add_word(struct buf *out, const char *key, struct slice value)
{
    if (value.len == 0) return;
    buf_addf(out, ", \"%s\": ", key);
    json_quote(out, value);
}

static void add_listen(struct buf *out, struct slice ini)
{
    struct slice address = setting(ini, "listen_addr"), port = setting(ini, "listen_port");
    struct slice certificate = setting(ini, "client_tls_cert_file");
    struct slice key = setting(ini, "client_tls_key_file");
    struct buf text = { 0 };
    if (address.len == 0 || memchr(address.at, ',', address.len)) {
        buf_add_str(out, "  // listen_addr: one entry of \"listen\" for each address\n");
        address = slice_str("127.0.0.1");
    }
    if (slice_is(address, "*")) address = slice_str("0.0.0.0");
    if (slice_is(address, "localhost")) address = slice_str("127.0.0.1");
    buf_addf(&text, "%.*s:%.*s", SLICE_ARG(address),
             SLICE_ARG(port.len ? port : slice_str("6432")));
    buf_add_str(out, "  \"listen\": [ { \"address\": ");
    json_quote(out, buf_slice(&text));
    buf_fini(&text);
    if (certificate.len && key.len) {
        buf_add_str(out, ", \"tls\": { \"certificate\": ");
        json_quote(out, certificate);
        buf_addf(&text, "file:%.*s", SLICE_ARG(key));
        buf_add_str(out, ", \"key\": ");
        json_quote(out, buf_slice(&text));
        buf_fini(&text);
        add_word(out, "mode", setting(ini, "client_tls_sslmode"));
        add_word(out, "client_ca", setting(ini, "client_tls_ca_file"));
        buf_add_str(out, " }");
    }
    buf_add_str(out, " } ],\n");
}

static bool next_quoted(struct slice *rest, struct buf *out);

/* PgBouncer logs in as the client's own name, with what auth_file says. Without such a file the
 * password that the client sends goes on to the server. */
static void add_own_names(struct buf *out, struct slice userlist)
{
    struct buf name = { 0 }, secret = { .secret = true };
    bool any = false;
    while (next_quoted(&userlist, &name) && next_quoted(&userlist, &secret)) {
        buf_add_str(out, any ? ", " : "\"static\", \"users\": { ");
        json_quote(out, buf_slice(&name));
        buf_add_str(out, ": ");
        add_variable(out, buf_slice(&name));
        any = true;
    }
    buf_add_str(out, any ? " } } }" : "\"passthrough\" } }");
    buf_fini(&name);
    buf_fini(&secret);
}

/* What a database's line says of its pool. */
static void add_own_settings(struct buf *out, const struct line *l)
{
    static const char *const names[] = { "pool_size", "min_pool_size", "reserve_pool_size",
                                         "pool_mode", "max_db_connections" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (part_of(l->value, names[i]).len)
            buf_addf(out, "    // %s of %.*s: \"pool\" of a rule in the routing table\n", names[i],
                     SLICE_ARG(l->key));
    if (part_of(l->value, "connect_query").len)
        buf_addf(out, "    // connect_query of %.*s: has no equal here\n", SLICE_ARG(l->key));
}

static void add_clusters(struct buf *out, struct slice ini, struct slice userlist)
{
    struct slice rest = ini, mode = setting(ini, "server_tls_sslmode");
    struct line l;
    bool databases = false;
    const char *separator = "\n";
    buf_add_str(
        out, "  // each database is a cluster here; with several, routes.source says who goes to "
             "which\n  \"clusters\": {");
    while (next_line(&rest, &databases, &l)) {
        if (!l.in_databases) continue;
        struct slice host = part_of(l.value, "host"), port = part_of(l.value, "port");
        struct slice user = part_of(l.value, "user"), database = part_of(l.value, "dbname");
        struct buf endpoint = { 0 };
        buf_addf(&endpoint, "%.*s:%.*s", SLICE_ARG(host.len ? host : slice_str("127.0.0.1")),
                 SLICE_ARG(port.len ? port : slice_str("5432")));
        buf_add_str(out, separator);
        if (database.len && !slice_eq(database, l.key))
            buf_addf(
                out,
                "    // clients ask for database %.*s, it is called %.*s: a rule's \"database\"\n",
                SLICE_ARG(l.key), SLICE_ARG(database));
        add_own_settings(out, &l);
        buf_add_str(out, "    ");
        json_quote(out, slice_is(l.key, "*") ? slice_str("default") : l.key);
        buf_add_str(out, ": { \"endpoint\": ");
        json_quote(out, buf_slice(&endpoint));
        buf_fini(&endpoint);
        if (mode.len) {
            buf_add_str(out, ", \"tls\": { \"mode\": ");
            json_quote(out, mode);
            buf_add_str(out, " }");
        }
        add_word(out, "ca", setting(ini, "server_tls_ca_file"));
        buf_add_str(out, ", \"credentials\": { \"source\": ");
        if (user.len) {
            buf_add_str(out, "\"static\", \"users\": { ");
            json_quote(out, user);
            buf_add_str(out, ": ");
            add_variable(out, user);
            buf_add_str(out, " } } }");
        } else {
            add_own_names(out, userlist);
        }
        separator = ",\n";
    }
    if (separator[0] != ',') buf_add_str(out, "\n    // [databases] is empty: write one");
    buf_add_str(out, "\n  },\n");
}

/* "name" "secret": the next word in quotes, "" within being one. */
static bool next_quoted(struct slice *rest, struct buf *out)
{
    const char *open = rest->len ? memchr(rest->at, '"', rest->len) : NULL;
    buf_truncate(out, 0);
    if (!open) return false;
    *rest = slice_after(*rest, (size_t)(open - rest->at) + 1);
    while (rest->len) {
        char c = rest->at[0];
        bool doubled = c == '"' && rest->len > 1 && rest->at[1] == '"';
        *rest = slice_after(*rest, doubled ? 2 : 1);
        if (c == '"' && !doubled) return true;
        buf_add(out, &c, 1);
    }
    return false;
}

/* The database user that the first database with one gives to all. */
static struct slice forced_user(struct slice ini)
{
    struct line l;
    struct slice user = { 0 };
    bool databases = false;
    while (user.len == 0 && next_line(&ini, &databases, &l))
        if (l.in_databases) user = part_of(l.value, "user");
    return user;
}

static void add_users(struct buf *out, struct slice userlist, struct slice db_user)
{
    struct buf name = { 0 }, secret = { .secret = true };
    const char *separator = "\n";
    buf_add_str(out,
                "  // \"imported\" may do everything; write narrower roles (insert_only, grants)\n"
                "  \"users\": {");
    while (next_quoted(&userlist, &name) && next_quoted(&userlist, &secret)) {
        bool scram = slice_starts(buf_slice(&secret), "SCRAM-SHA-256$");
        bool md5 = slice_starts(buf_slice(&secret), "md5") && secret.len == 35;
        buf_add_str(out, separator);
        buf_add_str(out, "    ");
        json_quote(out, buf_slice(&name));
        buf_addf(out, ": { \"auth\": [\"%s\"], \"password\": ", md5 ? "md5" : "scram-sha-256");
        if (scram || md5)
            json_quote(out, buf_slice(&secret));
        else
            add_variable(out, buf_slice(&name));
        if (db_user.len) {
            buf_add_str(out, ", \"db_user\": ");
            json_quote(out, db_user);
        }
        buf_add_str(out, ", \"role\": \"imported\" }");
        separator = ",\n";
    }
    if (separator[0] != ',')
        buf_add_str(out, "\n    // none: give `sluice import` the file auth_file by --userlist");
    buf_add_str(out, "\n  },\n  \"roles\": { \"imported\": { \"grants\": [ { \"verbs\": [\"ALL\"], "
                     "\"on\": [\"*\"] } ] } },\n");
    buf_fini(&name);
    buf_fini(&secret);
}

static bool is_told(struct slice key)
{
    bool found = false;
    for (size_t i = 0; i < POOL; i++) found |= slice_is(key, pool[i].theirs);
    for (size_t i = 0; i < LIMITS; i++) found |= slice_is(key, limits[i].theirs);
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) found |= slice_is(key, told[i]);
    return found;
}

/* Names only: a value might be a secret. */
static void add_untold(struct buf *out, struct slice ini)
{
    struct line l;
    bool databases = false;
    while (next_line(&ini, &databases, &l)) {
        if (l.in_databases || is_told(l.key)) continue;
        const char *why = "has no equal here";
        for (size_t i = 0; i < sizeof untold / sizeof *untold; i++)
            if (slice_is(l.key, untold[i].name)) why = untold[i].why;
        buf_addf(out, "  // %.*s: %s\n", SLICE_ARG(l.key), why);
    }
}

void pgbouncer_translate(struct slice ini, struct slice userlist, struct buf *out)
{
    buf_add_str(
        out,
        "// From PgBouncer's configuration; a beginning. Ask `sluice check --config FILE`.\n{\n");
    add_untold(out, ini);
    add_listen(out, ini);
    add_clusters(out, ini, userlist);
    add_users(out, userlist, forced_user(ini));
    add_group(out, ini, "pool", pool, POOL);
    add_group(out, ini, "limits", limits, LIMITS);
    buf_add_str(out, "  // PgBouncer lets everybody try; here a rule must say from where\n"
                     "  \"access\": [ { \"from\": [\"127.0.0.1\"], \"users\": [\"*\"] } ]\n}\n");
}
