#include "proxy/succession.h"

#include "protocol/wire.h"
#include "proxy/cancel.h"
#include "proxy/worker.h"

#include <sys/socket.h>
#include <unistd.h>

enum { KEY_BYTES = 4 + CANCEL_KEY_BYTES, KEYS_PER_TURN = 64 };

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct succession *s = poll->data;
    char key[KEY_BYTES + 1];
    (void)events;
    for (int i = 0; i < KEYS_PER_TURN; i++) {
        ssize_t n = status < 0 ? 0 : recv(s->fd, key, sizeof key, MSG_DONTWAIT);
        if (n < 0) break;
        if (n == 0) { /* it is gone */
            uv_poll_stop(poll);
            break;
        }
        if (n == KEY_BYTES)
            worker_cancel_for_next(s->shared->workers[0], wire_be32(key),
                                   slice_of(key + 4, CANCEL_KEY_BYTES));
    }
    explicit_bzero(key, sizeof key);
}

int succession_open(struct succession *s, uv_loop_t *uv, struct shared *shared)
{
    int ends[2];
    if (s->after.loop) return -1; /* the one before is still being closed */
    s->fd = -1;
    s->shared = shared;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return -1;
    if (uv_poll_init(uv, &s->after, ends[0]) != 0) {
        close(ends[0]);
        close(ends[1]);
        return -1;
    }
    s->fd = ends[0];
    s->after.data = s;
    uv_poll_start(&s->after, UV_READABLE, on_readable);
    uv_unref((uv_handle_t *)&s->after);
    return ends[1];
}

static void on_closed(uv_handle_t *handle)
{
    struct succession *s = handle->data;
    s->after = (uv_poll_t){ 0 };
}

void succession_close(struct succession *s)
{
    if (s->fd < 0) return;
    uv_close((uv_handle_t *)&s->after, on_closed);
    close(s->fd);
    s->fd = -1;
}

bool succession_cancel(const struct shared *shared, uint32_t pid, struct slice key)
{
    if (shared->before < 0 || key.len != CANCEL_KEY_BYTES) return false;
    char message[KEY_BYTES];
    for (int i = 0; i < 4; i++) message[i] = (char)(pid >> (24 - 8 * i));
    memcpy(message + 4, key.at, CANCEL_KEY_BYTES);
    bool sent = send(shared->before, message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    explicit_bzero(message, sizeof message);
    return sent;
}
