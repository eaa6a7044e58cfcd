/* io/stream without TLS: reading, writing, water marks, ends, closing at any moment, moving. */
#include "unit/streams.h"

#include <sys/resource.h>

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct world w;
    struct side a, b;
    world_open(&w);
    sides_open(&w, &a, &b);
    char he[] = "he", llo[] = "llo";
    struct iovec parts[] = { { he, 2 }, { he, 0 }, { llo, 3 } };
    assert_true(stream_write(&a.s, parts, 3));
    assert_true(send_text(&b, "yes"));
    UNTIL(&w, a.got.len == 3 && b.got.len == 5);
    assert_memory_equal(b.got.at, "hello", 5);
    assert_int_equal(b.deliveries, 1);
    assert_memory_equal(a.got.at, "yes", 3);
    assert_false(stream_is_tls(&a.s));
    /* An idle stream owns nothing but itself. */
    assert_null(a.s.out);
    assert_in_range(sizeof(struct stream), 0, 330);
    side_close(&w, &a);
    UNTIL(&w, b.ended);
    assert_int_equal(b.end, STREAM_EOF);
    side_close(&w, &b);
    world_close(&w);
}

/* The sender's kernel buffer is small and the reader slow: everything comes, in order, whatever
 * the sizes of the writes; the marks are told once each way. */
static void partial_writes_keep_order(void **state)
{
    (void)state;
    enum { TOTAL = 3 << 20 };
    char *text = pattern_new(TOTAL);
    for (size_t step = 1000; step <= TOTAL; step = step * 7 + 13) {
        struct world w;
        struct side a, b;
        size_t sent = 0;
        unsigned choked = 0;
        world_open(&w);
        sides_open(&w, &a, &b);
        while (b.got.len < TOTAL) {
            while (sent < TOTAL && !stream_is_choked(&a.s)) {
                size_t n = step < TOTAL - sent ? step : TOTAL - sent;
                struct iovec parts[2] = { { text + sent, n / 3 },
                                          { text + sent + n / 3, n - n / 3 } };
                assert_true(stream_write(&a.s, parts, 2));
                sent += n;
            }
            choked += stream_is_choked(&a.s);
            uv_run(&w.uv, UV_RUN_ONCE);
        }
        assert_int_equal(b.got.len, TOTAL);
        assert_memory_equal(b.got.at, text, TOTAL);
        assert_true(choked && a.drained);
        UNTIL(&w, !a.s.out);
        assert_int_equal(stream_backlog(&a.s), 0);
        side_close(&w, &a);
        side_close(&w, &b);
        world_close(&w);
    }
    free(text);
}

static void the_marks_hold(void **state)
{
    (void)state;
    enum { CHUNK = 16 * 1024 };
    static const char chunk[CHUNK];
    struct world w;
    struct side a, b;
    world_open(&w);
    sides_open(&w, &a, &b);
    stream_pause(&b.s);
    uint32_t most = 0;
    while (!stream_is_choked(&a.s)) {
        assert_true(stream_write_slice(&a.s, slice_of(chunk, CHUNK)));
        if (stream_backlog(&a.s) > most) most = stream_backlog(&a.s);
    }
    assert_in_range(most, STREAM_HIGH_BYTES, STREAM_HIGH_BYTES + CHUNK);
    turn(&w, 5);
    assert_int_equal(a.drained, 0);
    stream_resume(&b.s);
    UNTIL(&w, a.drained);
    assert_false(stream_is_choked(&a.s));
    assert_in_range(stream_backlog(&a.s), 0, STREAM_HIGH_BYTES / STREAM_LOW_PART);
    assert_int_equal(a.drained, 1);
    side_close(&w, &a);
    side_close(&w, &b);
    world_close(&w);
}

static void pausing_side(struct side *side, const char *at, size_t len)
{
    (void)at, (void)len;
    stream_pause(&side->s);
}

