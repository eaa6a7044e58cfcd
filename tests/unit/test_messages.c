/* wire, frontend, backend: messages read and written. What is read is in memory of exactly its
 * size, so that a byte too far is seen by ASan. */
#include "unit/unit.h"

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/wire.h"

#include <stdlib.h>

static __attribute__((noinline)) char *exactly(const void *bytes, size_t len, struct slice *body)
{
    char *copy = malloc(len ? len : 1);
    memcpy(copy, bytes, len);
    *body = slice_of(copy, len);
    return copy;
}

/* ---- wire ----------------------------------------------------------------------------------- */

static void fields_in_order(void **state)
{
    (void)state;
    struct slice body;
    char *at = exactly("\1\2\3\xff\xfe\xfd\xfcname\0rest", 16, &body);
    struct wire w = wire_of(body);
    assert_int_equal(wire_u8(&w), 1);
    assert_int_equal(wire_u16(&w), 0x0203);
    assert_int_equal(wire_u32(&w), 0xfffefdfc);
    assert_true(slice_is(wire_string(&w), "name"));
    assert_false(wire_is_done(&w));
    assert_int_equal(wire_left(&w), 4);
    assert_true(slice_is(wire_bytes(&w, 4), "rest"));
    assert_true(wire_is_done(&w));
    free(at);
}

/* CVE-2026-6664: a length that lies is compared with what is left, and never added to anything. */
static void cve_2026_6664_lengths_beyond_the_end(void **state)
{
    (void)state;
    static const size_t lies[] = { 5,          0x7fffffff, 0x80000000,  0xfffffff0,
                                   0xffffffff, SIZE_MAX,   SIZE_MAX - 3 };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct slice body;
        char *at = exactly("abcd", 4, &body);
        struct wire w = wire_of(body);
        assert_int_equal(wire_bytes(&w, lies[i]).len, 0);
        assert_true(w.bad);
        /* And nothing more is read after it. */
        assert_int_equal(wire_u8(&w), 0);
        assert_int_equal(wire_u16(&w), 0);
        assert_int_equal(wire_u32(&w), 0);
        assert_int_equal(wire_string(&w).len, 0);
        assert_int_equal(wire_bytes(&w, 0).len, 0);
        assert_false(wire_is_done(&w));
        free(at);
    }
}

static void fields_that_do_not_fit(void **state)
{
    (void)state;
    for (size_t len = 0; len < 4; len++) {
        struct slice body;
        char *at = exactly("\1\1\1", len, &body);
        struct wire w = wire_of(body);
        assert_int_equal(wire_u32(&w), 0);
        assert_true(w.bad);
        w = wire_of(body);
        assert_int_equal(wire_string(&w).len, 0);
        assert_true(w.bad);
        w = wire_of(body);
        wire_u16(&w);
        assert_int_equal(w.bad, len < 2);
        w = wire_of(body);
        wire_u8(&w);
        assert_int_equal(w.bad, len < 1);
        free(at);
    }
    struct wire nothing = wire_of((struct slice){ NULL, 0 });
    assert_true(wire_is_done(&nothing));
}

/* ---- what clients say ----------------------------------------------------------------------- */

static bool reads_query(const char *bytes, size_t len)
{
    struct slice body, text;
    char *at = exactly(bytes, len, &body);
    bool ok = frontend_read_query(body, &text);
    if (ok) assert_int_equal(text.len, len - 1);
    free(at);
    return ok;
}

/* CVE-2021-40346 of HAProxy: two readers must not see two messages. */
static void cve_2021_40346_a_query_is_one_string(void **state)
{
    (void)state;
    assert_true(reads_query("", 1));
    assert_true(reads_query("select 1", 9));
    assert_false(reads_query("", 0));
    assert_false(reads_query("select 1", 8));
    assert_false(reads_query("select 1\0; drop table t", 24));
    assert_false(reads_query("select 1\0", 10));
}

static bool reads_parse(const char *bytes, size_t len)
{
    struct slice body;
    struct frontend_parse parse;
    char *at = exactly(bytes, len, &body);
    bool ok = frontend_read_parse(body, &parse);
    if (ok) assert_int_equal(parse.name.len + 1 + parse.text.len + 1 + parse.types.len, len);
    free(at);
    return ok;
}

static void cve_2021_40346_parse_fills_its_message(void **state)
{
    (void)state;
    assert_true(reads_parse("s\0select 1\0\0\0", 13));
    assert_true(reads_parse("\0\0\0\0", 4));
    assert_true(reads_parse("\0x\0\0\2\0\0\0\7\0\0\0\x17", 13));
    assert_false(reads_parse("\0x\0\0\2\0\0\0\7\0\0\0", 12));     /* a type is missing */
    assert_false(reads_parse("\0x\0\0\1\0\0\0\7\0\0\0\x17", 13)); /* or one too many */
    assert_false(reads_parse("\0x\0\xff\xff\0\0\0\7", 9));        /* 65,535 of them */
    assert_false(reads_parse("\0x\0\0", 4));
    assert_false(reads_parse("\0x\0", 3));
    assert_false(reads_parse("\0x", 2));
    assert_false(reads_parse("s", 1));
    assert_false(reads_parse("", 0));
}

