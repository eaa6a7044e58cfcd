/* http_sessions: tokens are good for one user, for a while, and only while he proves himself alike.
 */
#include "proxy/http_sessions.h"
#include "unit/unit.h"

static struct http_sessions sessions;
static uint64_t serial;

static struct users *users_with(const char *password, bool eve)
{
    static const struct map_seed seed = { 1, 2 };
    static uint8_t key[USERS_KEY_BYTES] = { 7 };
    struct users *users = users_new(seed, slice_of(key, sizeof key), NULL);
    struct slice text = slice_str(password);
    struct user_setup setup = { .name = slice_str("ops"),
                                .methods = AUTH_BIT(AUTH_SCRAM),
                                .console = CONSOLE_OPERATOR,
                                .passwords = &text,
                                .password_count = 1 };
    struct err err;
    assert_true(users_add(users, &setup, &err));
    setup.name = slice_str("eve");
    if (eve) assert_true(users_add(users, &setup, &err));
    assert_true(users_seal(users));
    return users;
}

static void open_one(const struct users *users, const char *name, uint64_t now_ms,
                     char token[HTTP_TOKEN_TEXT_BYTES])
{
    uint8_t random[HTTP_TOKEN_RANDOM_BYTES] = { 0 };
    serial++;
    memcpy(random, &serial, sizeof serial);
    assert_true(
        http_sessions_open(&sessions, users_find(users, slice_str(name)), now_ms, random, token));
}

static const struct user *find(const struct users *users, const char *token, uint64_t now_ms)
{
    return http_sessions_find(&sessions, slice_str(token), users, now_ms);
}

static int fresh(void **state)
{
    (void)state;
    memset(&sessions, 0, sizeof sessions);
    return 0;
}

static void a_token_finds_its_user(void **state)
{
    (void)state;
    struct users *users = users_with("secret", true);
    char ops[HTTP_TOKEN_TEXT_BYTES], eve[HTTP_TOKEN_TEXT_BYTES];
    open_one(users, "ops", 1000, ops);
    open_one(users, "eve", 1000, eve);
    assert_true(slice_is(find(users, ops, 2000)->name, "ops"));
    assert_true(slice_is(find(users, eve, 2000)->name, "eve"));
    assert_null(find(users, "", 2000));
    ops[0] = ops[0] == '0' ? '1' : '0';
    assert_null(find(users, ops, 2000));
    assert_null(memmem(&sessions, sizeof sessions, eve, 32)); /* only its hash is kept */
    http_sessions_close(&sessions, slice_str(eve));
    assert_null(find(users, eve, 2000));
    users_unref(users);
}

static void idleness_and_age_end_it(void **state)
{
    (void)state;
    struct users *users = users_with("secret", false);
    char token[HTTP_TOKEN_TEXT_BYTES];
    open_one(users, "ops", 0, token);
    uint64_t now = 0;
    while (now + HTTP_SESSION_IDLE_MS - 1 < HTTP_SESSION_LIFE_MS)
        assert_non_null(find(users, token, now += HTTP_SESSION_IDLE_MS - 1));
    assert_null(find(users, token, HTTP_SESSION_LIFE_MS));
    assert_null(find(users, token, now)); /* and it stays over */
    open_one(users, "ops", 0, token);
    assert_null(find(users, token, HTTP_SESSION_IDLE_MS));
    users_unref(users);
}

/* Another table of users, as after a reload. */
static void another_password_or_no_user_ends_it(void **state)
{
    (void)state;
    struct users *users = users_with("secret", true), *same = users_with("secret", true),
                 *other = users_with("changed", true), *without = users_with("secret", false);
    char token[HTTP_TOKEN_TEXT_BYTES];
    open_one(users, "ops", 0, token);
    assert_non_null(find(same, token, 1));
    assert_null(find(other, token, 2));
    open_one(users, "eve", 0, token);
    assert_null(find(without, token, 1));
    users_unref(users);
    users_unref(same);
    users_unref(other);
    users_unref(without);
}

static void their_number_is_bounded(void **state)
{
    (void)state;
    struct users *users = users_with("secret", true);
    char first[HTTP_TOKEN_TEXT_BYTES], second[HTTP_TOKEN_TEXT_BYTES], token[HTTP_TOKEN_TEXT_BYTES];
    open_one(users, "eve", 0, first);
    open_one(users, "ops", 1, second);
    for (int i = 0; i < 500; i++) open_one(users, "ops", 10 + (uint64_t)i, token);
    size_t used = 0;
    for (size_t i = 0; i < HTTP_SESSIONS_MAX; i++) used += sessions.all[i].user[0] != '\0';
    assert_int_equal(used, HTTP_SESSIONS_OF_USER_MAX + 1);
    assert_null(find(users, second, 600));    /* his own oldest made room */
    assert_non_null(find(users, first, 600)); /* not somebody else's */
    assert_non_null(find(users, token, 600));
    users_unref(users);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_token_finds_its_user, fresh),
        cmocka_unit_test_setup(idleness_and_age_end_it, fresh),
        cmocka_unit_test_setup(another_password_or_no_user_ends_it, fresh),
        cmocka_unit_test_setup(their_number_is_bounded, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