static void pause_and_resume(void **state)
{
    (void)state;
    struct world w;
    struct side a, b;
    world_open(&w);
    sides_open(&w, &a, &b);
    b.hook = pausing_side;
    send_text(&a, "one");
    UNTIL(&w, b.got.len);
    send_text(&a, "two");
    turn(&w, 5);
    assert_int_equal(b.got.len, 3);
    stream_resume(&b.s);
    stream_resume(&b.s);
    UNTIL(&w, b.got.len == 6);
    /* While paused an end goes unnoticed; afterwards it comes. */
    side_close(&w, &a);
    turn(&w, 5);
    assert_int_equal(b.ended, 0);
    stream_resume(&b.s);
    UNTIL(&w, b.ended);
    assert_int_equal(b.end, STREAM_EOF);
    stream_pause(&b.s);
    stream_resume(&b.s);
    turn(&w, 5);
    side_close(&w, &b);
    world_close(&w);
}

static void closing_side(struct side *side, const char *at, size_t len)
{
    (void)at, (void)len;
    stream_close(&side->s);
    stream_close(&side->s);
    assert_false(send_text(side, "too late"));
}

static void closing_other(struct side *side, const char *at, size_t len)
{
    (void)at, (void)len;
    stream_close(&((struct side *)side->context)->s);
    stream_close(&side->s);
}

static void closing_at_end(struct side *side) { stream_close(&side->s); }

static void close_inside_callbacks(void **state)
{
    (void)state;
    enum { LONG = 300 * 1024 }; /* several reads in one turn */
    static const char text[LONG];
    struct world w;
    struct side a, b, c, d;
    world_open(&w);
    sides_open(&w, &a, &b);
    b.hook = closing_side;
    a.hook_end = closing_at_end;
    stream_write_slice(&a.s, slice_of(text, LONG));
    UNTIL(&w, a.closed && b.closed);
    assert_int_equal(b.deliveries, 1);
    buf_fini(&b.got);

    /* Both have bytes in the same turn; the first to be called closes both. */
    sides_open(&w, &a, &b);
    sides_open(&w, &c, &d);
    b.hook = d.hook = closing_other;
    b.context = &d;
    d.context = &b;
    send_text(&a, "x");
    send_text(&c, "x");
    UNTIL(&w, b.closed && d.closed);
    assert_int_equal(b.deliveries + d.deliveries, 1);
    buf_fini(&b.got);
    buf_fini(&d.got);
    side_close(&w, &a);
    side_close(&w, &c);
    world_close(&w);
}

static void close_with_a_backlog_loses_it_quietly(void **state)
{
    (void)state;
    static const char text[1 << 20];
    struct world w;
    struct side a, b;
    world_open(&w);
    sides_open(&w, &a, &b);
    stream_pause(&b.s);
    stream_write_slice(&a.s, slice_of(text, sizeof text));
    assert_true(stream_backlog(&a.s) > 0);
    side_close(&w, &a);
    assert_int_equal(a.drained + a.ended, 0);
    side_close(&w, &b);
    world_close(&w);
}

