#include "proxy/http_admin.h"

#include "protocol/wire.h"
#include "proxy/metrics_page.h"
#include "proxy/ops/audit.h"
#include "proxy/shared.h"
#include "proxy/survey.h"
#include "proxy/worker.h"

#include <stdio.h>
#include <time.h>

/* ---- asking the workers ------------------------------------------------------------------------
 */

/* A survey that an exchange waits for. */
static bool ask(struct http_admin *h, struct http_exchange *x,
                void (*visit)(struct worker *w, struct survey_part *part),
                void (*done)(struct survey *s))
{
    struct survey *s = survey_new(h->view.shared);
    if (!s) return false;
    s->visit = visit;
    s->done = done;
    s->home = h->view.home;
    s->owner = x;
    s->number = (uint64_t)(uintptr_t)h;
    survey_start(s, h->view.shared);
    return true;
}

static struct http_admin *asker(const struct survey *s)
{
    return (struct http_admin *)(uintptr_t)s->number;
}

static void answer_text(struct http_exchange *x, unsigned status, const char *header,
                        struct buf *body)
{
    if (body->failed)
        http_answer(x, 500, NULL, NULL, slice_str("out of memory\n"));
    else
        http_answer(x, status, NULL, header, buf_slice(body));
    buf_fini(body);
}

static void no_memory(struct http_exchange *x)
{
    http_answer(x, 500, NULL, NULL, slice_str("out of memory\n"));
}

/* ---- /livez, /readyz ---------------------------------------------------------------------------
 */

static void say_live(struct http_admin *h, struct http_exchange *x)
{
    struct buf body = { 0 };
    bool live = pulse_is_felt(&h->pulse, &body);
    if (live) buf_add_str(&body, "live\n");
    answer_text(x, live ? 200 : 503, NULL, &body);
}

/* Of each pool: its cluster, and whether that cannot be reached at the moment. */
static void visit_reach(struct worker *w, struct survey_part *part)
{
    uint32_t at = 0;
    const struct pool *p;
    while ((p = map_next(&w->pools, &at))) {
        bool fails = p->failures > 0 && p->count[POOL_IDLE] + p->count[POOL_BUSY] == 0;
        rows_text(&part->rows, slice_str(p->target.cluster->config->name));
        rows_text(&part->rows, slice_str(fails ? "fails" : "works"));
    }
}

/* A cluster whose pools all fail. One that nobody has tried yet is given the benefit of the doubt.
 */
static bool is_unreachable(const struct survey *s, const char *cluster)
{
    bool tried = false;
    for (unsigned i = 0; i < s->n_parts; i++) {
        struct wire in = wire_of(buf_slice(&s->parts[i].rows.cells));
        while (wire_left(&in) && !in.bad) {
            struct slice name = wire_bytes(&in, wire_u32(&in));
            struct slice state = wire_bytes(&in, wire_u32(&in));
            if (!slice_is(name, cluster)) continue;
            if (slice_is(state, "works")) return false;
            tried = true;
        }
    }
    return tried;
}

static bool check_clusters(const struct survey *s, const struct realm *realm, struct buf *body)
{
    const struct config *config = realm->config;
    size_t unreachable = 0;
    for (size_t i = 0; i < config->n_clusters; i++)
        unreachable += is_unreachable(s, config->clusters[i].name);
    bool fails = unreachable > 0 && unreachable == config->n_clusters;
    for (size_t i = 0; i < config->n_clusters; i++)
        if (is_unreachable(s, config->clusters[i].name))
            buf_addf(body, "%s: cluster %s cannot be reached\n", fails ? "failing" : "note",
                     config->clusters[i].name);
    return !fails;
}

static void add_notes(const struct http_admin *h, struct buf *body)
{
    const struct config *config = h->view.realm->config;
    uint64_t now_s = (uint64_t)time(NULL);
    if (!h->view.last_reload_ok)
        buf_addf(body, "note: the last reload failed; configuration %llu stays in force\n",
                 (unsigned long long)h->view.realm->generation);
    if (audit_is_failing(h->view.shared->audit))
        buf_add_str(body, "note: the audit record cannot be written\n");
    for (size_t i = 0; i < config->n_roles; i++)
        if (config->roles[i].observe.line && config->roles[i].observe.until_s > now_s)
            buf_addf(body, "note: role %s only observes: its refusals are not carried out\n",
                     config->roles[i].name);
}

