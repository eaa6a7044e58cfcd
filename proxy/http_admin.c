#include "proxy/http_admin.h"

#include "proxy/address.h"
#include "proxy/console_way.h"
#include "proxy/dashboard/assets.h"
#include "proxy/http_api.h"
#include "proxy/http_reply.h"
#include "proxy/io/tls.h"
#include "proxy/metrics_page.h"
#include "proxy/ops/audit.h"
#include "proxy/shared.h"
#include "proxy/sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- /livez, /readyz ------------------------------------------------------------------------- */

static void say_live(const struct admin_request *r)
{
    struct buf body = { 0 };
    bool live = pulse_is_felt(&r->admin->view.overview->pulse, &body);
    if (live) buf_add_str(&body, "live\n");
    http_answer_text(r->x, live ? 200 : 503, NULL, &body);
}

/* A cluster where a pool fails and no pool has a server. One that nobody has tried is given the
 * benefit of the doubt, a pool that nobody has tried lately says nothing. */
static bool is_unreachable(const struct overview_answer *a, const char *cluster)
{
    bool tried = false;
    for (size_t i = 0; i < a->n_pools; i++) {
        const struct pool_facts *p = &a->pools[i];
        if (!slice_is(p->cluster, cluster)) continue;
        if (p->n[POOL_SERVERS_IDLE] + p->n[POOL_SERVERS_ACTIVE] > 0) return false;
        tried |= p->n[POOL_WHY] == POOL_WHY_UNREACHABLE || p->n[POOL_WHY] == POOL_WHY_REJECTED ||
                 p->n[POOL_WHY] == POOL_WHY_CREDENTIALS;
    }
    return tried;
}

static bool check_clusters(const struct overview_answer *a, struct buf *body)
{
    const struct config *config = a->overview->realm->config;
    size_t unreachable = 0;
    for (size_t i = 0; i < config->n_clusters; i++)
        unreachable += is_unreachable(a, config->clusters[i].name);
    bool fails = unreachable > 0 && unreachable == config->n_clusters;
    for (size_t i = 0; i < config->n_clusters; i++)
        if (is_unreachable(a, config->clusters[i].name))
            buf_addf(body, "%s: cluster %s cannot be reached\n", fails ? "failing" : "note",
                     config->clusters[i].name);
    return !fails;
}

static void add_notes(const struct overview *o, struct buf *body)
{
    const struct config *config = o->realm->config;
    const struct history_load *last = history_last(&o->history);
    uint64_t now_s = (uint64_t)time(NULL);
    if (last && !last->ok)
        buf_addf(body, "note: the last reload failed; configuration %llu stays in force\n",
                 (unsigned long long)o->realm->generation);
    if (audit_is_failing(o->shared->audit))
        buf_add_str(body, "note: the audit record cannot be written\n");
    for (size_t i = 0; i < config->n_roles; i++)
        if (config->roles[i].observe.line && config->roles[i].observe.until_s > now_s)
            buf_addf(body, "note: role %s only observes: its refusals are not carried out\n",
                     config->roles[i].name);
}

/* Who has no routing table where one is configured serves nobody. */
static bool check_routes(const struct route_keeper *keeper, struct buf *body)
{
    struct route_keeper_state s;
    route_keeper_state(keeper, &s);
    bool has_table = !s.is_kept || strcmp(s.from, "nowhere") != 0;
    if (!has_table) buf_add_str(body, "failing: no routing table yet\n");
    if (s.cache_is_used && !s.cache_is_up)
        buf_add_str(body, "note: the cache of routing tables is not connected\n");
    return has_table;
}

static void on_ready_known(struct overview_answer *a)
{
    struct buf body = { 0 }, checks = { 0 };
    bool ready = check_clusters(a, &checks);
    if (atomic_load(&a->overview->shared->draining)) {
        ready = false;
        buf_add_str(&checks, "failing: draining\n");
    }
    if (!pulse_is_felt(&a->overview->pulse, &checks)) ready = false;
    if (!check_routes(a->overview->keeper, &checks)) ready = false;
    add_notes(a->overview, &checks);
    buf_add_str(&body, ready ? "ready\n" : "not ready\n");
    buf_add_slice(&body, buf_slice(&checks));
    buf_addf(&body, "diagnosis: %s\n", a->diagnosis.findings[0].sentence);
    body.failed |= checks.failed;
    buf_fini(&checks);
    http_answer_text(a->owner, ready ? 200 : 503, NULL, &body);
}

static void say_ready(const struct admin_request *r)
{
    if (!overview_ask(r->admin->view.overview, on_ready_known, r->x, 0)) http_no_memory(r->x);
}

/* ---- /metrics, /drain ------------------------------------------------------------------------ */

static void on_metrics_known(struct overview_answer *a)
{
    struct buf page = { 0 };
    metrics_page(a, &page);
    http_answer_buf(a->owner, 200, METRICS_CONTENT_TYPE, NULL, &page);
}

