/* frame: the same pieces however the bytes are cut, and nothing believed that a length says. */
#include "unit/unit.h"

#include "protocol/buf.h"
#include "protocol/frame.h"

#include <stdio.h>
#include <stdlib.h>

static void add_message(struct buf *b, char type, const void *body, size_t len)
{
    buf_add_u8(b, (uint8_t)type);
    buf_add_u32(b, (uint32_t)(len + 4));
    buf_add(b, body, len);
}

static void add_filled(struct buf *b, char type, size_t len)
{
    buf_add_u8(b, (uint8_t)type);
    buf_add_u32(b, (uint32_t)(len + 4));
    memset(buf_extend(b, len), 'x', len);
}

/* What is left of pieces when it does not matter where they were cut: for each message its type,
 * its size and its bytes. */
struct receiver {
    struct frame frame;
    struct buf held;
    struct buf got;
    uint32_t size, come; /* of the message under way */
    enum frame_result end;
};

static void receive(struct receiver *r, const struct piece *p)
{
    if (p->first) {
        assert_true(frame_is_at_start(&r->frame) == p->last);
        buf_add_u8(&r->got, p->type);
        buf_add_u32(&r->got, p->size);
        r->size = p->size;
        r->come = 0;
    }
    r->come += (uint32_t)p->bytes.len;
    assert_true(r->come <= r->size);
    assert_int_equal(p->last, r->come == r->size);
    buf_add_slice(&r->got, p->bytes);
}

/* Offers bytes as a socket would: what was left the last time comes first. */
static void feed(struct receiver *r, const char *at, size_t len)
{
    struct piece p;
    if (r->end == FRAME_BAD_TYPE || r->end == FRAME_BAD_LENGTH) return;
    buf_add(&r->held, at, len);
    struct slice in = buf_slice(&r->held);
    while ((r->end = frame_next(&r->frame, &in, &p)) == FRAME_PIECE) receive(r, &p);
    buf_drop(&r->held, r->held.len - in.len);
}

static void receiver_fini(struct receiver *r)
{
    buf_fini(&r->held);
    buf_fini(&r->got);
}

static void check_cut(const struct message_spec *specs, struct slice all, size_t at, size_t step,
                      const struct receiver *whole)
{
    struct receiver r = { .end = FRAME_MORE };
    frame_init(&r.frame, specs);
    feed(&r, all.at, at);
    for (; at < all.len; at += step)
        feed(&r, all.at + at, step < all.len - at ? step : all.len - at);
    assert_int_equal(r.end, whole->end);
    assert_true(slice_eq(buf_slice(&r.got), buf_slice(&whole->got)));
    if (r.end == FRAME_MORE) assert_true(slice_eq(buf_slice(&r.held), buf_slice(&whole->held)));
    receiver_fini(&r);
}

static void check_every_cut(const struct message_spec *specs, struct slice all)
{
    struct receiver whole = { .end = FRAME_MORE };
    frame_init(&whole.frame, specs);
    feed(&whole, all.at, all.len);
    for (size_t at = 0; at <= all.len; at++) check_cut(specs, all, at, all.len, &whole);
    for (size_t step = 1; step < 12; step++) check_cut(specs, all, 0, step, &whole);
    receiver_fini(&whole);
}

static void every_cut_gives_the_same_messages(void **state)
{
    (void)state;
    struct buf b = { 0 };
    add_message(&b, 'Q', "select 1", 9);
    add_message(&b, 'P', "s\0select $1\0\0\0", 15);
    add_message(&b, 'B',
                "\0s\0\0\0\0\1\0\0\0\1"
                "7\0\0",
                14);
    add_message(&b, 'D', "P", 2);
    add_message(&b, 'E', "\0\0\0\0", 5);
    add_message(&b, 'd', "", 0);
    add_filled(&b, 'd', 300);
    add_message(&b, 'c', "", 0);
    add_message(&b, 'S', "", 0);
    uint32_t whole = b.len;
    buf_add(&b, "Q\0", 2); /* the start of one more */
    check_every_cut(frontend_specs, buf_slice(&b));
    buf_truncate(&b, whole);
    /* With a lie at the end. */
    add_message(&b, 'S', "x", 1);
    check_every_cut(frontend_specs, buf_slice(&b));
    buf_fini(&b);
    add_message(&b, 'T', "\0\0", 2);
    add_filled(&b, 'D', 500);
    add_message(&b, 'C', "SELECT 1", 9);
    add_message(&b, 'Z', "I", 1);
    add_message(&b, '?', "", 0);
    check_every_cut(backend_specs, buf_slice(&b));
    buf_fini(&b);
}

