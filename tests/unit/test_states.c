/* The state tables: every state can be reached, and every state can reach the end. */
#include "unit/unit.h"

#include "proxy/client.h"
#include "proxy/server.h"
#include "proxy/states.h"

static int number(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) return i;
    fail_msg("no state %s", name);
    return -1;
}

/* Marks what can be reached from (or, backwards, what can reach) what is marked already. */
static void spread(const struct state_row *rows, size_t n_rows, const char *const *names, int count,
                   bool *marked, bool backwards)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t i = 0; i < n_rows; i++) {
            int from = number(names, count, rows[i].state), to = number(names, count, rows[i].next);
            if (backwards ? marked[to] && !marked[from] : marked[from] && !marked[to]) {
                marked[backwards ? from : to] = true;
                again = true;
            }
        }
    }
}

static void walk(const struct state_row *rows, size_t n_rows, const char *const *names, int count,
                 int first, int last)
{
    bool reached[32] = { false }, ends[32] = { false };
    assert_in_range(count, 1, 32);
    reached[first] = ends[last] = true;
    spread(rows, n_rows, names, count, reached, false);
    spread(rows, n_rows, names, count, ends, true);
    for (int i = 0; i < count; i++) {
        if (!reached[i]) fail_msg("state %s is never reached", names[i]);
        if (!ends[i]) fail_msg("state %s never ends", names[i]);
    }
    for (size_t i = 0; i < n_rows; i++)
        for (size_t j = i + 1; j < n_rows; j++)
            if (!strcmp(rows[i].state, rows[j].state) && !strcmp(rows[i].event, rows[j].event))
                fail_msg("%s on %s stands twice", rows[i].state, rows[i].event);
}

#define NAME(name) #name,

static void clients_begin_and_end(void **state)
{
    (void)state;
    static const char *const names[] = { CLIENT_STATE_LIST(NAME) };
    walk(client_rows, n_client_rows, names, CLIENT_STATES, CLIENT_FRONTED, CLIENT_CLOSED);
}

static void servers_begin_and_end(void **state)
{
    (void)state;
    static const char *const names[] = { SERVER_STATE_LIST(NAME) };
    walk(server_rows, n_server_rows, names, SERVER_STATES, SERVER_NEW, SERVER_CLOSED);
}

/* From every state somebody can be refused or lost, and a server can fail. */
static void nobody_is_trapped(void **state)
{
    (void)state;
    static const char *const clients[] = { CLIENT_STATE_LIST(NAME) };
    for (int s = 0; s < CLIENT_CLOSED; s++) {
        int ways = 0;
        for (size_t i = 0; i < n_client_rows; i++)
            ways +=
                !strcmp(client_rows[i].state, clients[s]) &&
                (!strcmp(client_rows[i].event, "GONE") || !strcmp(client_rows[i].event, "REFUSED"));
        assert_int_equal(ways, 2);
    }
    static const char *const servers[] = { SERVER_STATE_LIST(NAME) };
    for (int s = 0; s < SERVER_CLOSED; s++) {
        int ways = 0;
        for (size_t i = 0; i < n_server_rows; i++)
            ways += !strcmp(server_rows[i].state, servers[s]) &&
                    !strcmp(server_rows[i].event, "FAILED");
        assert_int_equal(ways, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_begin_and_end),
        cmocka_unit_test(servers_begin_and_end),
        cmocka_unit_test(nobody_is_trapped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