static void say_metrics(const struct admin_request *r)
{
    if (!overview_ask(r->admin->view.overview, on_metrics_known, r->x, 0)) http_no_memory(r->x);
}

/* What SHUTDOWN WAIT_FOR_CLIENTS needs, and is recorded as. */
static void drain(const struct admin_request *r)
{
    struct http_admin *h = r->admin;
    struct admin_call call = { .command = &admin_commands[ADMIN_SHUTDOWN_WAIT_CLIENTS] };
    struct audit_who who = { .user = slice_str(r->who.user), .from = http_peer(r->x) };
    struct err err;
    if (!console_allows(h->view.log, h->view.overview->shared->audit, &who, r->who.level, &call,
                        &err)) {
        http_answer_err(r->x, 403, &err);
        return;
    }
    http_answer(r->x, 202, NULL, NULL, slice_str("draining\n"));
    h->view.drain(h->view.owner);
}

/* ---- the dashboard's files ------------------------------------------------------------------- */

static void say_asset(const struct admin_request *r)
{
    /* No script, style or connection but our own; nobody frames us; no form goes elsewhere. */
    static const char policy[] =
        "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
        "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'\r\n"
        "Cross-Origin-Opener-Policy: same-origin\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\n";
    struct asset a;
    if (asset_find(r->head->path, &a))
        http_answer(r->x, 200, a.type, policy, a.content);
    else
        http_answer(r->x, 404, NULL, NULL, slice_str("not found\n"));
}

/* ---- who is asked for what ------------------------------------------------------------------- */

enum need {
    NEED_NOTHING,
    NEED_LOCAL, /* on loopback nothing, elsewhere a login */
    NEED_LOGIN,
};

struct page {
    const char *path;
    bool on_health; /* on the health listener, too */
    bool acts;      /* POST; otherwise GET and HEAD */
    enum need need;
    void (*say)(const struct admin_request *r);
};

static const struct page pages[] = {
    { "/livez", true, false, NEED_NOTHING, say_live },
    { "/readyz", true, false, NEED_NOTHING, say_ready },
    { "/healthz", true, false, NEED_NOTHING, say_ready },
    { "/metrics", false, false, NEED_LOCAL, say_metrics },
    { "/drain", false, true, NEED_LOGIN, drain },
    { "/api/login", false, true, NEED_NOTHING, http_api_login },
    { "/api/logout", false, true, NEED_NOTHING, http_api_logout },
    { "/api/state", false, false, NEED_LOGIN, http_api_state },
    { "/api/command", false, true, NEED_LOGIN, http_api_command },
};
static const struct page asset_page = { "/", false, false, NEED_NOTHING, say_asset };

static const struct page *find_page(const struct http_admin *h, const struct http_server *s,
                                    struct slice path)
{
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        if (slice_is(path, pages[i].path) && (s == &h->admin || pages[i].on_health))
            return &pages[i];
    struct asset asset;
    return s == &h->admin && asset_find(path, &asset) ? &asset_page : NULL;
}

static bool is_own_origin(struct slice origin, struct slice host, bool tls)
{
    const char *scheme = tls ? "https://" : "http://";
    return slice_starts(origin, scheme) && slice_eq(slice_after(origin, strlen(scheme)), host);
}

static bool is_local_name(struct slice host)
{
    static const char *const local[] = { "127.0.0.1", "localhost", "[::1]" };
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        size_t n = strlen(local[i]);
        if (slice_starts(host, local[i]) && (host.len == n || host.at[n] == ':')) return true;
    }
    return false;
}

/* A page in a browser may send us a request, but cannot hide that it did; a name in the DNS that
 * leads to loopback, as in rebinding, shows in Host. */
static bool is_from_elsewhere(const struct http_admin *h, struct http_exchange *x,
                              const struct http_head *r)
{
    if (r->fetch_site.at && !slice_is(r->fetch_site, "none") &&
        !slice_is(r->fetch_site, "same-origin"))
        return true;
    if (r->origin.at && !is_own_origin(r->origin, r->host, http_tls(x) != NULL)) return true;
    return h->admin_is_local && r->host.at && !is_local_name(r->host);
}

/* With verify-ca and above nobody is heard who shows no certificate. */
static bool lacks_certificate(const struct http_admin *h, struct http_exchange *x)
{
    const struct config_listen_tls *tls = &h->view.overview->realm->config->admin.tls;
    struct tls *of_peer = http_tls(x);
    return of_peer && tls->mode >= CONFIG_TLS_VERIFY_CA && !tls_peer_is_verified(of_peer);
}

static void refuse_caller(const struct admin_request *r)
{
    static const char ask[] = "WWW-Authenticate: Basic realm=\"sluice\", charset=\"UTF-8\"\r\n";
    unsigned status = r->who.refusal;
    /* The dashboard's own requests are not to make the browser ask for a password. */
    const char *header = status == 401 && !r->head->fetch_site.at ? ask : NULL;
    http_answer(r->x, status, NULL, status == 503 ? "Retry-After: 1\r\n" : header,
                slice_str(status == 401   ? "a login is needed\n"
                          : status == 429 ? "too many failed logins, wait\n"
                                          : "busy, try again\n"));
}