static void on_reach_known(struct survey *s)
{
    struct http_admin *h = asker(s);
    struct buf body = { 0 }, checks = { 0 };
    bool ready = check_clusters(s, h->view.realm, &checks);
    if (atomic_load(&h->view.shared->draining)) {
        ready = false;
        buf_add_str(&checks, "failing: draining\n");
    }
    if (!pulse_is_felt(&h->pulse, &checks)) ready = false;
    add_notes(h, &checks);
    buf_add_str(&body, ready ? "ready\n" : "not ready\n");
    buf_add_slice(&body, buf_slice(&checks));
    body.failed |= checks.failed;
    buf_fini(&checks);
    answer_text(s->owner, ready ? 200 : 503, NULL, &body);
    survey_free(s);
}

/* A worker that is stuck would not answer: then the rest need not be known. */
static void say_ready(struct http_admin *h, struct http_exchange *x)
{
    struct buf why = { 0 }, body = { 0 };
    if (pulse_is_felt(&h->pulse, &why)) {
        if (!ask(h, x, visit_reach, on_reach_known)) no_memory(x);
    } else {
        buf_addf(&body, "not ready\n%.*s", SLICE_ARG(buf_slice(&why)));
        answer_text(x, 503, NULL, &body);
    }
    buf_fini(&why);
}

/* ---- /metrics, /drain --------------------------------------------------------------------------
 */

static void on_pools_known(struct survey *s)
{
    struct http_admin *h = asker(s);
    struct buf page = { 0 };
    struct metrics_facts facts = {
        .shared = h->view.shared,
        .realm = h->view.realm,
        .now_ms = uv_now(h->streams.uv),
        .last_reload_ok = h->view.last_reload_ok,
    };
    metrics_page(s, &facts, &page);
    if (page.failed)
        no_memory(s->owner);
    else
        http_answer(s->owner, 200, METRICS_CONTENT_TYPE, NULL, buf_slice(&page));
    buf_fini(&page);
    survey_free(s);
}

static void say_metrics(struct http_admin *h, struct http_exchange *x)
{
    if (!ask(h, x, metrics_visit, on_pools_known)) no_memory(x);
}

/* A page in a browser may send us a request, but cannot hide that it did; a name in the DNS that
 * leads here, as in rebinding, shows in Host. */
static bool is_from_elsewhere(const struct http_head *r)
{
    static const char *const local[] = { "127.0.0.1", "localhost", "[::1]" };
    struct slice host = r->host;
    if (r->origin.at) return true;
    if (r->fetch_site.at && !slice_is(r->fetch_site, "none")) return true;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        size_t n = strlen(local[i]);
        if (slice_starts(host, local[i]) && (host.len == n || host.at[n] == ':')) return false;
    }
    return host.at != NULL;
}

static void drain(struct http_admin *h, struct http_exchange *x)
{
    log_event(h->view.log, LOG_WARNING, "admin.act", LOG_TEXT("from", http_peer(x)),
              LOG_TEXT("user", "http"), LOG_TEXT("command", "POST /drain"),
              LOG_BOOL("allowed", true), LOG_END);
    struct audit_who who = { .user = slice_str("http"), .from = http_peer(x) };
    if (!audit_act(h->view.shared->audit, &who, AUDIT_ALLOW, "DRAIN", slice_str(""))) {
        http_answer(x, 503, NULL, NULL, slice_str("this cannot be recorded at the moment\n"));
        return;
    }
    http_answer(x, 202, NULL, NULL, slice_str("draining\n"));
    h->view.drain(h->view.owner);
}

/* ---- who is asked for what ---------------------------------------------------------------------
 */