static void flush_then_close(void **state)
{
    (void)state;
    enum { LONG = 1 << 20 };
    char *text = pattern_new(LONG);
    struct world w;
    struct side a, b;
    world_open(&w);
    /* Over TCP, with unread input: a plain close() would reset and lose the last words. */
    int fds[2];
    socket_pair(fds, true);
    side_open(&a, &w, fds[0]);
    side_open(&b, &w, fds[1]);
    b.hook_end = closing_at_end;
    stream_pause(&b.s);
    stream_pause(&a.s);
    assert_true(send_text(&b, "never read"));
    turn(&w, 3);
    while (stream_backlog(&a.s) == 0) stream_write_slice(&a.s, slice_of(text, LONG));
    uint32_t before = a.got.len;
    stream_close_flushed(&a.s, 10000);
    assert_false(send_text(&a, "more"));
    turn(&w, 3);
    assert_int_equal(a.closed, 0);
    stream_resume(&b.s);
    UNTIL(&w, a.closed && b.closed);
    assert_int_equal(b.end, STREAM_EOF);
    assert_int_equal(b.got.len % LONG, 0);
    assert_memory_equal(b.got.at, text, LONG);
    assert_int_equal(a.got.len, before);
    assert_int_equal(a.ended, 0);
    buf_fini(&b.got);

    /* The peer still talks while our last words wait in the kernel, for its window to open: it must
     * not be answered by a reset, which would throw them away. */
    socket_pair(fds, true);
    setsockopt(fds[1], SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int));
    side_open(&a, &w, fds[0]);
    side_open(&b, &w, fds[1]);
    b.hook_end = closing_at_end;
    stream_pause(&b.s);
    assert_true(stream_write_slice(&a.s, slice_of(text, 50000)));
    stream_close_flushed(&a.s, 10000);
    turn(&w, 3);
    assert_true(send_text(&b, "one more request"));
    turn(&w, 3);
    stream_resume(&b.s);
    UNTIL(&w, a.closed && b.closed);
    assert_int_equal(b.end, STREAM_EOF);
    assert_int_equal(b.got.len, 50000);
    assert_int_equal(a.got.len, 0);
    buf_fini(&b.got);

    /* The linger ends it when the peer does not. */
    sides_open(&w, &a, &b);
    stream_pause(&b.s);
    stream_write_slice(&a.s, slice_of(text, LONG));
    uint64_t start = uv_now(&w.uv);
    stream_close_flushed(&a.s, 200);
    UNTIL(&w, a.closed);
    assert_in_range(uv_now(&w.uv) - start, 200, 2000);
    side_close(&w, &b);
    world_close(&w);
    free(text);
}

/* What the peer said before it died still comes, then one end; the write itself calls nobody. It
 * says that it failed where it was large enough to be tried at once. */
static void a_broken_pipe_is_told_once_and_late(void **state)
{
    (void)state;
    struct world w;
    struct side a;
    int fds[2];
    char large[STREAM_POST_SMALL + 2];
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    for (int at = 0; at < 4; at++) {
        const bool paused = at % 2, posted = at / 2;
        world_open(&w);
        socket_pair(fds, false);
        side_open(&a, &w, fds[0]);
        fd_send(fds[1], "last words", 10);
        close(fds[1]);
        if (paused) stream_pause(&a.s);
        assert_int_equal(send_text(&a, posted ? "anybody there?" : large), posted);
        assert_int_equal(send_text(&a, posted ? "hello?" : large), posted);
        assert_int_equal(a.ended, 0);
        UNTIL(&w, a.ended);
        assert_int_equal(a.got.len, paused ? 0 : 10);
        assert_int_equal(a.end, paused ? STREAM_ERROR : STREAM_EOF);
        if (paused) assert_non_null(strstr(a.err.message, "broken pipe"));
        turn(&w, 5);
        side_close(&w, &a);
        world_close(&w);
    }
    /* Closed before it could be told: then it is not. */
    world_open(&w);
    socket_pair(fds, false);
    side_open(&a, &w, fds[0]);
    close(fds[1]);
    assert_false(send_text(&a, large));
    side_close(&w, &a);
    assert_int_equal(a.ended, 0);
    world_close(&w);
}

/* Small writes wait for the end of the turn, in order, also before a large one and before a close.
 */
static void small_writes_wait_for_the_turns_end(void **state)
{
    (void)state;
    struct world w;
    struct side a, b;
    int fds[2], other[2];
    char got[16];
    world_open(&w);
    socket_pair(fds, false);
    socket_pair(other, false);
    side_open(&a, &w, fds[0]);
    side_open(&b, &w, other[0]);
    assert_true(send_text(&a, "one, "));
    assert_true(send_text(&b, "another"));
    assert_true(send_text(&a, "two"));
    assert_int_equal(recv(fds[1], got, sizeof got, MSG_DONTWAIT), -1);
    turn(&w, 1);
    assert_int_equal(recv(fds[1], got, sizeof got, MSG_DONTWAIT), 8);
    assert_memory_equal(got, "one, two", 8);
    assert_int_equal(recv(other[1], got, sizeof got, MSG_DONTWAIT), 7);
    /* Before a close they leave. */
    assert_true(send_text(&a, "last"));
    side_close(&w, &a);
    assert_int_equal(recv(fds[1], got, sizeof got, MSG_DONTWAIT), 4);
    side_close(&w, &b);
    close(fds[1]);
    close(other[1]);
    world_close(&w);
}

