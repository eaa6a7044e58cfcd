#include "proxy/http_api.h"

#include "protocol/json.h"
#include "proxy/console_way.h"
#include "proxy/http_reply.h"
#include "proxy/ops/audit.h"
#include "proxy/shared.h"
#include "proxy/totals.h"

#include <stdlib.h>

/* ---- small things ---------------------------------------------------------------------------- */

static void answer_error(struct http_exchange *x, unsigned status, enum err_code code,
                         const char *text)
{
    struct err err;
    err_set(&err, code, "%s", text);
    http_answer_err(x, status, &err);
}

static void no_memory(struct http_exchange *x)
{
    answer_error(x, 500, ERR_OUT_OF_MEMORY, "out of memory");
}

/* A page elsewhere can send a form, but not this without asking first (CORS). */
static bool is_json(const struct admin_request *r)
{
    static const char type[] = "application/json";
    struct slice given = r->head->content_type;
    if (given.len >= sizeof type - 1 &&
        slice_is_nocase(slice_of(given.at, sizeof type - 1), type) &&
        (given.len == sizeof type - 1 || given.at[sizeof type - 1] == ';'))
        return true;
    answer_error(r->x, 415, ERR_SYNTAX, "Content-Type: application/json is needed");
    return false;
}

static struct json_doc *parse(const struct admin_request *r)
{
    struct json_error error;
    struct json_doc *doc = json_parse(r->body, HTTP_BODY_MAX, &error);
    if (doc && json_type(json_root(doc)) == JSON_OBJECT) return doc;
    json_free(doc);
    answer_error(r->x, 400, ERR_SYNTAX, "the body is no JSON object");
    return NULL;
}

static struct slice member(const struct json_doc *doc, const char *key)
{
    const struct json_value *v = json_member(json_root(doc), slice_str(key));
    return v ? json_string(v) : (struct slice){ 0 };
}

/* ---- login, logout --------------------------------------------------------------------------- */

static void on_proved(void *context, struct http_exchange *x, const struct http_caller *who)
{
    struct http_admin *h = context;
    struct buf header = { 0 }, body = { 0 };
    if (who->refusal == 429) {
        answer_error(x, 429, ERR_LOGIN_FAILED, "too many failed logins from there, wait a while");
    } else if (who->refusal == 503) {
        answer_error(x, 503, ERR_LOGIN_FAILED, "busy, try again");
    } else if (who->refusal || who->level == CONSOLE_NONE) {
        /* Whether he exists, or has no console rights, is not said. */
        answer_error(x, 401, ERR_LOGIN_FAILED, "wrong user or password, or no console rights");
    } else if (!http_door_open_session(&h->door, x, who->user, &header)) {
        no_memory(x);
    } else {
        metrics_add(&h->view.overview->shared->metrics, METRIC_admin_logins, 1);
        log_event(h->view.log, EVENT_admin_login, LOG_TEXT("from", http_peer(x)),
                  LOG_TEXT("user", who->user), LOG_END);
        buf_add_str(&body, "{\"user\":");
        json_quote(&body, slice_str(who->user));
        buf_addf(&body, ",\"level\":\"%s\"}\n", admin_level_name(who->level));
        buf_add_u8(&header, 0);
        body.failed |= header.failed;
        http_answer_json(x, 200, header.at, &body);
    }
    buf_wipe(&header);
}

void http_api_login(const struct admin_request *r)
{
    if (!is_json(r)) return;
    struct json_doc *doc = parse(r);
    if (!doc) return;
    http_door_prove(&r->admin->door, r->x, member(doc, "user"), member(doc, "password"), on_proved,
                    r->admin);
    json_free(doc);
}

void http_api_logout(const struct admin_request *r)
{
    struct buf header = { 0 }, body = { 0 };
    http_door_close_session(&r->admin->door, r->head, r->x, &header);
    buf_add_u8(&header, 0);
    buf_add_str(&body, "{}\n");
    body.failed |= header.failed;
    http_answer_json(r->x, 200, header.at, &body);
    buf_fini(&header);
}

/* ---- state ----------------------------------------------------------------------------------- */