/* Longer than what is wanted of them: the head first, then the rest as it comes. */
static void every_cut_of_a_message_that_flows(void **state)
{
    (void)state;
    struct buf b = { 0 };
    add_filled(&b, 'Q', MESSAGE_HEAD + 40);
    add_message(&b, 'S', "", 0);
    check_every_cut(frontend_specs, buf_slice(&b));
    buf_fini(&b);
}

static enum frame_result first_of(const struct message_spec *specs, uint8_t type, uint32_t length)
{
    struct frame f;
    struct piece p;
    char bytes[300] = { (char)type, (char)(length >> 24), (char)(length >> 16), (char)(length >> 8),
                        (char)length };
    struct slice in = slice_of(bytes, sizeof bytes);
    frame_init(&f, specs);
    enum frame_result result = frame_next(&f, &in, &p);
    if (result == FRAME_PIECE)
        assert_true(p.bytes.len <= sizeof bytes && p.size == length + 1);
    else
        assert_int_equal(in.len, sizeof bytes);
    return result;
}

/* Each type, each direction, with every length that a liar would try: pgdog@bc4ce973, pg_doorman
 * 3.0.5, CVE-2018-14645 of HAProxy, CVE-2024-27304 of pgx. */
static void lying_lengths(void **state)
{
    (void)state;
    static const uint32_t lies[] = { 0,          1,          2,          3,
                                     0x40000004, 0x7fffffff, 0x80000000, 0xfffffffb,
                                     0xfffffffc, 0xfffffffe, 0xffffffff };
    const struct message_spec *both[] = { frontend_specs, backend_specs };
    for (size_t d = 0; d < 2; d++)
        for (int type = 0; type < 256; type++) {
            const struct message_spec *spec = &both[d][type];
            if (!spec->name) {
                assert_int_equal(first_of(both[d], (uint8_t)type, 4), FRAME_BAD_TYPE);
                assert_int_equal(first_of(both[d], (uint8_t)type, 0xffffffff), FRAME_BAD_TYPE);
                continue;
            }
            for (size_t i = 0; i < sizeof lies / sizeof *lies; i++)
                assert_int_equal(first_of(both[d], (uint8_t)type, lies[i]), FRAME_BAD_LENGTH);
            /* The bounds of the table's row, and one beyond. */
            if (spec->min)
                assert_int_equal(first_of(both[d], (uint8_t)type, spec->min + 3), FRAME_BAD_LENGTH);
            assert_int_not_equal(first_of(both[d], (uint8_t)type, spec->min + 4), FRAME_BAD_LENGTH);
            assert_int_not_equal(first_of(both[d], (uint8_t)type, spec->max + 4), FRAME_BAD_LENGTH);
            assert_int_equal(first_of(both[d], (uint8_t)type, spec->max + 5), FRAME_BAD_LENGTH);
        }
}

static void an_unknown_type_is_told_by_its_byte_alone(void **state)
{
    (void)state;
    struct frame f;
    struct piece p;
    struct slice in = slice_of("\x16", 1);
    frame_init(&f, frontend_specs);
    assert_int_equal(frame_next(&f, &in, &p), FRAME_BAD_TYPE);
    in = slice_of("", 0);
    assert_int_equal(frame_next(&f, &in, &p), FRAME_MORE);
    in = (struct slice){ NULL, 0 };
    assert_int_equal(frame_next(&f, &in, &p), FRAME_MORE);
}

/* How many bytes of a message of `size` must be there before it is handed out. */
static uint32_t needed(const struct frame *like, char type, uint32_t size)
{
    struct buf b = { 0 };
    add_filled(&b, type, size - MESSAGE_HEADER);
    uint32_t n = 0, wants = frame_wants(like, buf_slice(&b));
    for (;; n++) {
        struct frame f = *like;
        struct piece p;
        struct slice in = slice_of(b.at, n);
        enum frame_result result = frame_next(&f, &in, &p);
        if (result == FRAME_PIECE) break;
        assert_int_equal(result, FRAME_MORE);
        assert_int_equal(frame_wants(&f, slice_of(b.at, n)), n < MESSAGE_HEADER ? 5 : wants);
    }
    if (n > MESSAGE_HEADER) assert_int_equal(n, wants);
    buf_fini(&b);
    return n;
}