/* More than the post holds, of letters and of bytes, and large ones between. */
static void a_full_post_is_sent(void **state)
{
    (void)state;
    struct world w;
    struct side a, b;
    int fds[2], other[2];
    char part[4096];
    struct buf sent = { 0 }, seen = { 0 };
    world_open(&w);
    socket_pair(fds, false);
    socket_pair(other, false);
    side_open(&a, &w, fds[0]);
    side_open(&b, &w, other[0]);
    for (unsigned i = 0; i < 3 * STREAM_POST_LETTERS; i++) {
        char text[STREAM_POST_SMALL + 3];
        memset(text, 'a' + (int)(i % 26), sizeof text);
        text[sizeof text - 1 - i % 5] = '\0';
        buf_add(&sent, text, strlen(text));
        assert_true(send_text(&a, text));
        assert_true(send_text(&b, "b"));
    }
    while (seen.len < sent.len) {
        turn(&w, 1);
        ssize_t n = recv(fds[1], part, sizeof part, MSG_DONTWAIT);
        if (n > 0) buf_add(&seen, part, (size_t)n);
    }
    assert_int_equal(seen.len, sent.len);
    assert_memory_equal(seen.at, sent.at, sent.len);
    assert_int_equal(recv(other[1], part, sizeof part, MSG_DONTWAIT), 3 * STREAM_POST_LETTERS);
    buf_fini(&sent);
    buf_fini(&seen);
    side_close(&w, &a);
    side_close(&w, &b);
    close(fds[1]);
    close(other[1]);
    world_close(&w);
}

static void a_reset_is_an_error(void **state)
{
    (void)state;
    struct world w;
    struct side a;
    int fds[2];
    world_open(&w);
    socket_pair(fds, true);
    side_open(&a, &w, fds[0]);
    struct linger now = { 1, 0 };
    setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fds[1]);
    UNTIL(&w, a.ended);
    assert_int_equal(a.end, STREAM_ERROR);
    assert_non_null(strstr(a.err.message, "connection reset"));
    assert_false(send_text(&a, "x"));
    side_close(&w, &a);
    world_close(&w);
}

static void half_closed_peers_can_still_read(void **state)
{
    (void)state;
    struct world w;
    struct side a, b;
    int fds[2];
    world_open(&w);
    socket_pair(fds, true);
    side_open(&a, &w, fds[0]);
    side_open(&b, &w, fds[1]);
    shutdown(fds[1], SHUT_WR);
    UNTIL(&w, a.ended);
    assert_true(send_text(&a, "still"));
    UNTIL(&w, b.got.len == 5);
    side_close(&w, &a);
    side_close(&w, &b);
    world_close(&w);
}