static void add_text(struct buf *out, const char *key, struct slice value)
{
    buf_addf(out, "\"%s\":", key);
    json_quote(out, value);
}

static void add_number(struct buf *out, const char *key, uint64_t value)
{
    buf_addf(out, ",\"%s\":%llu", key, (unsigned long long)value);
}

static void add_diagnosis(const struct diagnosis *d, struct buf *out)
{
    buf_add_str(out, ",\"diagnosis\":[");
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        buf_addf(out, "%s{\"severity\":\"%s\",\"cause\":\"%s\",\"culprit\":\"%s\",", i ? "," : "",
                 severity_word(f->severity), diagnosis_word(f->cause), diagnosis_culprit(f->cause));
        add_text(out, "sentence", slice_str(f->sentence));
        buf_add_u8(out, ',');
        add_text(out, "advice", slice_str(f->advice));
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

static void add_pools(const struct overview_answer *a, struct buf *out)
{
    static const struct {
        const char *key;
        enum pool_number number;
    } numbers[] = {
        { "login", POOL_SERVERS_LOGIN },
        { "idle", POOL_SERVERS_IDLE },
        { "active", POOL_SERVERS_ACTIVE },
        { "pinned", POOL_SERVERS_PINNED },
        { "clients", POOL_CLIENTS_ACTIVE },
        { "waiting", POOL_CLIENTS_WAITING },
        { "size", POOL_SIZE },
        { "paused", POOL_PAUSED },
        { "max_wait_ms", POOL_MAX_WAIT_MS },
        { "longest_ms", POOL_LONGEST_MS },
        { "failures", POOL_FAILURES },
        { "queries", POOL_QUERIES },
        { "query_ms", POOL_QUERY_MS },
        { "wait_ms", POOL_WAIT_MS },
        { "transactions", POOL_TRANSACTIONS },
    };
    buf_add_str(out, ",\"pools\":[");
    for (size_t i = 0; i < a->n_pools; i++) {
        const struct pool_facts *p = &a->pools[i];
        buf_add_str(out, i ? ",{" : "{");
        add_text(out, "pool", p->key);
        buf_add_u8(out, ',');
        add_text(out, "cluster", p->cluster);
        buf_add_u8(out, ',');
        add_text(out, "failure", p->failure);
        buf_add_u8(out, ',');
        add_text(out, "why", slice_str(pool_why_words((enum pool_why)p->n[POOL_WHY])));
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            add_number(out, numbers[k].key, p->n[numbers[k].number]);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

static void add_clusters(const struct realm *realm, struct buf *out)
{
    buf_add_str(out, ",\"clusters\":[");
    for (size_t i = 0; i < realm->config->n_clusters; i++) {
        const struct realm_cluster *c = &realm->clusters[i];
        buf_add_str(out, i ? ",{" : "{");
        add_text(out, "name", slice_str(c->config->name));
        add_number(out, "connections", atomic_load(&c->budget->taken));
        add_number(out, "max", c->config->max_connections);
        buf_add_u8(out, '}');
    }
    buf_add_u8(out, ']');
}

/* Those after the `since`-th, the oldest first: rows of numbers. */
static void add_samples(const struct samples *s, uint64_t since, struct buf *out)
{
    static const char columns[] =
        ",\"sample_columns\":[\"at\",\"clients\",\"waiting\",\"servers\",\"idle\",\"requests\","
        "\"denied\",\"logins\",\"logins_failed\",\"queries\",\"query_ms\",\"waits\",\"wait_ms\","
        "\"busy_us\",\"received\",\"sent\"]";
    uint64_t wanted = since < s->count ? s->count - since : 0;
    if (wanted > SAMPLES_KEPT) wanted = SAMPLES_KEPT;
    buf_add_str(out, columns);
    add_number(out, "sample_count", s->count);
    buf_add_str(out, ",\"samples\":[");
    for (uint64_t back = wanted; back-- > 0;) {
        const struct sample *one = samples_at(s, back);
        const uint64_t numbers[] = {
            one->at_s,    one->clients,  one->waiting,        one->servers,
            one->idle,    one->requests, one->denied,         one->logins,
            one->failed,  one->queries,  one->query_ms,       one->waits,
            one->wait_ms, one->busy_us,  one->received_bytes, one->sent_bytes,
        };
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
            buf_addf(out, "%c%llu", i ? ',' : '[', (unsigned long long)numbers[i]);
        buf_add_str(out, back ? "]," : "]");
    }
    buf_add_u8(out, ']');
}

/* A state that is asked for: by whom, and from which sample on. */
struct state_wish {
    struct http_exchange *x;
    struct http_caller who;
};

static void on_state_known(struct overview_answer *a)
{
    struct state_wish *wish = a->owner;
    const struct overview *o = a->overview;
    const struct history_load *last = history_last(&o->history);
    struct buf out = { 0 };
    buf_add_u8(&out, '{');
    add_text(&out, "server_id", slice_str(o->realm->config->server_id));
    buf_add_str(&out, ",\"version\":\"" SLUICE_VERSION "\",");
    add_text(&out, "user", slice_str(wish->who.user));
    buf_addf(&out, ",\"level\":\"%s\"", admin_level_name(wish->who.level));
    add_number(&out, "uptime_s", (uv_now(o->uv) - o->shared->started_ms) / 1000);
    add_number(&out, "generation", o->realm->generation);
    add_number(&out, "loaded_at", last ? last->at_s : 0);
    add_number(&out, "draining", atomic_load(&o->shared->draining));
    add_number(&out, "aws_calls", totals_metric(o->shared, METRIC_aws_calls));
    add_number(&out, "aws_calls_failed", totals_metric(o->shared, METRIC_aws_calls_failed));
    add_number(&out, "denied", totals_metric(o->shared, METRIC_denied));
    add_diagnosis(&a->diagnosis, &out);
    add_pools(a, &out);
    add_clusters(o->realm, &out);
    add_samples(&o->samples, a->number, &out);
    buf_add_str(&out, "}\n");
    http_answer_json(wish->x, 200, NULL, &out);
    free(wish);
}

static uint64_t since_of(struct slice query)
{
    static const char key[] = "since=";
    uint64_t n = 0;
    if (!slice_starts(query, key)) return 0;
    for (size_t i = sizeof key - 1; i < query.len && i < 24; i++) {
        if (query.at[i] < '0' || query.at[i] > '9') return 0;
        n = n * 10 + (uint64_t)(query.at[i] - '0');
    }
    return n;
}

void http_api_state(const struct admin_request *r)
{
    struct state_wish *wish = malloc(sizeof *wish);
    if (wish) *wish = (struct state_wish){ r->x, r->who };
    if (wish &&
        overview_ask(r->admin->view.overview, on_state_known, wish, since_of(r->head->query)))
        return;
    free(wish);
    no_memory(r->x);
}

/* ---- commands -------------------------------------------------------------------------------- */

struct errand {
    struct http_admin *admin;
    struct http_exchange *x;
    struct admin_call call;
};

static void say_done(struct http_exchange *x, const struct admin_call *call, uint64_t number)
{
    struct buf out = { 0 };
    buf_addf(&out, "{\"done\":\"%s\",\"count\":%llu}\n", call->command->words,
             (unsigned long long)number);
    http_answer_json(x, 200, NULL, &out);
}

/* Rows are written into `rows` by whoever calls. */
static void say_rows(struct http_exchange *x, const struct rows_shape *shape, struct buf *rows)
{
    struct buf out = { 0 };
    buf_add_str(&out, "{\"columns\":");
    rows_describe(shape, &out);
    buf_add_str(&out, ",\"rows\":[");
    buf_add_slice(&out, buf_slice(rows));
    buf_add_str(&out, "]}\n");
    out.failed |= rows->failed;
    buf_fini(rows);
    http_answer_json(x, 200, NULL, &out);
}

static struct rows_shape shape_of(const struct admin_call *call)
{
    return (struct rows_shape){ call->command->id, call->extended, 0, true };
}

static void say_own_rows(const struct errand *e, struct rows *r)
{
    struct rows_shape shape = shape_of(&e->call);
    struct buf rows = { 0 };
    rows_join(&shape, r, 1, e->admin->view.overview->shared->seed, NULL, NULL, &rows);
    say_rows(e->x, &shape, &rows);
}

static void on_asked(struct survey *s)
{
    struct errand *e = s->owner;
    struct rows_shape shape = shape_of(&e->call);
    const struct overview *o = e->admin->view.overview;
    struct buf rows = { 0 };
    struct err err;
    if (!console_found(&e->call, s, &err)) {
        http_answer_err(e->x, 404, &err);
    } else if (admin_has_rows(e->call.command)) {
        console_join(s, &shape, o->shared, uv_now(o->uv), &rows);
        say_rows(e->x, &shape, &rows);
    } else {
        say_done(e->x, &e->call, survey_sum(s));
    }
    survey_free(s);
    free(e);
}

static bool ask_workers(struct errand *e)
{
    struct survey *s = console_survey(&e->call, e->admin->view.overview->shared);
    if (!s) return false;
    s->done = on_asked;
    s->home = e->admin->view.home;
    s->owner = e;
    survey_start(s, e->admin->view.overview->shared);
    return true;
}

static void on_ordered(struct control_order *o)
{
    struct errand *e = o->owner;
    struct err err;
    if (!o->ok) {
        control_order_explain(o, &err);
        http_answer_err(e->x, 400, &err);
    } else if (admin_has_rows(e->call.command)) {
        say_own_rows(e, &o->rows);
    } else {
        say_done(e->x, &e->call, 0);
    }
    control_order_free(o);
    free(e);
}

static bool ask_control(struct errand *e, enum control_order_kind kind, const char *user)
{
    struct control_order *o = control_order_new(kind);
    if (!o) return false;
    o->done = on_ordered;
    o->home = e->admin->view.home;
    o->owner = e;
    o->show = e->call.command->id;
    buf_add_str(&o->words, e->call.argument);
    console_name(o->who, slice_str(user));
    return control_order_post(o, e->admin->view.overview->shared);
}

static void run(const struct admin_request *r, const struct admin_call *call)
{
    const struct console_way *way = &console_ways[call->command->id];
    struct errand *e = malloc(sizeof *e);
    struct rows rows = { 0 };
    bool fine = e != NULL;
    if (e) *e = (struct errand){ r->admin, r->x, *call };
    if (fine && way->visit) {
        fine = ask_workers(e);
    } else if (fine && way->for_control) {
        fine = ask_control(e, way->order, r->who.user);
    } else if (fine) {
        if (way->fill) {
            way->fill(r->admin->view.overview->realm, r->admin->view.log, &rows);
            say_own_rows(e, &rows);
            rows_fini(&rows);
        } else {
            say_done(r->x, call, 0);
        }
        free(e);
    }
    if (fine) return;
    free(e);
    no_memory(r->x);
}

/* One statement, and nothing behind it. */
static bool read_command(struct slice text, struct admin_call *call, struct err *err)
{
    switch (admin_read(&text, call, err)) {
    case ADMIN_READ_NOTHING: return err_set(err, ERR_SYNTAX, "no command");
    case ADMIN_READ_BAD: return false;
    case ADMIN_READ_CALL: break;
    }
    if (call->on_all)
        return err_set(err, ERR_SYNTAX, "ON ALL is for the console: psql, database \"sluice\"");
    return admin_is_blank(text) || err_set(err, ERR_SYNTAX, "one command at a time");
}

void http_api_command(const struct admin_request *r)
{
    struct admin_call call;
    struct err err;
    if (!is_json(r)) return;
    struct json_doc *doc = parse(r);
    if (!doc) return;
    bool understood = read_command(member(doc, "command"), &call, &err);
    json_free(doc);
    if (!understood) {
        http_answer_err(r->x, 400, &err);
        return;
    }
    struct audit_who who = { .user = slice_str(r->who.user), .from = http_peer(r->x) };
    if (console_allows(r->admin->view.log, r->admin->view.overview->shared->audit, &who,
                       r->who.level, &call, &err))
        run(r, &call);
    else
        http_answer_err(r->x, 403, &err);
}