static void what_each_message_wants(void **state)
{
    (void)state;
    struct frame f;
    frame_init(&f, frontend_specs);
    assert_int_equal(needed(&f, 'Q', 1000), 1000);
    assert_int_equal(needed(&f, 'Q', MESSAGE_HEAD), MESSAGE_HEAD);
    assert_int_equal(needed(&f, 'Q', MESSAGE_HEAD + 1000), MESSAGE_HEAD);
    assert_int_equal(needed(&f, 'P', MESSAGE_HEAD + 1000), MESSAGE_HEAD);
    assert_int_equal(needed(&f, 'C', 5000), 5000);
    assert_int_equal(needed(&f, 'd', 5000), MESSAGE_HEADER);
    f.want_query = MESSAGE_HEAD + 500;
    assert_int_equal(needed(&f, 'Q', MESSAGE_HEAD + 1000), MESSAGE_HEAD + 500);
    assert_int_equal(needed(&f, 'P', MESSAGE_HEAD + 1000), MESSAGE_HEAD);
    f.want_query = UINT32_MAX;
    f.want_parse = 100;
    assert_int_equal(needed(&f, 'Q', MESSAGE_HEAD + 1000), MESSAGE_HEAD + 1000);
    assert_int_equal(needed(&f, 'P', MESSAGE_HEAD + 1000), 100);
    frame_init(&f, backend_specs);
    assert_int_equal(needed(&f, 'D', 5000), MESSAGE_HEADER);
    assert_int_equal(needed(&f, 'S', 5000), 5000);
}

/* A message of the greatest length, a mebibyte at a time. */
static void a_gigabyte_row_is_never_held(void **state)
{
    (void)state;
    enum { MEBIBYTE = 1 << 20 };
    struct frame f;
    struct piece p;
    char *bytes = calloc(1, MEBIBYTE);
    uint64_t left = MESSAGE_MAX + (uint64_t)MESSAGE_HEADER, come = 0;
    frame_init(&f, backend_specs);
    memcpy(bytes, "D\x40\x00\x00\x03", 5);
    while (left) {
        struct slice in = slice_of(bytes, left < MEBIBYTE ? left : MEBIBYTE);
        left -= in.len;
        assert_int_equal(frame_next(&f, &in, &p), FRAME_PIECE);
        assert_int_equal(p.first, come == 0);
        assert_int_equal(p.last, left == 0);
        assert_int_equal(in.len, 0);
        come += p.bytes.len;
    }
    assert_true(come == (uint64_t)MESSAGE_MAX + MESSAGE_HEADER);
    assert_true(frame_is_at_start(&f));
    free(bytes);
}

/* CVE-2015-0244: what is inside a message is never taken for a message, whatever the alignment. */
static void cve_2015_0244_a_message_inside_a_message(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 64; shift++) {
        struct receiver r = { .end = FRAME_MORE };
        struct buf inner = { 0 }, b = { 0 };
        frame_init(&r.frame, frontend_specs);
        for (size_t i = 0; i < shift; i++) buf_add_u8(&inner, ' ');
        while (inner.len < 2 * MESSAGE_HEAD) add_message(&inner, 'Q', "create table pwned()", 21);
        add_message(&b, 'Q', inner.at, inner.len);
        add_message(&b, 'S', "", 0);
        feed(&r, b.at, MESSAGE_HEAD + shift);
        feed(&r, b.at + MESSAGE_HEAD + shift, b.len - MESSAGE_HEAD - shift);
        /* One Query and one Sync, and nothing else. */
        assert_int_equal(r.got.len, 5 + b.len - 5 + 5 + 5);
        assert_int_equal(r.got.at[r.got.len - 10], 'S');
        receiver_fini(&r);
        buf_fini(&inner);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same_messages),
        cmocka_unit_test(every_cut_of_a_message_that_flows),
        cmocka_unit_test(lying_lengths),
        cmocka_unit_test(an_unknown_type_is_told_by_its_byte_alone),
        cmocka_unit_test(what_each_message_wants),
        cmocka_unit_test(a_gigabyte_row_is_never_held),
        cmocka_unit_test(cve_2015_0244_a_message_inside_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