static int listener_on(const char *where, union socket_address *address)
{
    socklen_t bytes = sizeof *address;
    assert_true(socket_address_parse(address, slice_str(where), 0));
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, &address->any, socket_address_bytes(address)), 0);
    assert_int_equal(getsockname(fd, &address->any, &bytes), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void connecting(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/sluice-stream-%d", (int)getpid());
    const char *where[] = { "127.0.0.1", "[::1]", path };
    for (size_t i = 0; i < 3; i++) {
        struct world w;
        struct side a = { 0 }, b;
        struct err err;
        union socket_address address;
        world_open(&w);
        w.loop.keepalive = (struct socket_keepalive){ 60, 10, 3 };
        int door = listener_on(where[i], &address);
        assert_true(stream_connect(&a.s, &w.loop, &side_events, &address, &err));
        assert_int_equal(a.connected, 0);
        assert_true(send_text(&a, "early")); /* kept until it is connected */
        UNTIL(&w, a.connected);
        assert_false(a.failed);
        int fd = accept(door, NULL, NULL);
        fcntl(fd, F_SETFL, O_NONBLOCK);
        side_open(&b, &w, fd);
        send_text(&b, "welcome");
        UNTIL(&w, a.got.len == 7 && b.got.len == 5);
        close(door);
        side_close(&w, &a);
        side_close(&w, &b);

        /* Nobody there any more. */
        memset(&a, 0, sizeof a);
        if (stream_connect(&a.s, &w.loop, &side_events, &address, &err)) {
            UNTIL(&w, a.connected);
            assert_true(a.failed);
            err = a.err;
        }
        assert_non_null(strstr(err.message, "connection refused"));
        assert_non_null(strstr(err.hint, "Nothing listens"));
        assert_false(send_text(&a, "x"));
        side_close(&w, &a);
        assert_int_equal(a.ended, 0);
        world_close(&w);
    }
    unlink(path + 5);
}

static void closing_while_connecting(void **state)
{
    (void)state;
    struct world w;
    struct side a = { 0 };
    struct err err;
    union socket_address address;
    world_open(&w);
    int door = listener_on("127.0.0.1", &address);
    assert_true(stream_connect(&a.s, &w.loop, &side_events, &address, &err));
    send_text(&a, "early");
    side_close(&w, &a);
    assert_int_equal(a.connected, 0);
    close(door);
    world_close(&w);
}

static void a_bad_descriptor_is_an_error(void **state)
{
    (void)state;
    struct world w;
    struct side a = { 0 };
    struct err err;
    world_open(&w);
    assert_false(stream_open(&a.s, &w.loop, &side_events, 9999, &err));
    assert_false(send_text(&a, "x"));
    side_close(&w, &a);
    assert_int_equal(a.ended, 0);
    world_close(&w);
}

static void without_descriptors(void **state)
{
    (void)state;
    struct world w;
    struct side a = { 0 }, b, c;
    struct err err;
    struct rlimit limit, tight;
    struct stream_moved moved;
    union socket_address address;
    world_open(&w);
    sides_open(&w, &b, &c);
    assert_true(socket_address_parse(&address, slice_str("127.0.0.1"), 1));
    getrlimit(RLIMIT_NOFILE, &limit);
    tight = limit;
    tight.rlim_cur = (rlim_t)dup(0);
    close((int)tight.rlim_cur); /* the lowest free one: no more than that */
    setrlimit(RLIMIT_NOFILE, &tight);
    assert_false(stream_connect(&a.s, &w.loop, &side_events, &address, &err));
    assert_false(stream_detach(&b.s, &moved));
    setrlimit(RLIMIT_NOFILE, &limit);
    assert_non_null(strstr(err.message, "Too many open files"));
    /* Nothing happened to the one that could not move. */
    assert_true(send_text(&b, "x"));
    UNTIL(&w, c.got.len == 1);
    side_close(&w, &a);
    side_close(&w, &b);
    side_close(&w, &c);
    world_close(&w);
}

/* ---- moving: from within on_bytes, to a loop of another thread ---- */

struct mover {
    struct stream_moved moved;
    bool taken;
};

static void detaching_side(struct side *side, const char *at, size_t len)
{
    (void)at, (void)len;
    struct mover *mover = side->context;
    assert_true(stream_detach(&side->s, &mover->moved));
    mover->taken = true;
}

static void on_other_thread(void *argument)
{
    struct stream_moved *moved = argument;
    struct world w;
    struct side b = { 0 };
    struct err err;
    world_open(&w);
    assert_true(stream_attach(&b.s, &w.loop, &side_events, moved, &err));
    send_text(&b, "from the other side");
    UNTIL(&w, b.got.len == 6);
    assert_memory_equal(b.got.at, "second", 6);
    side_close(&w, &b);
    world_close(&w);
}

static void moving(void **state)
{
    (void)state;
    struct world w;
    struct side a, b;
    struct mover mover = { 0 };
    uv_thread_t thread;
    world_open(&w);
    sides_open(&w, &a, &b);
    b.hook = detaching_side;
    b.context = &mover;
    send_text(&a, "first");
    UNTIL(&w, b.closed);
    assert_int_equal(b.ended, 0);
    send_text(&a, "second");
    assert_int_equal(uv_thread_create(&thread, on_other_thread, &mover.moved), 0);
    UNTIL(&w, a.ended);
    uv_thread_join(&thread);
    assert_memory_equal(a.got.at, "from the other side", a.got.len);
    buf_fini(&b.got);
    side_close(&w, &a);

    /* Not with a backlog; and what is not attached can be dropped. */
    static const char text[1 << 20];
    struct stream_moved moved;
    sides_open(&w, &a, &b);
    stream_pause(&b.s);
    stream_write_slice(&a.s, slice_of(text, sizeof text));
    assert_false(stream_detach(&a.s, &moved));
    assert_true(stream_detach(&b.s, &moved));
    stream_moved_drop(&moved);
    UNTIL(&w, a.ended);
    side_close(&w, &a);
    side_close(&w, &b);
    world_close(&w);
}

/* ---- everything at once, at random ---- */

struct dice {
    uint32_t x;
};

static unsigned roll(struct dice *dice, unsigned sides)
{
    dice->x = dice->x * 1664525 + 1013904223;
    return (dice->x >> 8) % sides;
}

static void chaos_on_bytes(struct side *side, const char *at, size_t len)
{
    (void)at, (void)len;
    struct dice *dice = side->context;
    switch (roll(dice, 24)) {
    case 0: stream_close(&side->s); break;
    case 1: stream_close_flushed(&side->s, 100); break;
    case 2: stream_pause(&side->s); break;
    default: stream_write_slice(&side->s, slice_of(at, len / 2)); break;
    }
}

static void any_order_of_calls_ends_well(void **state)
{
    (void)state;
    static const char text[200000];
    struct dice dice = { 7 };
    struct world w;
    world_open(&w);
    for (int round = 0; round < 400; round++) {
        struct side sides[2];
        sides_open(&w, &sides[0], &sides[1]);
        for (int i = 0; i < 2; i++) {
            sides[i].hook = chaos_on_bytes;
            sides[i].context = &dice;
        }
        for (int step = 0; step < 12; step++) {
            struct side *side = &sides[roll(&dice, 2)];
            if (side->closed) continue;
            switch (roll(&dice, 6)) {
            case 0: stream_pause(&side->s); break;
            case 1: stream_resume(&side->s); break;
            case 2: turn(&w, 1); break;
            default: stream_write_slice(&side->s, slice_of(text, roll(&dice, sizeof text))); break;
            }
        }
        stream_close_flushed(&sides[0].s, 100);
        stream_close(&sides[1].s);
        UNTIL(&w, sides[0].closed && sides[1].closed);
        assert_true(list_is_empty(&w.loop.later));
        for (int i = 0; i < 2; i++) buf_fini(&sides[i].got);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways),
        cmocka_unit_test(partial_writes_keep_order),
        cmocka_unit_test(the_marks_hold),
        cmocka_unit_test(pause_and_resume),
        cmocka_unit_test(close_inside_callbacks),
        cmocka_unit_test(close_with_a_backlog_loses_it_quietly),
        cmocka_unit_test(flush_then_close),
        cmocka_unit_test(a_broken_pipe_is_told_once_and_late),
        cmocka_unit_test(small_writes_wait_for_the_turns_end),
        cmocka_unit_test(a_full_post_is_sent),
        cmocka_unit_test(a_reset_is_an_error),
        cmocka_unit_test(half_closed_peers_can_still_read),
        cmocka_unit_test(connecting),
        cmocka_unit_test(closing_while_connecting),
        cmocka_unit_test(a_bad_descriptor_is_an_error),
        cmocka_unit_test(without_descriptors),
        cmocka_unit_test(moving),
        cmocka_unit_test(any_order_of_calls_ends_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
