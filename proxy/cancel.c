#include "proxy/cancel.h"

#include "protocol/frontend.h"
#include "proxy/random.h"
#include "proxy/server.h"

#include <stdlib.h>

/* ---- keys ----------------------------------------------------------------------------------- */

static struct slice name_of(const struct cancel_entry *e)
{
    return slice_of(e->name, sizeof e->name);
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++) at[i] = (uint8_t)(v >> (24 - 8 * i));
}

bool cancel_list(struct map *table, struct cancel_entry *entry, uint32_t pid, void *owner)
{
    do {
        /* JDBC wants a pid above zero. */
        put_u32(entry->name, pid ? pid : (random_u32() & 0x7fffffff) | 1);
        random_bytes(entry->name + 4, CANCEL_KEY_BYTES);
    } while (map_get(table, name_of(entry)));
    entry->listed = map_put(table, name_of(entry), owner);
    return entry->listed;
}

void cancel_unlist(struct map *table, struct cancel_entry *entry)
{
    if (entry->listed) map_remove(table, name_of(entry));
    entry->listed = false;
}

void *cancel_find(const struct map *table, uint32_t pid, struct slice key)
{
    struct cancel_entry wanted;
    if (key.len != CANCEL_KEY_BYTES) return NULL;
    put_u32(wanted.name, pid);
    memcpy(wanted.name + 4, key.at, CANCEL_KEY_BYTES);
    return map_get(table, name_of(&wanted));
}

/* ---- sending -------------------------------------------------------------------------------- */

/* One outgoing cancel: connect, (TLS as the session has it), 16 bytes, wait for the server to
 * close. The server closes after it has signalled, so a late cancel cannot hit what comes next. */
struct request {
    struct stream stream;
    struct cancel_wait *wait;
    struct env *env;
    struct server *server; /* NULL: it was closed meanwhile */
    void (*settled)(struct server *server);
    struct wheel_node timer;
    struct list node; /* server->cancelling */
    struct tls_context *tls;
    char *name; /* for TLS */
    uint32_t pid;
    uint8_t key[SERVER_KEY_MAX], key_len;
    bool asked_tls, sent;
};

static void finish(struct request *r)
{
    struct server *server = r->server;
    r->server = NULL;
    wheel_cancel(&r->timer);
    list_remove(&r->node);
    stream_close(&r->stream);
    cancel_wait_unref(r->wait);
    r->wait = NULL;
    if (!server) return;
    server->cancels--;
    r->settled(server);
}

static void send_key(struct request *r)
{
    struct buf out = { 0 };
    frontend_cancel(&out, r->pid, slice_of(r->key, r->key_len));
    stream_write_slice(&r->stream, buf_slice(&out));
    buf_wipe(&out);
    r->sent = true;
}

static void on_connected(struct stream *stream, const struct err *err)
{
    struct request *r = (struct request *)stream;
    if (err) {
        finish(r);
    } else if (!r->tls) {
        send_key(r);
    } else {
        struct buf out = { 0 };
        frontend_ssl_request(&out);
        stream_write_slice(stream, buf_slice(&out));
        buf_fini(&out);
        r->asked_tls = true;
    }
}

static void on_bytes(struct stream *stream, const char *at, size_t len)
{
    struct request *r = (struct request *)stream;
    struct err err;
    if (r->asked_tls && len == 1 && at[0] == 'S' &&
        stream_secure_client(stream, r->tls, r->name, &err)) {
        r->asked_tls = false;
        return;
    }
    finish(r);
}

static void on_secured(struct stream *stream, const struct err *err)
{
    struct request *r = (struct request *)stream;
    if (err)
        finish(r);
    else
        send_key(r);
}

static void on_end(struct stream *stream, enum stream_end end, const struct err *err)
{
    (void)end;
    (void)err;
    finish((struct request *)stream);
}

static void on_closed(struct stream *stream)
{
    struct request *r = (struct request *)stream;
    cancel_wait_unref(r->wait);
    tls_context_unref(r->tls);
    free(r->name);
    free(r);
}

static void on_drained(struct stream *stream) { (void)stream; }

static const struct stream_events events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_connected = on_connected,
    .on_secured = on_secured,
    .on_end = on_end,
    .on_closed = on_closed,
};

static void on_timeout(struct wheel_node *node) { finish(list_item(node, struct request, timer)); }

struct cancel_wait *cancel_wait_new(void (*over)(struct cancel_wait *w))
{
    struct cancel_wait *w = calloc(1, sizeof *w);
    if (!w) return NULL;
    atomic_init(&w->refs, 1);
    atomic_init(&w->found, false);
    w->over = over;
    return w;
}

struct cancel_wait *cancel_wait_ref(struct cancel_wait *w)
{
    if (w) atomic_fetch_add(&w->refs, 1);
    return w;
}

void cancel_wait_unref(struct cancel_wait *w)
{
    if (w && atomic_fetch_sub(&w->refs, 1) == 1) w->over(w);
}

void cancel_send(struct server *server, struct cancel_wait *wait,
                 void (*settled)(struct server *server))
{
    const struct realm_cluster *cluster = server->target->cluster;
    struct request *r = calloc(1, sizeof *r);
    struct err err;
    if (!r) return;
    r->env = server->env;
    r->server = server;
    r->settled = settled;
    r->wait = cancel_wait_ref(wait);
    r->pid = server->pid;
    r->key_len = server->key_len;
    memcpy(r->key, server->key, server->key_len);
    if (stream_is_tls(&server->stream)) {
        r->tls = tls_context_ref(cluster->tls);
        r->name = strdup(server_tls_name(server));
    }
    wheel_node_init(&r->timer, on_timeout);
    list_init(&r->node);
    if (!stream_connect(&r->stream, &r->env->streams, &events, &server->address, &err)) {
        stream_close(&r->stream);
        return;
    }
    server->cancels++;
    list_push_back(&server->cancelling, &r->node);
    wheel_set(&r->env->streams.wheel, &r->timer,
              server->target->realm->config->pool.cancel_timeout_ms);
    metrics_add(&r->env->metrics, METRIC_cancels_sent, 1);
}

void cancel_forget(struct server *server)
{
    list_each(node, &server->cancelling)
    {
        struct request *r = list_item(node, struct request, node);
        r->server = NULL;
        list_remove(node);
    }
    server->cancels = 0;
}
