/* streams: a loop and recording ends for the tests of io/stream and io/tls. */
#ifndef SLUICE_TESTS_STREAMS_H
#define SLUICE_TESTS_STREAMS_H

#include "unit/unit.h"

#include "proxy/io/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WATCHDOG_MS = 20000 };

struct world {
    uv_loop_t uv;
    struct stream_loop loop;
    uv_timer_t watchdog;
};

/* One end of a pipe, and all that was told to it. */
struct side {
    struct stream s;
    struct buf got;
    unsigned deliveries, drained, connected, secured, ended, closed;
    enum stream_end end;
    bool failed;
    struct err err;
    void (*hook)(struct side *side, const char *at, size_t len); /* within on_bytes */
    void (*hook_end)(struct side *side);
    void (*hook_secured)(struct side *side);
    void *context;
};

static inline void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the loop waits for something that does not come");
}

static inline void world_open(struct world *w)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(uv_loop_init(&w->uv), 0);
    assert_true(stream_loop_init(&w->loop, &w->uv));
    uv_timer_init(&w->uv, &w->watchdog);
    uv_timer_start(&w->watchdog, on_watchdog, WATCHDOG_MS, 0);
    uv_unref((uv_handle_t *)&w->watchdog);
}

static inline void world_close(struct world *w)
{
    stream_loop_fini(&w->loop);
    uv_close((uv_handle_t *)&w->watchdog, NULL);
    uv_run(&w->uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->uv), 0);
}

/* Runs the loop until `condition` holds. */
#define UNTIL(w, condition)                                                                        \
    while (!(condition)) uv_run(&(w)->uv, UV_RUN_ONCE)

static inline void turn(struct world *w, int times)
{
    while (times--) uv_run(&w->uv, UV_RUN_NOWAIT);
}

static inline void side_on_bytes(struct stream *s, const char *at, size_t len)
{
    struct side *side = (struct side *)s;
    assert_int_equal(side->closed + side->ended, 0);
    assert_true(len > 0);
    side->deliveries++;
    buf_add(&side->got, at, len);
    if (side->hook) side->hook(side, at, len);
}

static inline void side_note(struct side *side, const struct err *err)
{
    assert_int_equal(side->closed, 0);
    side->failed = err != NULL;
    if (err) side->err = *err;
}

static inline void side_on_drained(struct stream *s) { ((struct side *)s)->drained++; }

static inline void side_on_connected(struct stream *s, const struct err *err)
{
    struct side *side = (struct side *)s;
    side_note(side, err);
    side->connected++;
}

static inline void side_on_secured(struct stream *s, const struct err *err)
{
    struct side *side = (struct side *)s;
    side_note(side, err);
    side->secured++;
    if (side->hook_secured) side->hook_secured(side);
}

static inline void side_on_end(struct stream *s, enum stream_end end, const struct err *err)
{
    struct side *side = (struct side *)s;
    side_note(side, err);
    assert_int_equal(side->ended, 0);
    side->ended++;
    side->end = end;
    if (side->hook_end) side->hook_end(side);
}

static inline void side_on_closed(struct stream *s)
{
    struct side *side = (struct side *)s;
    assert_int_equal(side->closed, 0);
    side->closed++;
}

static const struct stream_events side_events = {
    side_on_bytes, side_on_drained, side_on_connected, side_on_secured, side_on_end, side_on_closed,
};

/* A connected, non-blocking pair of sockets; over TCP when `tcp`. */
static inline void socket_pair(int fds[2], bool tcp)
{
    if (!tcp) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0, fds), 0);
        return;
    }
    union socket_address address;
    struct err err;
    socklen_t bytes = sizeof address;
    assert_true(socket_address_parse(&address, slice_str("127.0.0.1"), 0));
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(door, &address.any, sizeof address.v4), 0);
    assert_int_equal(listen(door, 8), 0);
    assert_int_equal(getsockname(door, &address.any, &bytes), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], &address.any, sizeof address.v4), 0);
    fds[1] = accept(door, NULL, NULL);
    assert_true(fds[1] >= 0);
    for (int i = 0; i < 2; i++) fcntl(fds[i], F_SETFL, O_NONBLOCK);
    close(door);
    (void)err;
}

static inline void side_open(struct side *side, struct world *w, int fd)
{
    struct err err;
    memset(side, 0, sizeof *side);
    assert_true(stream_open(&side->s, &w->loop, &side_events, fd, &err));
}

/* Two streams that talk to each other. */
static inline void sides_open(struct world *w, struct side *a, struct side *b)
{
    int fds[2];
    socket_pair(fds, false);
    side_open(a, w, fds[0]);
    side_open(b, w, fds[1]);
}

/* Closes (unless closed) and waits for the one on_closed. */
static inline void side_close(struct world *w, struct side *side)
{
    stream_close(&side->s);
    UNTIL(w, side->closed);
    turn(w, 2);
    buf_fini(&side->got);
}

static inline bool send_text(struct side *side, const char *text)
{
    return stream_write_slice(&side->s, slice_str(text));
}

static inline void fd_send(int fd, const char *at, size_t len)
{
    assert_int_equal(send(fd, at, len, MSG_NOSIGNAL), len);
}

/* A text in which every place is different. */
static inline char *pattern_new(size_t len)
{
    char *text = malloc(len);
    uint32_t x = 1;
    for (size_t i = 0; i < len; i++) {
        x = x * 1664525 + 1013904223;
        text[i] = (char)(x >> 24);
    }
    return text;
}

#endif
