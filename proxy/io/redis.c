#include "proxy/io/redis.h"

#include "proxy/io/tls_context.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PAUSE_FIRST_MS = 100,
    PAUSE_MAX_MS = 10 * 1000,
    PAUSE_DENIED_MS = 5 * 1000, /* a wrong password does not become right in a moment */
    HOPS_MAX = 3,               /* MOVED, for one command */
    PENDING_MAX = 1024,
};

enum redis_state {
    REDIS_DOWN,
    REDIS_RESOLVING,
    REDIS_CONNECTING,
    REDIS_SECURING,
    REDIS_GREETING,
    REDIS_READY,
};

/* What follows when the stream's memory is free. */
enum redis_next { NEXT_PAUSE, NEXT_ADDRESS, NEXT_AGAIN, NEXT_FREE };

struct command {
    struct list node;
    struct buf bytes;
    redis_done *done; /* NULL: our own PING or greeting */
    void *owner;
    uint64_t sent_ms;
    uint32_t hops;
};

struct redis {
    struct stream stream;
    struct stream_loop *loop;
    struct redis_options options; /* its slices point into the bufs below */
    struct buf user, password, channel;
    const struct redis_events *events;
    void (*closed)(void *owner);
    void *owner;
    enum redis_state state;
    enum redis_next next;
    struct redis_target at; /* where we go: the target, or where MOVED sent us */
    struct resolve *resolve;
    struct resolve_answer addresses;
    uint32_t address; /* the next one to try */
    struct redis_reader *reader;
    struct wheel_node timer;
    uv_timer_t farewell; /* what the end waits for when there is no stream */
    struct list pending; /* sent, in order */
    struct list moved;   /* to be sent where we are going */
    uint32_t n_pending, failures, greetings_left;
    uint64_t heard_ms, random;
    struct err why; /* of the attempt under way */
    bool has_stream, moving, closing, pause_is_long;
};

static void begin(struct redis *r);
static void next_address(struct redis *r);

/* ---- targets -------------------------------------------------------------------------------- */

static bool read_number(struct slice text, uint32_t high, uint32_t *out)
{
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || n > high) return false;
        n = n * 10 + (uint32_t)(text.at[i] - '0');
    }
    *out = n;
    return text.len > 0 && n <= high;
}

/* "HOST", "HOST:PORT", "[IP6]:PORT"; a port of 0 is none. */
static bool read_place(struct redis_target *t, struct slice place)
{
    size_t end = place.len;
    const char *colon = memrchr(place.at, ':', place.len);
    bool bracket = place.len && place.at[place.len - 1] == ']';
    uint32_t port = t->port;
    if (colon && !bracket) {
        end = (size_t)(colon - place.at);
        if (!read_number(slice_after(place, end + 1), 65535, &port) || port == 0) return false;
    }
    union socket_address ignored;
    struct slice host = { place.at, end };
    if (end == 0 || end >= sizeof t->host) return false;
    if (!resolve_name_is_good(host) && !socket_address_parse(&ignored, host, 1)) return false;
    memcpy(t->host, host.at, end);
    t->host[end] = 0;
    t->port = (uint16_t)port;
    return true;
}

bool redis_target_parse(struct redis_target *t, struct slice url, struct err *err)
{
    *t = (struct redis_target){ .port = 6379, .tls = slice_starts(url, "rediss://") };
    if (!t->tls && !slice_starts(url, "redis://"))
        return err_set(err, ERR_CONFIG, "it begins with \"rediss://\" or \"redis://\"");
    struct slice rest = slice_after(url, strlen(t->tls ? "rediss://" : "redis://"));
    if (rest.len && memchr(rest.at, '@', rest.len))
        return err_set(err, ERR_CONFIG, "user and password do not belong into it");
    const char *slash = rest.len ? memchr(rest.at, '/', rest.len) : NULL;
    struct slice place = slash ? slice_of(rest.at, (size_t)(slash - rest.at)) : rest;
    struct slice database = slash ? slice_after(rest, place.len + 1) : (struct slice){ 0 };
    if (!place.len || !read_place(t, place))
        return err_set(err, ERR_CONFIG, "HOST or HOST:PORT follows \"%s\"",
                       t->tls ? "rediss://" : "redis://");
    if (database.len && !read_number(database, 65535, &t->database))
        return err_set(err, ERR_CONFIG, "after the slash stands the number of a database");
    return true;
}