static void bind_needs_its_names_only(void **state)
{
    (void)state;
    struct slice body;
    struct frontend_bind bind;
    char *at = exactly("p\0st\0\0\0data", 11, &body);
    assert_true(frontend_read_bind(body, &bind));
    assert_true(slice_is(bind.portal, "p") && slice_is(bind.statement, "st"));
    assert_int_equal(bind.rest, 5);
    for (size_t len = 0; len < 5; len++) {
        struct slice head;
        char *short_at = exactly(at, len, &head);
        assert_false(frontend_read_bind(head, &bind));
        free(short_at);
    }
    free(at);
}

static bool reads_target(const char *bytes, size_t len)
{
    struct slice body, name;
    uint8_t target;
    char *at = exactly(bytes, len, &body);
    bool ok = frontend_read_target(body, &target, &name);
    free(at);
    return ok;
}

static void targets(void **state)
{
    (void)state;
    assert_true(reads_target("S", 2));
    assert_true(reads_target("Pname", 6));
    assert_false(reads_target("Xname", 6));
    assert_false(reads_target("Sname", 5));
    assert_false(reads_target("Sname\0x", 8));
    assert_false(reads_target("S", 1));
    assert_false(reads_target("", 0));
    assert_false(reads_target("\0\0", 2));
}

static bool reads_execute(const char *bytes, size_t len)
{
    struct slice body, portal;
    char *at = exactly(bytes, len, &body);
    bool ok = frontend_read_execute(body, &portal);
    free(at);
    return ok;
}

static void executes(void **state)
{
    (void)state;
    assert_true(reads_execute("\0\0\0\0\0", 5));
    assert_true(reads_execute("p\0\0\0\0\5", 6));
    assert_false(reads_execute("p\0\0\0\0", 5));
    assert_false(reads_execute("p\0\0\0\0\0\0", 7));
    assert_false(reads_execute("ppppp", 5));
}

/* What we write is cut by our own frame as one message of the kind. */
static struct slice only_message(struct buf *b, const struct message_spec *specs, char type)
{
    struct frame f;
    struct piece p;
    struct slice in = buf_slice(b);
    frame_init(&f, specs);
    assert_false(b->failed);
    assert_int_equal(frame_next(&f, &in, &p), FRAME_PIECE);
    assert_true(p.first && p.last && in.len == 0);
    assert_int_equal(p.type, type);
    return piece_body(&p);
}

static void what_we_say_to_servers(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct slice text, name;
    struct frontend_parse parse;
    uint8_t target;
    frontend_query(&b, slice_str("select 1"));
    assert_true(frontend_read_query(only_message(&b, frontend_specs, 'Q'), &text));
    assert_true(slice_is(text, "select 1"));
    buf_fini(&b);
    frontend_parse(&b, slice_str("n"), slice_str("select $1"), slice_of("\0\1\0\0\0\x17", 6));
    assert_true(frontend_read_parse(only_message(&b, frontend_specs, 'P'), &parse));
    assert_true(slice_is(parse.name, "n") && slice_is(parse.text, "select $1"));
    assert_int_equal(parse.types.len, 6);
    buf_fini(&b);
    frontend_close(&b, 'S', slice_str("n"));
    assert_true(frontend_read_target(only_message(&b, frontend_specs, 'C'), &target, &name));
    assert_true(target == 'S' && slice_is(name, "n"));
    buf_fini(&b);
    frontend_sync(&b);
    assert_int_equal(only_message(&b, frontend_specs, 'S').len, 0);
    buf_fini(&b);
    frontend_terminate(&b);
    assert_int_equal(only_message(&b, frontend_specs, 'X').len, 0);
    buf_fini(&b);
}

/* ---- what servers say ----------------------------------------------------------------------- */

static struct slice field_of(const char *bytes, size_t len, char wanted, char **at)
{
    struct slice body;
    *at = exactly(bytes, len, &body);
    return backend_field(body, wanted);
}