static const struct page {
    const char *path;
    bool on_health; /* on the health listener, too */
    bool acts;      /* POST; otherwise GET and HEAD */
    void (*say)(struct http_admin *h, struct http_exchange *x);
} pages[] = {
    { "/livez", true, false, say_live },    { "/readyz", true, false, say_ready },
    { "/healthz", true, false, say_ready }, { "/metrics", false, false, say_metrics },
    { "/drain", false, true, drain },
};

static void on_request(struct http_server *s, struct http_exchange *x, const struct http_head *r,
                       struct slice body)
{
    struct http_admin *h = s->owner;
    const struct page *page = NULL;
    (void)body;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (slice_is(r->path, pages[i].path) && (s == &h->admin || pages[i].on_health))
            page = &pages[i];
    bool acts = r->method == HTTP_POST;
    if (!page)
        http_answer(x, 404, NULL, NULL, slice_str("not found\n"));
    else if (r->method == HTTP_OTHER || acts != page->acts)
        http_answer(x, 405, NULL, page->acts ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n",
                    slice_str("method not allowed\n"));
    else if (acts && is_from_elsewhere(r))
        http_answer(x, 403, NULL, NULL, slice_str("not from another site\n"));
    else
        page->say(h, x);
}

/* ---- life --------------------------------------------------------------------------------------
 */

static bool address_for(const struct config_address *at, const char *directive,
                        union socket_address *out, struct err *err)
{
    char text[SOCKET_TEXT_BYTES];
    snprintf(text, sizeof text, "%s%s", at->is_unix ? "unix:" : "", at->host);
    return socket_address_parse(out, slice_str(text), at->port) ||
           err_set(err, ERR_CONFIG, "%s: \"%s\" is no numeric address", directive, at->text);
}

static bool is_loopback(const union socket_address *at)
{
    struct address address = address_of(&at->any);
    return address_is_loopback(&address);
}

static bool open_one(struct http_admin *h, struct http_server *s, const struct config_address *at,
                     const char *directive, struct err *err)
{
    union socket_address address;
    if (!at->text) return true;
    if (!address_for(at, directive, &address, err)) return false;
    if (s == &h->admin && !is_loopback(&address)) {
        err_set(err, ERR_CONFIG, "admin.address: \"%s\" is not on loopback", at->text);
        err_hint(err, "the admin listener has no TLS and no login yet; use 127.0.0.1");
        return false;
    }
    if (!http_server_open(s, &h->streams, &address, on_request, h, err)) return false;
    h->n_servers++;
    log_event(h->view.log, LOG_INFO, "listening", LOG_TEXT("address", at->text),
              LOG_TEXT("for", directive), LOG_END);
    return true;
}

bool http_admin_open(struct http_admin *h, const struct http_admin_view *view, uv_loop_t *uv,
                     struct err *err)
{
    const struct config *config = view->realm->config;
    *h = (struct http_admin){ .view = *view };
    if (!stream_loop_init(&h->streams, uv)) return err_set(err, ERR_OUT_OF_MEMORY, "");
    h->is_open = true;
    if (!pulse_open(&h->pulse, view->shared, &h->streams.wheel, uv))
        return err_set(err, ERR_OUT_OF_MEMORY, "");
    return open_one(h, &h->health, &config->health.address, "health.address", err) &&
           open_one(h, &h->admin, &config->admin.address, "admin.address", err);
}

static void on_server_closed(struct http_server *s)
{
    struct http_admin *h = s->owner;
    if (--h->n_servers == 0) stream_loop_fini(&h->streams);
}

void http_admin_close(struct http_admin *h)
{
    if (!h->is_open) return;
    pulse_stop(&h->pulse);
    if (h->n_servers == 0) stream_loop_fini(&h->streams);
    /* Each may be the last, so what is needed of `h` is read first. */
    bool admin = h->admin.owner && h->admin.listening;
    if (h->health.owner && h->health.listening) http_server_close(&h->health, on_server_closed);
    if (admin) http_server_close(&h->admin, on_server_closed);
}

void http_admin_free(struct http_admin *h) { pulse_free(&h->pulse); }
