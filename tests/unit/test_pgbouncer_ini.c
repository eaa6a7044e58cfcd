/* pgbouncer_ini: what has an equal is there, what has none is said, and no secret is written. */
#include "unit/unit.h"

#include "proxy/command/pgbouncer_ini.h"

static const char ini[] =
    ";; comment\n[databases]\n"
    "dev = host=c1.example.com port=5439 dbname=dev user=loader password='s3 cret'\n"
    "old = host=10.0.0.7 dbname=prod pool_size=5\n\n[pgbouncer]\n"
    "listen_addr = *\nlisten_port = 6432\nauth_type = scram-sha-256\n"
    "pool_mode = transaction\ndefault_pool_size = 20\nquery_wait_timeout = 120\n"
    "max_client_conn = 5000\nclient_tls_cert_file = /etc/c.crt\n"
    "client_tls_key_file = /etc/c.key\nclient_tls_sslmode = verify-ca\n"
    "client_tls_ca_file = /etc/ca.crt\nserver_tls_sslmode = verify-ca\n"
    "server_tls_ca_file = /etc/s.crt\nserver_reset_query = DISCARD ALL\n"
    "auth_query = SELECT secret_thing\nstrange = yes\n";
static const char users[] =
    "\"ana\" \"SCRAM-SHA-256$4096:c2FsdA==$a:b\"\n"
    "\"old\" \"md50123456789abcdef0123456789abcdef\"\n\"we\"\"ird\" \"plain-secret\"\n";

static void a_realistic_one(void **state)
{
    (void)state;
    static const char *const has[] = {
        "\"address\": \"0.0.0.0:6432\", \"tls\": { \"certificate\": \"/etc/c.crt\", \"key\": "
        "\"file:/etc/c.key\", \"mode\": \"verify-ca\", \"client_ca\": \"/etc/ca.crt\" }",
        "\"tls\": { \"mode\": \"verify-ca\" }, \"ca\": \"/etc/s.crt\"",
        "// pool_size of old: \"pool\" of a rule",
        "\"dev\": { \"endpoint\": \"c1.example.com:5439\"",
        "{ \"loader\": \"env:PASSWORD_LOADER\" }",
        "clients ask for database old, it is called prod",
        "\"old\": { \"endpoint\": \"10.0.0.7:5432\"",
        "\"static\", \"users\": { \"ana\": \"env:PASSWORD_ANA\", \"old\": \"env:PASSWORD_OLD\", ",
        "\"mode\": \"transaction\",\n    \"size\": 20,\n    \"wait_timeout\": \"120s\"\n  },",
        "\"clients\": 5000",
        "\"ana\": { \"auth\": [\"scram-sha-256\"], \"password\": \"SCRAM-SHA-256$4096:",
        "\"old\": { \"auth\": [\"md5\"], \"password\": \"md50123",
        "\"we\\\"ird\"",
        "\"env:PASSWORD_WE_IRD\"",
        "// server_reset_query: not needed",
        "// auth_query: users are",
        "\"db_user\": \"loader\", \"role\": \"imported\"",
        "// strange: has no equal here",
    };
    static const char *const hidden[] = { "s3 cret", "plain-secret", "secret_thing" };
    struct buf out = { 0 };
    pgbouncer_translate(slice_str(ini), slice_str(users), &out);
    buf_add_u8(&out, 0);
    for (size_t i = 0; i < sizeof has / sizeof *has; i++)
        if (!strstr(out.at, has[i])) fail_msg("no %s in\n%s", has[i], out.at);
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (strstr(out.at, hidden[i])) fail_msg("%s in\n%s", hidden[i], out.at);
    buf_fini(&out);
}

/* /etc/pgbouncer/pgbouncer.ini of Debian 12, without its comments. */
static void debians_own(void **state)
{
    (void)state;
    static const char text[] = "[databases]\n[users]\n[pgbouncer]\n"
                               "logfile = /var/log/postgresql/pgbouncer.log\n"
                               "pidfile = /var/run/postgresql/pgbouncer.pid\n"
                               "listen_addr = localhost\nlisten_port = 6432\n"
                               "unix_socket_dir = /var/run/postgresql\nauth_type = md5\n"
                               "auth_file = /etc/pgbouncer/userlist.txt\n";
    static const char *const has[] = { "\"address\": \"127.0.0.1:6432\"",
                                       "// [databases] is empty: write one", "by --userlist" };
    struct buf out = { 0 };
    pgbouncer_translate(slice_str(text), slice_str(""), &out);
    buf_add_u8(&out, 0);
    for (size_t i = 0; i < sizeof has / sizeof *has; i++)
        if (!strstr(out.at, has[i])) fail_msg("no %s in\n%s", has[i], out.at);
    buf_fini(&out);
}

static void nothing_and_nonsense(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "[", "=", "[databases]\nx", "[databases]\nx = host='a", "\"", "\"a\" \""
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf out = { 0 };
        pgbouncer_translate(slice_str(texts[i]), slice_str(texts[i]), &out);
        assert_true(out.len > 0 && !out.failed);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_realistic_one),
        cmocka_unit_test(debians_own),
        cmocka_unit_test(nothing_and_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