/* CVE-2026-6666: an error need not have a code, nor any field, nor an end. */
static void cve_2026_6666_fields_that_are_not_there(void **state)
{
    (void)state;
    char *at;
    assert_null(field_of("SERR\0", 6, 'C', &at).at);
    free(at);
    assert_null(field_of("", 1, 'C', &at).at); /* no fields */
    free(at);
    assert_null(field_of("", 0, 'C', &at).at); /* not even an end */
    free(at);
    assert_null(field_of("C4250", 5, 'C', &at).at); /* no NUL */
    free(at);
    assert_null(field_of("SERROR\0C", 8, 'C', &at).at);
    free(at);
    assert_true(slice_is(field_of("SERROR\0C42501\0", 15, 'C', &at), "42501"));
    free(at);
    assert_true(slice_is(field_of("\x80what\0\xffx\0C42501\0\0", 18, 'C', &at), "42501"));
    free(at);
    assert_true(slice_is(field_of("\xffx\0", 4, '\xff', &at), "x"));
    free(at);
    /* An empty value is one; what stands behind the end is not. */
    struct slice empty = field_of("C\0\0", 3, 'C', &at);
    assert_true(empty.at && empty.len == 0);
    free(at);
    assert_null(field_of("SERROR\0\0C42501\0\0", 16, 'C', &at).at);
    free(at);
    assert_null(field_of("\0", 1, '\0', &at).at);
    free(at);
}

static void five_thousand_fields(void **state)
{
    (void)state;
    struct buf b = { 0 };
    for (int i = 0; i < 5000; i++) buf_add(&b, "Xx", 3);
    buf_add(&b, "C57014", 7);
    buf_add_u8(&b, 0);
    assert_true(slice_is(backend_field(buf_slice(&b), 'C'), "57014"));
    buf_fini(&b);
}

static bool reads_parameter(const char *bytes, size_t len)
{
    struct slice body, name, value;
    char *at = exactly(bytes, len, &body);
    bool ok = backend_read_parameter(body, &name, &value);
    free(at);
    return ok;
}

static void parameters(void **state)
{
    (void)state;
    assert_true(reads_parameter("DateStyle\0ISO", 14));
    assert_true(reads_parameter("x\0", 3));
    assert_false(reads_parameter("\0x", 3));
    assert_false(reads_parameter("x\0y", 3));
    assert_false(reads_parameter("x\0y\0z", 6));
    assert_false(reads_parameter("x", 2));
    assert_false(reads_parameter("", 0));
}

static void key_data(void **state)
{
    (void)state;
    struct buf b = { 0 };
    char key[256];
    memset(key, 'k', sizeof key);
    for (size_t len = 4; len <= sizeof key; len += 63) {
        uint32_t pid;
        struct slice read;
        backend_key_data(&b, 4711, slice_of(key, len));
        assert_true(backend_read_key_data(only_message(&b, backend_specs, 'K'), &pid, &read));
        assert_true(pid == 4711 && slice_eq(read, slice_of(key, len)));
        buf_fini(&b);
    }
    uint32_t pid;
    struct slice read;
    assert_false(backend_read_key_data(slice_of("1234567", 7), &pid, &read));
    assert_false(backend_read_key_data(slice_of("123", 3), &pid, &read));
}

static void errors_and_notices(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct err e;
    err_set(&e, ERR_PROTOCOL, "what %s", "happened");
    err_detail(&e, "where");
    err_hint(&e, "what to do");
    e.position = 17;
    backend_error(&b, &e);
    struct slice body = only_message(&b, backend_specs, 'E');
    assert_true(slice_is(backend_field(body, 'S'), "FATAL"));
    assert_true(slice_is(backend_field(body, 'V'), "FATAL"));
    assert_true(slice_is(backend_field(body, 'C'), "08P01"));
    assert_true(slice_is(backend_field(body, 'M'), "what happened"));
    assert_true(slice_is(backend_field(body, 'D'), "where"));
    assert_true(slice_is(backend_field(body, 'H'), "what to do"));
    assert_true(slice_is(backend_field(body, 'P'), "17"));
    buf_fini(&b);
    /* The longest error that there can be. */
    memset(e.message, 'm', sizeof e.message - 1);
    memset(e.detail, 'd', sizeof e.detail - 1);
    memset(e.hint, 'h', sizeof e.hint - 1);
    e.message[sizeof e.message - 1] = e.detail[sizeof e.detail - 1] = e.hint[sizeof e.hint - 1] = 0;
    e.position = UINT32_MAX;
    backend_error(&b, &e);
    assert_true(b.len < 1024);
    buf_fini(&b);
    err_set(&e, ERR_OUT_OF_MEMORY, "");
    backend_error(&b, &e);
    body = only_message(&b, backend_specs, 'E');
    assert_true(backend_field(body, 'M').len > 0);
    assert_null(backend_field(body, 'D').at);
    assert_null(backend_field(body, 'P').at);
    buf_fini(&b);
    backend_notice(&b, "01000", "beware");
    body = only_message(&b, backend_specs, 'N');
    assert_true(slice_is(backend_field(body, 'M'), "beware"));
    buf_fini(&b);
}