/* ---- commands ------------------------------------------------------------------------------- */

static uint64_t now_ms(const struct redis *r) { return uv_now(r->loop->uv); }

static void command_free(struct command *c)
{
    buf_wipe(&c->bytes);
    free(c);
}

static struct command *command_new(const struct slice *words, int count)
{
    const char *at[REDIS_WORDS_MAX];
    size_t lengths[REDIS_WORDS_MAX];
    char *text = NULL;
    struct command *c = count > 0 && count <= REDIS_WORDS_MAX ? calloc(1, sizeof *c) : NULL;
    if (!c) return NULL;
    for (int i = 0; i < count; i++) {
        at[i] = words[i].at ? words[i].at : "";
        lengths[i] = words[i].len;
    }
    int len = redisFormatCommandArgv(&text, count, at, lengths);
    list_init(&c->node);
    c->bytes.secret = true; /* AUTH is one of them */
    if (len > 0) buf_add(&c->bytes, text, (size_t)len);
    if (len > 0) explicit_bzero(text, (size_t)len);
    redisFreeCommand(text);
    if (len > 0 && !c->bytes.failed) return c;
    command_free(c);
    return NULL;
}

/* When something has to happen next while READY: an answer is due, or a PING. */
static void arm(struct redis *r)
{
    uint64_t now = now_ms(r), due = r->heard_ms + r->options.ping_ms;
    if (!list_is_empty(&r->pending)) {
        const struct command *first = list_item(r->pending.next, struct command, node);
        due = first->sent_ms + r->options.command_timeout_ms;
    }
    wheel_set(&r->loop->wheel, &r->timer, due > now ? due - now : 0);
}

static void expect(struct redis *r, struct command *c)
{
    c->sent_ms = now_ms(r);
    list_push_back(&r->pending, &c->node);
    r->n_pending++;
}

static void send_command(struct redis *r, struct command *c)
{
    expect(r, c);
    stream_write_slice(&r->stream, buf_slice(&c->bytes));
}

bool redis_is_ready(const struct redis *r) { return r->state == REDIS_READY && !r->moving; }

bool redis_send(struct redis *r, const struct slice *words, int count, redis_done *done,
                void *owner, struct err *err)
{
    if (r->state != REDIS_READY || r->closing || r->n_pending >= PENDING_MAX)
        return err_set(err, ERR_CACHE_AWAY, "no connection to Redis at %s:%u", r->at.host,
                       r->at.port);
    struct command *c = command_new(words, count);
    if (!c) return err_set(err, ERR_OUT_OF_MEMORY, "");
    c->done = done;
    c->owner = owner;
    if (r->moving)
        list_push_back(&r->moved, &c->node);
    else
        send_command(r, c);
    arm(r);
    return true;
}

static struct command *pop(struct redis *r)
{
    struct list *node = list_pop_front(&r->pending);
    if (!node) return NULL;
    r->n_pending--;
    return list_item(node, struct command, node);
}

static void tell(struct command *c, const struct redis_reply *reply, const struct err *err)
{
    if (c->done) c->done(c->owner, reply, err);
    command_free(c);
}

/* `done` may close us, or send: that fails, we are not READY. */
static void tell_all(struct redis *r, struct list *commands, const struct err *err)
{
    struct list *node;
    while ((node = list_pop_front(commands))) {
        struct command *c = list_item(node, struct command, node);
        if (r->closing)
            command_free(c);
        else
            tell(c, NULL, err);
    }
}