static void on_identified(void *context, struct http_exchange *x, const struct http_caller *who)
{
    struct admin_request *r = context;
    r->who = *who;
    if (who->refusal)
        refuse_caller(r);
    else if (who->level == CONSOLE_NONE)
        http_answer(x, 403, NULL, NULL, slice_str("this user has no console rights\n"));
    else
        r->page->say(r);
    free(r);
}

static void identify(const struct admin_request *r)
{
    struct admin_request *kept = malloc(sizeof *kept);
    if (!kept) {
        http_no_memory(r->x);
        return;
    }
    *kept = *r;
    http_door_identify(&r->admin->door, r->x, r->head, on_identified, kept);
}

static void on_request(struct http_server *s, struct http_exchange *x, const struct http_head *head,
                       struct slice body)
{
    struct http_admin *h = s->owner;
    struct admin_request r = { .admin = h, .x = x, .head = head, .body = body };
    bool acts = head->method == HTTP_POST;
    r.page = find_page(h, s, head->path);
    if (!r.page)
        http_answer(x, 404, NULL, NULL, slice_str("not found\n"));
    else if (head->method == HTTP_OTHER || acts != r.page->acts)
        http_answer(x, 405, NULL, r.page->acts ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n",
                    slice_str("method not allowed\n"));
    else if (s == &h->admin && lacks_certificate(h, x))
        http_answer(x, 403, NULL, NULL, slice_str("a client certificate is needed\n"));
    else if (acts && is_from_elsewhere(h, x, head))
        http_answer(x, 403, NULL, NULL, slice_str("not from another site\n"));
    else if (r.page->need == NEED_LOGIN || (r.page->need == NEED_LOCAL && !h->admin_is_local))
        identify(&r);
    else
        r.page->say(&r);
}

/* ---- life ------------------------------------------------------------------------------------ */

/* A certificate that a reload brings is shown to the next connection. */
static struct tls_context *secured_by(struct http_server *s)
{
    return ((struct http_admin *)s->owner)->view.overview->realm->admin_tls;
}

static bool is_loopback(const union socket_address *at)
{
    struct address address = address_of(&at->any);
    return socket_is_local(at) || address_is_loopback(&address);
}

static bool open_one(struct http_admin *h, struct http_server *s, const struct config_address *at,
                     const char *directive, struct err *err)
{
    union socket_address address;
    if (!at->text) return true;
    if (!sockets_address(at, &address, err)) return false;
    bool local = is_loopback(&address), secured = h->view.overview->realm->admin_tls != NULL;
    if (s == &h->admin && !local && !secured) {
        err_set(err, ERR_CONFIG, "admin.address: \"%s\" is not on loopback", at->text);
        err_hint(err, "it needs admin.tls with a certificate; or use 127.0.0.1");
        return false;
    }
    int fd = sockets_take(h->view.sockets, &address, 0, 1, true);
    if (!http_server_open(s, &h->streams, &address, fd, on_request, h, err)) return false;
    if (s == &h->admin) {
        h->admin_is_local = local;
        s->must_secure = !local;
        s->secured_by = secured_by;
    }
    h->n_servers++;
    log_event(h->view.log, EVENT_listening, LOG_TEXT("address", at->text),
              LOG_TEXT("for", directive), LOG_BOOL("tls", s == &h->admin && secured), LOG_END);
    return true;
}

bool http_admin_open(struct http_admin *h, const struct http_admin_view *view, uv_loop_t *uv,
                     struct err *err)
{
    const struct config *config = view->overview->realm->config;
    *h = (struct http_admin){ .view = *view };
    if (!stream_loop_init(&h->streams, uv)) return err_set(err, ERR_OUT_OF_MEMORY, "");
    h->is_open = true;
    http_door_init(&h->door, view->overview, &h->streams, view->log);
    if (!overview_open(view->overview, &h->streams.wheel))
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
    h->is_open = false;
    http_door_close(&h->door);
    overview_stop(h->view.overview);
    if (h->n_servers == 0) stream_loop_fini(&h->streams);
    /* Each may be the last, so what is needed of `h` is read first. */
    bool admin = h->admin.owner && h->admin.listening;
    if (h->health.owner && h->health.listening) http_server_close(&h->health, on_server_closed);
    if (admin) http_server_close(&h->admin, on_server_closed);
}

size_t http_admin_sockets(const struct http_admin *h, int *fds, size_t cap)
{
    const struct http_server *servers[] = { &h->health, &h->admin };
    size_t n = 0;
    for (size_t i = 0; i < 2 && h->is_open; i++)
        if (servers[i]->owner && servers[i]->listening && n < cap) fds[n++] = servers[i]->listen.fd;
    return n;
}