static void what_we_say_to_clients(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct slice name, value;
    backend_auth_ok(&b);
    assert_int_equal(wire_be32(only_message(&b, backend_specs, 'R').at), 0);
    buf_fini(&b);
    backend_ready(&b, 'T');
    assert_int_equal(only_message(&b, backend_specs, 'Z').at[0], 'T');
    buf_fini(&b);
    backend_parameter_status(&b, slice_str("a"), slice_str("b"));
    assert_true(backend_read_parameter(only_message(&b, backend_specs, 'S'), &name, &value));
    assert_true(slice_is(name, "a") && slice_is(value, "b"));
    buf_fini(&b);
    backend_command_complete(&b, "SELECT");
    assert_string_equal(only_message(&b, backend_specs, 'C').at, "SELECT");
    buf_fini(&b);
    backend_parse_complete(&b);
    only_message(&b, backend_specs, '1');
    buf_fini(&b);
    backend_close_complete(&b);
    only_message(&b, backend_specs, '3');
    buf_fini(&b);
    backend_empty_query(&b);
    only_message(&b, backend_specs, 'I');
    buf_fini(&b);
}

static void negotiate_lists_the_options(void **state)
{
    (void)state;
    struct buf b = { 0 };
    const struct slice options[] = { slice_str("_pq_.a"), slice_str("_pq_.b") };
    backend_negotiate(&b, 2, options, 2);
    struct wire w = wire_of(only_message(&b, backend_specs, 'v'));
    assert_int_equal(wire_u32(&w), 2);
    assert_int_equal(wire_u32(&w), 2);
    assert_true(slice_is(wire_string(&w), "_pq_.a"));
    assert_true(slice_is(wire_string(&w), "_pq_.b"));
    assert_true(wire_is_done(&w));
    buf_fini(&b);
}

static void rows_of_the_console(void **state)
{
    (void)state;
    struct buf b = { 0 };
    uint32_t begun;
    static const struct backend_column columns[] = { { "name", 25, 0xffff, false },
                                                     { "n", 20, 8, true } };
    backend_row_description(&b, columns, 2);
    struct wire w = wire_of(only_message(&b, backend_specs, 'T'));
    assert_int_equal(wire_u16(&w), 2);
    assert_true(slice_is(wire_string(&w), "name"));
    wire_bytes(&w, 18);
    assert_true(slice_is(wire_string(&w), "n"));
    wire_bytes(&w, 18);
    assert_true(wire_is_done(&w));
    buf_fini(&b);
    backend_row_begin(&b, 3, &begun);
    backend_row_text(&b, slice_str("x"));
    backend_row_text(&b, (struct slice){ NULL, 0 });
    backend_row_text(&b, slice_of("", 0));
    backend_row_end(&b, begun);
    struct slice row = only_message(&b, backend_specs, 'D');
    assert_int_equal(row.len, 2 + 4 + 1 + 4 + 4);
    assert_memory_equal(row.at, "\0\3\0\0\0\1x\xff\xff\xff\xff\0\0\0\0", row.len);
    buf_fini(&b);
}

/* Out of memory, in the middle of a message: the buf says so, and nothing is written beyond it. */
static void writers_survive_a_failed_buf(void **state)
{
    (void)state;
    struct buf b = { .failed = true };
    struct err e;
    err_set(&e, ERR_OUT_OF_MEMORY, "");
    backend_error(&b, &e);
    backend_ready(&b, 'I');
    backend_row_description(&b, &(struct backend_column){ .name = "x" }, 1);
    frontend_query(&b, slice_str("x"));
    uint32_t begun = frontend_startup_begin(&b, 3, 0);
    frontend_startup_add(&b, slice_str("user"), slice_str("x"));
    frontend_startup_end(&b, begun);
    assert_true(b.failed && b.len == 0 && !b.at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_in_order),
        cmocka_unit_test(cve_2026_6664_lengths_beyond_the_end),
        cmocka_unit_test(fields_that_do_not_fit),
        cmocka_unit_test(cve_2021_40346_a_query_is_one_string),
        cmocka_unit_test(cve_2021_40346_parse_fills_its_message),
        cmocka_unit_test(bind_needs_its_names_only),
        cmocka_unit_test(targets),
        cmocka_unit_test(executes),
        cmocka_unit_test(what_we_say_to_servers),
        cmocka_unit_test(cve_2026_6666_fields_that_are_not_there),
        cmocka_unit_test(five_thousand_fields),
        cmocka_unit_test(parameters),
        cmocka_unit_test(key_data),
        cmocka_unit_test(errors_and_notices),
        cmocka_unit_test(what_we_say_to_clients),
        cmocka_unit_test(negotiate_lists_the_options),
        cmocka_unit_test(rows_of_the_console),
        cmocka_unit_test(writers_survive_a_failed_buf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