/* ---- losing it ------------------------------------------------------------------------------ */

static uint64_t random_next(struct redis *r)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return r->random >> 33;
}

static uint64_t pause_ms(struct redis *r)
{
    uint64_t ms = r->pause_is_long ? PAUSE_DENIED_MS : PAUSE_FIRST_MS;
    for (uint32_t i = 1; i < r->failures && ms < PAUSE_MAX_MS; i++) ms *= 2;
    if (ms > PAUSE_MAX_MS) ms = PAUSE_MAX_MS;
    return ms / 2 + random_next(r) % (ms / 2 + 1);
}

static void free_all(struct redis *r)
{
    if (r->closed) r->closed(r->owner);
    redis_reader_free(r->reader);
    tls_context_unref(r->options.tls);
    buf_fini(&r->user);
    buf_wipe(&r->password);
    buf_fini(&r->channel);
    free(r);
}

static void go_on(struct redis *r)
{
    switch (r->closing ? NEXT_FREE : r->next) {
    case NEXT_PAUSE: wheel_set(&r->loop->wheel, &r->timer, pause_ms(r)); return;
    case NEXT_ADDRESS: next_address(r); return;
    case NEXT_AGAIN: begin(r); return;
    case NEXT_FREE: free_all(r); return;
    }
}

/* Ends what there is of a connection, then `next`, in a later turn. */
static void leave(struct redis *r, enum redis_next next)
{
    if (r->resolve) resolve_cancel(r->resolve);
    r->resolve = NULL;
    r->next = next;
    wheel_cancel(&r->timer);
    redis_reader_free(r->reader);
    r->reader = NULL;
    if (r->has_stream)
        stream_close(&r->stream);
    else
        go_on(r);
}

/* The attempt or the connection has failed. */
static void drop(struct redis *r, const struct err *why)
{
    struct err err = *why;
    err.code = ERR_CACHE_AWAY;
    r->state = REDIS_DOWN;
    r->failures++;
    r->moving = false;
    r->at = r->options.target;
    r->n_pending = 0;
    leave(r, NEXT_PAUSE);
    tell_all(r, &r->pending, &err);
    tell_all(r, &r->moved, &err);
    if (!r->closing) r->events->on_lost(r->owner, &err);
}

/* The first address that fails is not the last. */
static void attempt_failed(struct redis *r, const struct err *why)
{
    if (r->address < r->addresses.count) {
        r->why = *why;
        r->state = REDIS_CONNECTING;
        r->next = NEXT_ADDRESS;
        stream_close(&r->stream);
        return;
    }
    drop(r, why);
}

/* ---- what Redis says ------------------------------------------------------------------------ */

