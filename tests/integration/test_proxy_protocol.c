/* The PROXY protocol in front of a login: who is believed, who the client is then, and who may come
 * in as it. The load balancer is 127.0.0.1, its clients are 127.0.0.9 (may come in) and others. */
#include "support/before.h"
#include "support/raw.h"
#include "unit/unit.h"

#include <signal.h>
#include <stdlib.h>

struct world {
    struct kit *kit;
    struct postgres pg;
    struct proxy p;
};

static const char config[] =
    "{ \"listen\": [ { \"address\": \"127.0.0.1:@port@\", \"proxy_protocol\": \"%s\",\n"
    "                  \"proxy_from\": [\"127.0.0.1\"] } ],\n"
    "  \"clusters\": { \"one\": { \"endpoint\": \"127.0.0.1:%d\", \"tls\": { \"mode\": \"disable\" "
    "},\n"
    "      \"credentials\": { \"source\": \"static\", \"users\": { \"postgres\": \"env:NO\" } } } "
    "},\n"
    "  \"users\": { \"postgres\": { \"auth\": [\"trust\"], \"role\": \"owner\" } },\n"
    "  \"roles\": { \"owner\": { \"grants\": [ { \"verbs\": [\"ALL\"], \"on\": [\"*\"] } ] } },\n"
    "  \"access\": [ { \"from\": \"127.0.0.9\" } ],\n"
    "  \"log\": { \"level\": \"debug\" } }";

static bool start(struct world *w, const char *kinds)
{
    char *text;
    if (asprintf(&text, config, kinds, w->pg.port) < 0) abort();
    bool ok = proxy_start(w->kit, &w->p, text);
    free(text);
    return ok;
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    *state = w;
    setenv("NO", "none", 1);
    w->kit = kit_new("proxy-protocol");
    return postgres_start(w->kit, &w->pg, NULL) && start(w, "any") ? 0 : -1;
}

static int world_teardown(void **state)
{
    struct world *w = *state;
    bool ok = proxy_stop(w->kit, &w->p);
    kit_free(w->kit);
    free(w);
    return ok ? 0 : -1;
}

#define SIGNATURE        "\r\n\r\n\0\r\nQUIT\n"
#define SEND(r, literal) raw_send(r, literal, sizeof(literal) - 1)

static const char line_9[] = "PROXY TCP4 127.0.0.9 127.0.0.1 4711 5439\r\n";

/* Turned away before a byte was said: the connection ends, and nothing came. */
static void is_hung_up_on(struct raw *r)
{
    assert_int_equal(raw_byte(r), RAW_END);
    raw_close(r);
}

static void both_versions_name_the_client(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    raw_send(r, line_9, sizeof line_9 - 1);
    assert_true(raw_login(r, "postgres"));
    raw_query(r, "select 1");
    assert_string_equal(raw_answer(r), "T D C ZI");
    raw_close(r);
    r = raw_open(w->p.port, NULL);
    SEND(r, SIGNATURE "\x21\x11\0\x0c\x7f\0\0\x09\x7f\0\0\x01\x12\x67\x15\x3f");
    assert_true(raw_login(r, "postgres"));
    raw_close(r);
    assert_true(proxy_log_has(w->kit, &w->p, "127.0.0.9:4711", 2000));
}

/* An IPv4 client of a load balancer that speaks IPv6. */
static void a_mapped_address_is_ipv4(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    SEND(r, "PROXY TCP6 ::ffff:127.0.0.9 ::1 4712 5439\r\n");
    assert_true(raw_login(r, "postgres"));
    raw_close(r);
}

static void a_header_in_pieces(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    for (size_t i = 0; i + 1 < sizeof line_9; i++) {
        raw_send(r, line_9 + i, 1);
        kit_sleep_ms(2);
    }
    assert_true(raw_login(r, "postgres"));
    raw_close(r);
}

static void access_rules_see_the_real_client(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    SEND(r, "PROXY TCP4 127.0.0.8 127.0.0.1 4713 5439\r\n");
    is_hung_up_on(r);
    assert_true(proxy_log_has(w->kit, &w->p, "client.turned_away", 2000));
    r = raw_open(w->p.port, NULL);
    SEND(r, "PROXY TCP6 2001:db8::1 ::1 1 5439\r\n");
    is_hung_up_on(r);
}

/* The load balancer itself may look, but not come in: no rule lets it. */
static void the_load_balancer_is_no_client(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    SEND(r, SIGNATURE "\x20\0\0\0");
    assert_false(raw_login(r, "postgres"));
    raw_close(r);
    r = raw_open(w->p.port, NULL);
    SEND(r, "PROXY UNKNOWN\r\n");
    assert_false(raw_login(r, "postgres"));
    raw_close(r);
}

static void others_are_not_believed(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, "127.0.0.9");
    raw_send(r, line_9, sizeof line_9 - 1);
    is_hung_up_on(r);
    assert_true(proxy_log_has(w->kit, &w->p, "no load balancer of proxy_from", 2000));
}

static void no_header_is_no_client(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    raw_request(r, RAW_SSL_REQUEST);
    is_hung_up_on(r);
    r = raw_open(w->p.port, NULL);
    SEND(r, "PROXY TCP4 127.0.0.9 127.0.0.1 99999 5439\r\n");
    is_hung_up_on(r);
    assert_true(proxy_log_has(w->kit, &w->p, "no PROXY header", 2000));
}

/* A second header is a client's, and no startup packet. */
static void one_header_only(void **state)
{
    struct world *w = *state;
    struct raw *r = raw_open(w->p.port, NULL);
    raw_send(r, line_9, sizeof line_9 - 1);
    raw_send(r, line_9, sizeof line_9 - 1);
    is_hung_up_on(r);
}

/* Loads the configuration again with `to` in the place of `from`, which is as long; until the log
 * `says` so. */
static void reload(struct world *w, const char *from, const char *to, const char *says)
{
    char *text = kit_read(w->p.config), *at = strstr(text, from);
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    FILE *f = fopen(w->p.config, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    free(text);
    kill(w->p.pid, SIGHUP);
    assert_true(proxy_log_has(w->kit, &w->p, says, 5000));
}

/* The version is a matter of the configuration, also of one that is loaded later. */
static void a_reload_changes_the_version(void **state)
{
    struct world *w = *state;
    reload(w, "\"any\"", "\"v2\" ", "config.reloaded");
    struct raw *r = raw_open(w->p.port, NULL);
    raw_send(r, line_9, sizeof line_9 - 1);
    is_hung_up_on(r);
}

/* A listener cannot be closed by a reload; what is asked of its clients stays known. */
static void a_listener_stays(void **state)
{
    struct world *w = *state;
    reload(w, "127.0.0.1:", "127.0.0.7:", "restart to stop listening there");
    struct raw *r = raw_open(w->p.port, NULL);
    SEND(r, SIGNATURE "\x21\x11\0\x0c\x7f\0\0\x09\x7f\0\0\x01\x12\x67\x15\x3f");
    assert_true(raw_login(r, "postgres"));
    raw_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_name_the_client),
        cmocka_unit_test(a_mapped_address_is_ipv4),
        cmocka_unit_test(a_header_in_pieces),
        cmocka_unit_test(access_rules_see_the_real_client),
        cmocka_unit_test(the_load_balancer_is_no_client),
        cmocka_unit_test(others_are_not_believed),
        cmocka_unit_test(no_header_is_no_client),
        cmocka_unit_test(one_header_only),
        cmocka_unit_test(a_reload_changes_the_version),
        cmocka_unit_test(a_listener_stays),
    };
    return cmocka_run_group_tests(tests, world_setup, world_teardown);
}