/* An error of Redis: its text, cleaned; it may be anybody's. */
static void err_of(const struct redis_reply *reply, const char *to, struct err *err)
{
    char text[160];
    size_t n = reply->text.len < sizeof text - 1 ? reply->text.len : sizeof text - 1;
    for (size_t i = 0; i < n; i++) {
        char c = reply->text.at[i];
        text[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    text[n] = 0;
    err_set(err, ERR_CACHE_AWAY, "Redis%s%s: %s", *to ? " to " : "", to, text);
    if (slice_starts(reply->text, "NOAUTH") || slice_starts(reply->text, "WRONGPASS") ||
        slice_starts(reply->text, "ERR invalid password") || slice_starts(reply->text, "ERR AUTH"))
        err_hint(err, "Check routes.cache_user and routes.cache_password.");
    else if (slice_starts(reply->text, "NOPERM"))
        err_hint(err,
                 "The ACL of the Redis user must allow this; deploy/ROUTES.md lists what is used.");
    else if (slice_starts(reply->text, "READONLY"))
        err_hint(err, "It is a replica now; the name is looked up again.");
}

static bool is_denial(struct slice text)
{
    return slice_starts(text, "NOAUTH") || slice_starts(text, "WRONGPASS") ||
           slice_starts(text, "ERR invalid password") || slice_starts(text, "ERR AUTH");
}

/* With these the connection is of no use for a while. */
static bool is_away(struct slice text)
{
    static const char *const words[] = { "READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN",
                                         "UNBLOCKED" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (slice_starts(text, words[i])) return true;
    return false;
}

/* "MOVED 3999 127.0.0.1:6381"; an empty host is the one we are at. */
static bool follow(struct redis *r, struct command *c, struct slice text)
{
    struct redis_target to = r->at;
    const char *space = slice_starts(text, "MOVED ") ? memrchr(text.at, ' ', text.len) : NULL;
    if (!space || c->hops >= HOPS_MAX) return false;
    struct slice place = slice_after(text, (size_t)(space - text.at) + 1);
    if (place.len && place.at[0] == ':') {
        uint32_t port;
        if (!read_number(slice_after(place, 1), 65535, &port) || port == 0) return false;
        to.port = (uint16_t)port;
    } else if (!read_place(&to, place)) {
        return false;
    }
    c->hops++;
    to.database = 0; /* a cluster has no other */
    r->at = to;
    r->moving = true;
    list_push_back(&r->moved, &c->node);
    return true;
}

static void on_greeted(struct redis *r)
{
    struct list *node;
    r->state = REDIS_READY;
    r->failures = 0;
    r->pause_is_long = false;
    bool was_moved = r->moving;
    r->moving = false;
    while ((node = list_pop_front(&r->moved)))
        send_command(r, list_item(node, struct command, node));
    arm(r);
    if (!was_moved) r->events->on_ready(r->owner);
}

static void on_greeting(struct redis *r, struct command *c, const struct redis_reply *reply)
{
    struct err err;
    command_free(c);
    if (reply->type == REDIS_ERROR) {
        err_of(reply, "the greeting", &err);
        r->pause_is_long = is_denial(reply->text);
        drop(r, &err);
        return;
    }
    if (--r->greetings_left == 0) on_greeted(r);
}

/* ["message", channel, payload]; true if it was one. */
static bool on_push(struct redis *r, const struct redis_reply *reply)
{
    if (r->options.channel.len == 0 || reply->type != REDIS_ARRAY || reply->count != 3)
        return false;
    const struct redis_reply *e = reply->elements;
    if (!slice_is(e[0].text, "message")) return false;
    if (slice_eq(e[1].text, r->options.channel)) r->events->on_message(r->owner, e[2].text);
    return true;
}

static void on_answer(struct redis *r, struct command *c, const struct redis_reply *reply)
{
    struct err err;
    if (reply->type != REDIS_ERROR) {
        tell(c, reply, NULL);
        return;
    }
    if (follow(r, c, reply->text)) return;
    err_of(reply, "", &err);
    bool denied = is_denial(reply->text), away = is_away(reply->text) || denied;
    if (denied) r->pause_is_long = true;
    if (away) r->state = REDIS_DOWN; /* whoever is told cannot send another one there */
    tell(c, NULL, &err);
    if (away && !r->closing) drop(r, &err);
}

static void on_reply(struct redis *r, const struct redis_reply *reply)
{
    struct err err;
    if (r->state == REDIS_READY && on_push(r, reply)) return;
    struct command *c = pop(r);
    if (!c) {
        err_set(&err, ERR_CACHE_AWAY, "an answer that nobody asked for");
        drop(r, &err);
    } else if (r->state == REDIS_GREETING) {
        on_greeting(r, c, reply);
    } else {
        on_answer(r, c, reply);
    }
}

/* ---- the stream ----------------------------------------------------------------------------- */

static void on_bytes(struct stream *s, const char *at, size_t len)
{
    struct redis *r = list_item(s, struct redis, stream);
    struct redis_reader *reader = r->reader;
    struct redis_reply *reply;
    struct err err;
    r->heard_ms = now_ms(r);
    if (!redis_reader_feed(reader, slice_of(at, len), &err)) {
        drop(r, &err);
        return;
    }
    /* Each answer may be the last one that we want. */
    while (r->reader == reader && !r->closing) {
        if (!redis_reader_next(reader, &reply, &err)) {
            drop(r, &err);
            return;
        }
        if (!reply) break;
        on_reply(r, reply);
        redis_reply_free(reply);
    }
    if (r->reader != reader || r->closing) return;
    if (r->moving && list_is_empty(&r->pending)) {
        r->state = REDIS_DOWN;
        leave(r, NEXT_AGAIN);
    } else if (r->state == REDIS_READY) {
        arm(r);
    }
}

static bool add_own(struct redis *r, struct buf *out, const struct slice *words, int count)
{
    struct command *c = command_new(words, count);
    if (!c) return false;
    buf_add_slice(out, buf_slice(&c->bytes));
    expect(r, c);
    return true;
}

static bool add_auth(struct redis *r, struct buf *out)
{
    struct slice words[3] = { slice_str("AUTH") };
    int n = 1;
    if (r->options.password.len == 0) return true;
    if (r->options.user.len) words[n++] = r->options.user;
    words[n++] = r->options.password;
    return add_own(r, out, words, n);
}

static bool add_greeting(struct redis *r, struct buf *out)
{
    char text[16];
    struct slice select[2] = { slice_str("SELECT"), { text, 0 } };
    struct slice subscribe[2] = { slice_str("SUBSCRIBE"), r->options.channel };
    struct slice ping = slice_str("PING"); /* is it one, and up? */
    select[1].len = (size_t)snprintf(text, sizeof text, "%u", r->at.database);
    if (!add_auth(r, out) || (r->at.database && !add_own(r, out, select, 2))) return false;
    return subscribe[1].len ? add_own(r, out, subscribe, 2) : add_own(r, out, &ping, 1);
}

static void greet(struct redis *r)
{
    struct buf out = { .secret = true };
    struct err err;
    r->state = REDIS_GREETING;
    r->reader = redis_reader_new(r->options.answer_cap_bytes);
    bool ok = r->reader && add_greeting(r, &out) && !out.failed;
    r->greetings_left = r->n_pending;
    if (ok) stream_write_slice(&r->stream, buf_slice(&out));
    buf_wipe(&out);
    if (ok) return;
    err_set(&err, ERR_OUT_OF_MEMORY, "");
    drop(r, &err);
}

static void on_drained(struct stream *s) { (void)s; }

static void on_connected(struct stream *s, const struct err *failure)
{
    struct redis *r = list_item(s, struct redis, stream);
    struct err err;
    if (failure) {
        attempt_failed(r, failure);
        return;
    }
    if (!r->at.tls) {
        greet(r);
        return;
    }
    r->state = REDIS_SECURING;
    if (!stream_secure_client(s, r->options.tls, r->at.host, &err)) drop(r, &err);
}

static void on_secured(struct stream *s, const struct err *failure)
{
    struct redis *r = list_item(s, struct redis, stream);
    if (failure)
        drop(r, failure);
    else
        greet(r);
}

static void on_end(struct stream *s, enum stream_end end, const struct err *failure)
{
    struct redis *r = list_item(s, struct redis, stream);
    struct err err;
    (void)end;
    err_set(&err, ERR_CACHE_AWAY, "Redis closed the connection");
    drop(r, failure ? failure : &err);
}

static void on_closed(struct stream *s)
{
    struct redis *r = list_item(s, struct redis, stream);
    r->has_stream = false;
    go_on(r);
}

static const struct stream_events stream_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_end = on_end,
    .on_closed = on_closed,
};

/* ---- connecting ----------------------------------------------------------------------------- */

static void next_address(struct redis *r)
{
    struct err err;
    r->state = REDIS_CONNECTING;
    r->has_stream = true;
    const union socket_address *to = &r->addresses.at[r->address++];
    if (!stream_connect(&r->stream, r->loop, &stream_events, to, &err)) attempt_failed(r, &err);
}

static void on_resolved(void *owner, const struct resolve_answer *answer, const struct err *failure)
{
    struct redis *r = owner;
    r->resolve = NULL;
    if (failure) {
        drop(r, failure);
        return;
    }
    r->addresses = *answer;
    r->address = 0;
    next_address(r);
}

static void begin(struct redis *r)
{
    struct err err;
    uint32_t timeout_ms = r->options.connect_timeout_ms;
    r->state = REDIS_RESOLVING;
    r->heard_ms = now_ms(r);
    wheel_set(&r->loop->wheel, &r->timer, timeout_ms);
    r->resolve = resolve_start(r->loop->uv, slice_str(r->at.host), r->at.port, timeout_ms,
                               on_resolved, r, &err);
    if (!r->resolve) drop(r, &err);
}

static void on_due(struct wheel_node *node)
{
    struct redis *r = list_item(node, struct redis, timer);
    uint64_t now = now_ms(r);
    struct err err;
    if (r->state == REDIS_DOWN) {
        begin(r);
        return;
    }
    const struct command *first =
        list_is_empty(&r->pending) ? NULL : list_item(r->pending.next, struct command, node);
    bool late = first && now - first->sent_ms >= r->options.command_timeout_ms;
    if (r->state != REDIS_READY || late) {
        err_set(&err, ERR_CACHE_AWAY, "no answer from Redis at %s:%u in time", r->at.host,
                r->at.port);
        drop(r, &err);
        return;
    }
    struct slice ping = slice_str("PING");
    struct command *c =
        !first && now - r->heard_ms >= r->options.ping_ms ? command_new(&ping, 1) : NULL;
    if (c) send_command(r, c);
    arm(r);
}

struct redis *redis_open(struct stream_loop *loop, const struct redis_options *options,
                         const struct redis_events *events, void *owner)
{
    struct redis *r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->password.secret = true;
    buf_add_slice(&r->user, options->user);
    buf_add_slice(&r->password, options->password);
    buf_add_slice(&r->channel, options->channel);
    r->options = *options;
    r->options.tls = options->tls ? tls_context_ref(options->tls) : NULL;
    r->options.user = buf_slice(&r->user);
    r->options.password = buf_slice(&r->password);
    r->options.channel = buf_slice(&r->channel);
    r->at = options->target;
    r->loop = loop;
    r->events = events;
    r->owner = owner;
    r->random = options->seed;
    list_init(&r->pending);
    list_init(&r->moved);
    wheel_node_init(&r->timer, on_due);
    if (r->user.failed || r->password.failed || r->channel.failed) {
        free_all(r);
        return NULL;
    }
    wheel_set(&loop->wheel, &r->timer, 0); /* DOWN, and the pause is over */
    return r;
}

static void on_farewell(uv_handle_t *handle)
{
    free_all(list_item(handle, struct redis, farewell));
}

void redis_close(struct redis *r, void (*closed)(void *owner), void *owner)
{
    r->closing = true;
    r->closed = closed;
    r->owner = owner;
    r->state = REDIS_DOWN;
    tell_all(r, &r->pending, NULL);
    tell_all(r, &r->moved, NULL);
    if (r->resolve) resolve_cancel(r->resolve);
    r->resolve = NULL;
    wheel_cancel(&r->timer);
    if (r->has_stream) {
        stream_close(&r->stream);
        return;
    }
    /* Not under the feet of whoever calls; and a handle that closes keeps the loop alive. */
    uv_timer_init(r->loop->uv, &r->farewell);
    uv_close((uv_handle_t *)&r->farewell, on_farewell);
}
