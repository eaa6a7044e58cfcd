#include "proxy/creds.h"

#include "proxy/aws_errand.h"
#include "proxy/aws_feed.h"
#include "proxy/places.h"
#include "proxy/random.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOGIN_MARGIN_MS = 60 * 1000, /* no login is begun with less left than this */
    DENIED_MS = 30 * 1000,       /* how long a refusal by AWS is remembered */
    FAILED_FIRST_MS = 1000,
    FAILED_MAX_MS = 20 * 1000,
    CALLS_PER_S = 5,
    CALLS_BURST = 10,
    FORGOTTEN_MS = 60 * 1000,    /* what came to nothing is remembered so long, for its failures */
    WANTED_MS = 60 * 1000,       /* somebody asked lately */
    SECOND_EVERY_MS = 30 * 1000, /* a refused login is replaced at most so often */
};

struct creds {
    uv_loop_t *uv;
    struct http *http;
    struct log *log;
    struct metrics *metrics; /* of the control thread */
    struct mailbox mailbox;
    struct wheel wheel;
    struct map entries, identities; /* by key */
    struct places places;
    uint64_t serial;
    int64_t calls_milli, filled_ms; /* the token bucket, in thousandths of a call */
    bool closing;
};

/* One login, and what it takes to fetch it. */
struct entry {
    struct creds *creds;
    char *key;
    struct realm *realm; /* held, for the cluster's settings */
    const struct realm_cluster *cluster;
    char *database, *db_user;
    struct place *place; /* NULL: the configuration names the endpoint */
    struct place_wait place_wait;
    struct aws_errand errand;
    struct list asks;
    struct wheel_node timer;     /* the next refresh */
    struct redshift_login fresh; /* between the errand's read and its end */
    struct creds_login *login;   /* NULL: none */
    int64_t issued_ms, refresh_ms, asked_ms, life_ms;
    int64_t blocked_until_ms, second_ms;
    struct err why; /* while blocked */
    uint32_t failures;
    bool fetching, second;
};

struct creds_ask {
    struct mail mail;
    struct list node; /* in its entry */
    struct wheel_node patience;
    uint64_t patience_ms;
    struct entry *entry;
    struct creds *creds;
    struct realm *realm;
    const struct realm_cluster *cluster;
    char *database, *db_user;
    struct mailbox *answer_to;
    struct creds_login *login;
    struct err err;
    /* The asking thread's alone. */
    creds_done *done;
    void *owner;
};

/* ---- logins --------------------------------------------------------------------------------- */

struct creds_login *creds_login_ref(struct creds_login *l)
{
    atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void creds_login_unref(struct creds_login *l)
{
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) != 1) return;
    secret_free(l->password);
    free(l->user);
    free(l->host);
    free(l);
}

static struct creds_login *login_new(const struct redshift_login *from, const struct place *place)
{
    struct creds_login *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    atomic_init(&l->refs, 1);
    l->user = strndup(from->user.at, from->user.len);
    l->password = secret_new(buf_slice(&from->password));
    l->expires_ms = from->expires_ms;
    if (place) {
        l->host = strdup(place_host(place));
        l->port = place_port(place);
    }
    if (l->user && l->password && (l->host || !place)) return l;
    creds_login_unref(l);
    return NULL;
}

bool creds_serves(const struct realm_cluster *cluster)
{
    enum config_source source = cluster->config->credentials.source;
    return source == CONFIG_SOURCE_IAM || source == CONFIG_SOURCE_IAM_WITH_IAM ||
           source == CONFIG_SOURCE_IAM_SERVERLESS;
}

/* ---- asking: the worker's side -------------------------------------------------------------- */

static void ask_free(struct creds_ask *a)
{
    creds_login_unref(a->login);
    realm_unref(a->realm);
    free(a->database);
    free(a->db_user);
    free(a);
}

/* Back on the asking thread. */
static void deliver_answer(struct mail *mail, void *owner)
{
    struct creds_ask *a = list_item(mail, struct creds_ask, mail);
    struct creds_login *login = a->login;
    (void)owner;
    if (a->done) {
        a->login = NULL;
        a->done(a->owner, login, login ? NULL : &a->err);
    }
    ask_free(a);
}

static void deliver_ask(struct mail *mail, void *owner);
static void on_impatient(struct wheel_node *node);

struct creds_ask *creds_ask(struct creds *c, struct realm *realm,
                            const struct realm_cluster *cluster, const char *database,
                            const char *db_user, uint64_t patience_ms, struct mailbox *answer_to,
                            creds_done *done, void *owner)
{
    struct creds_ask *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    a->mail.deliver = deliver_ask;
    list_init(&a->node);
    wheel_node_init(&a->patience, on_impatient);
    a->creds = c;
    a->realm = realm_ref(realm);
    a->cluster = cluster;
    a->database = strdup(database);
    a->db_user = strdup(db_user);
    a->patience_ms = patience_ms;
    a->answer_to = answer_to;
    a->done = done;
    a->owner = owner;
    if (a->database && a->db_user && mailbox_post(&c->mailbox, &a->mail)) return a;
    ask_free(a);
    return NULL;
}

void creds_ask_cancel(struct creds_ask *ask) { ask->done = NULL; }

/* ---- answering ------------------------------------------------------------------------------ */

/* From here on the ask is the asking thread's again. */
static void answer(struct creds_ask *a, struct creds_login *login, const struct err *err)
{
    list_remove(&a->node);
    wheel_cancel(&a->patience);
    if (login) a->login = creds_login_ref(login);
    if (err) a->err = *err;
    a->mail.deliver = deliver_answer;
    if (!mailbox_post(a->answer_to, &a->mail)) ask_free(a);
}

static void answer_all(struct entry *e, struct creds_login *login, const struct err *err)
{
    list_each(node, &e->asks) answer(list_item(node, struct creds_ask, node), login, err);
}

/* What goes on goes on; whoever asked hears how far it got. */
static void on_impatient(struct wheel_node *node)
{
    struct creds_ask *a = list_item(node, struct creds_ask, patience);
    struct err err;
    if (list_is_empty(&a->entry->place_wait.node))
        aws_errand_explain(&a->entry->errand, &err);
    else
        place_explain(a->entry->place, &err);
    answer(a, NULL, &err);
}

static bool is_usable(const struct entry *e, int64_t now_ms)
{
    if (!e->login) return false;
    /* Credentials that live for seconds only are a test's; half of their life is kept free. */
    int64_t margin_ms = e->life_ms / 2 < LOGIN_MARGIN_MS ? e->life_ms / 2 : LOGIN_MARGIN_MS;
    return now_ms < e->login->expires_ms - margin_ms;
}

static void schedule(struct entry *e, int64_t at_ms, int64_t now_ms)
{
    wheel_set(&e->creds->wheel, &e->timer, at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0);
}

static void drop_login(struct entry *e)
{
    creds_login_unref(e->login);
    e->login = NULL;
}

static void succeeded(struct entry *e, const struct redshift_login *from, int64_t now_ms)
{
    struct creds *c = e->creds;
    struct creds_login *login = login_new(from, e->place);
    struct err err;
    e->fetching = false;
    if (!login) {
        err_set(&err, ERR_OUT_OF_MEMORY, "");
        answer_all(e, NULL, &err);
        return;
    }
    drop_login(e);
    e->login = login;
    login->serial = ++c->serial;
    login->second = e->second;
    e->second = false;
    e->failures = 0;
    e->blocked_until_ms = 0;
    e->issued_ms = now_ms;
    e->life_ms = login->expires_ms > now_ms ? login->expires_ms - now_ms : 0;
    /* 70 to 80 % of the life, so that many proxies do not ask at once. */
    e->refresh_ms = now_ms + e->life_ms / 10 * 7 + e->life_ms / 10 * (random_u32() % 1000) / 1000;
    log_event(c->log, EVENT_credentials_fetched, LOG_TEXT("cluster", e->cluster->config->name),
              LOG_TEXT("db_user", e->db_user), LOG_TEXT("database", e->database),
              LOG_TEXT("login", login->user), LOG_U64("seconds", (uint64_t)e->life_ms / 1000),
              LOG_END);
    answer_all(e, login, NULL);
    schedule(e, e->refresh_ms, now_ms);
}

static uint64_t pause_ms(uint32_t failures)
{
    uint64_t ms = FAILED_FIRST_MS;
    for (uint32_t i = 1; i < failures && ms < FAILED_MAX_MS; i++) ms *= 2;
    if (ms > FAILED_MAX_MS) ms = FAILED_MAX_MS;
    return ms / 2 + random_u32() % (ms / 2 + 1);
}

static void failed(struct entry *e, const struct err *why, bool for_good)
{
    int64_t now_ms = aws_feed_now_ms();
    struct creds *c = e->creds;
    e->fetching = false;
    e->failures++;
    metrics_add(e->creds->metrics, METRIC_aws_calls_failed, 1);
    e->why = *why;
    if (e->why.code != ERR_WAREHOUSE_PAUSED)
        e->why.code = for_good ? ERR_CREDENTIALS_DENIED : ERR_NO_CREDENTIALS;
    e->blocked_until_ms = now_ms + (for_good ? DENIED_MS : (int64_t)pause_ms(e->failures));
    log_event(c->log, EVENT_credentials_failed, LOG_TEXT("cluster", e->cluster->config->name),
              LOG_TEXT("db_user", e->db_user), LOG_TEXT("database", e->database),
              LOG_U64("failures", e->failures), LOG_TEXT("why", e->why.message),
              LOG_TEXT("hint", e->why.hint), LOG_END);
    if (is_usable(e, now_ms))
        answer_all(e, e->login, NULL);
    else
        answer_all(e, NULL, &e->why);
    schedule(e, e->blocked_until_ms + (e->login ? 0 : FORGOTTEN_MS), now_ms);
}

/* ---- fetching ------------------------------------------------------------------------------- */

static struct entry *entry_of(struct aws_errand *e) { return list_item(e, struct entry, errand); }

static enum redshift_api api_of(const struct entry *e)
{
    switch (e->cluster->config->credentials.source) {
    case CONFIG_SOURCE_IAM_WITH_IAM: return REDSHIFT_WITH_IAM;
    case CONFIG_SOURCE_IAM_SERVERLESS: return REDSHIFT_WORKGROUP;
    default: return REDSHIFT_BY_USER;
    }
}

/* 0, or how long until the bucket has a call to give. */
static int64_t take_call(struct aws_errand *errand)
{
    struct creds *c = entry_of(errand)->creds;
    int64_t now_ms = aws_feed_now_ms();
    c->calls_milli += (now_ms - c->filled_ms) * CALLS_PER_S;
    if (c->calls_milli > CALLS_BURST * 1000 || c->calls_milli < 0)
        c->calls_milli = CALLS_BURST * 1000;
    c->filled_ms = now_ms;
    if (c->calls_milli < 1000) return (1000 - c->calls_milli) / CALLS_PER_S + 1;
    c->calls_milli -= 1000;
    return 0;
}

static bool build(struct aws_errand *errand, const struct aws_signer *signer,
                  struct aws_request *request, struct err *err)
{
    struct entry *e = entry_of(errand);
    const struct config_cluster *config = e->cluster->config;
    struct slice groups[64];
    struct redshift_order order = {
        .api = api_of(e),
        .name = slice_str(api_of(e) == REDSHIFT_WORKGROUP ? config->credentials.workgroup
                                                          : config->credentials.cluster_identifier),
        .database = slice_str(e->database),
        .db_user = slice_str(e->db_user),
        .db_groups = groups,
        .autocreate = config->autocreate,
        .duration_s = (uint32_t)(config->duration_ms / 1000),
    };
    for (size_t i = 0; i < config->db_groups.count && i < sizeof groups / sizeof *groups; i++)
        groups[order.db_group_count++] = slice_str(config->db_groups.items[i]);
    return redshift_login_request(&order, signer, request, err);
}

static bool read_answer(struct aws_errand *errand, const struct aws_response *response,
                        struct aws_error *error)
{
    struct entry *e = entry_of(errand);
    metrics_add(e->creds->metrics, METRIC_aws_calls, 1);
    redshift_login_fini(&e->fresh);
    return redshift_login_answer(api_of(e), response, &e->fresh, error);
}

static void done(struct aws_errand *errand, const struct err *err, bool for_good)
{
    struct entry *e = entry_of(errand);
    if (err)
        failed(e, err, for_good);
    else
        succeeded(e, &e->fresh, aws_feed_now_ms());
    redshift_login_fini(&e->fresh);
}

static const struct aws_errand_kind fetching = {
    .build = build, .read = read_answer, .done = done, .hold = take_call
};

static void fetch(struct entry *e)
{
    static const char *const calls[] = { "redshift GetClusterCredentials",
                                         "redshift GetClusterCredentialsWithIAM",
                                         "redshift-serverless GetCredentials" };
    aws_errand_start(&e->errand, redshift_service(api_of(e)), calls[api_of(e)]);
}

static void on_place(struct place_wait *w, const struct err *err, bool for_good)
{
    struct entry *e = list_item(w, struct entry, place_wait);
    if (err)
        failed(e, err, for_good);
    else
        fetch(e);
}

/* Where, then as whom. */
static void begin(struct entry *e)
{
    if (e->fetching) return;
    e->fetching = true;
    if (!e->place || place_use(e->place, &e->place_wait)) fetch(e);
}

/* ---- entries -------------------------------------------------------------------------------- */

static void entry_free(struct entry *e)
{
    struct err err;
    err_set(&err, ERR_SHUTTING_DOWN, "");
    answer_all(e, NULL, &err);
    wheel_cancel(&e->timer);
    aws_errand_stop(&e->errand);
    list_remove(&e->place_wait.node);
    redshift_login_fini(&e->fresh);
    drop_login(e);
    realm_unref(e->realm);
    free(e->database);
    free(e->db_user);
    free(e->key);
    free(e);
}

static void on_due(struct wheel_node *node)
{
    struct entry *e = list_item(node, struct entry, timer);
    int64_t now_ms = aws_feed_now_ms();
    bool is_forgotten = e->login ? now_ms - e->asked_ms > 2 * e->life_ms : true;
    if (e->fetching) return;
    if (is_forgotten && list_is_empty(&e->asks)) {
        /* Nobody has wanted it for two of its lives, or there is none: forgotten, not refreshed. */
        map_remove(&e->creds->entries, slice_str(e->key));
        entry_free(e);
    } else {
        begin(e);
    }
}

static struct aws_identity *identity_for(struct creds *c, const struct creds_ask *a,
                                         struct err *err)
{
    struct buf key = { 0 }, region = { 0 };
    const struct config *config = a->realm->config;
    struct config_aws settings = aws_identity_settings(config, a->cluster->config, &region);
    aws_identity_key(&settings, &key);
    struct aws_identity *id = key.failed ? NULL : map_get(&c->identities, buf_slice(&key));
    if (!id) {
        id = aws_identity_new(c->uv, c->http, a->realm->config, &settings, buf_slice(&key), err);
        if (id && !map_put(&c->identities, slice_str(id->key), id)) {
            aws_identity_free(id);
            id = NULL;
        }
    }
    buf_fini(&key);
    buf_fini(&region);
    return id;
}

/* All that the fetched login depends on: a reload that changes any of it makes another entry. */
static void add_key(const struct creds_ask *a, const struct aws_identity *id, struct buf *key)
{
    const struct config_cluster *config = a->cluster->config;
    const char *name = config->credentials.cluster_identifier
                           ? config->credentials.cluster_identifier
                           : config->credentials.workgroup;
    buf_addf(key, "%s%s\n%d\n%s\n%d\n%d\n%llu\n", id->key, config->name, config->credentials.source,
             name ? name : "", config->endpoint.text != NULL, config->autocreate,
             (unsigned long long)config->duration_ms);
    for (size_t i = 0; i < config->db_groups.count; i++)
        buf_addf(key, "%s\n", config->db_groups.items[i]);
    buf_addf(key, "\n%s\n%s", a->database, a->db_user);
    buf_add_u8(key, 0);
}

static struct entry *entry_new(struct creds *c, const struct creds_ask *a, struct aws_identity *id,
                               const char *key)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e) return NULL;
    e->creds = c;
    e->realm = realm_ref(a->realm);
    e->cluster = a->cluster;
    aws_errand_init(&e->errand, &fetching, id, &c->wheel);
    e->place_wait.ready = on_place;
    list_init(&e->place_wait.node);
    list_init(&e->asks);
    wheel_node_init(&e->timer, on_due);
    e->key = strdup(key);
    e->database = strdup(a->database);
    e->db_user = strdup(a->db_user);
    bool is_placed = a->cluster->config->endpoint.text != NULL;
    if (!is_placed) e->place = places_get(&c->places, a->cluster->config, id);
    if (e->key && e->database && e->db_user && (is_placed || e->place) &&
        map_put(&c->entries, slice_str(e->key), e))
        return e;
    entry_free(e);
    return NULL;
}

static struct entry *entry_for(struct creds *c, const struct creds_ask *a, struct err *err)
{
    struct buf key = { 0 };
    err_set(err, ERR_OUT_OF_MEMORY, "");
    struct aws_identity *id = identity_for(c, a, err);
    if (!id) return NULL;
    add_key(a, id, &key);
    struct entry *e = key.failed ? NULL : map_get(&c->entries, slice_str(key.at));
    if (!e && !key.failed) e = entry_new(c, a, id, key.at);
    buf_fini(&key);
    return e;
}

static void deliver_ask(struct mail *mail, void *owner)
{
    struct creds *c = owner;
    struct creds_ask *a = list_item(mail, struct creds_ask, mail);
    struct err err;
    int64_t now_ms = aws_feed_now_ms();
    if (c->closing) {
        err_set(&err, ERR_SHUTTING_DOWN, "");
        answer(a, NULL, &err);
        return;
    }
    struct entry *e = entry_for(c, a, &err);
    if (!e) {
        answer(a, NULL, &err);
        return;
    }
    e->asked_ms = now_ms;
    if (is_usable(e, now_ms)) {
        answer(a, e->login, NULL);
        if (now_ms >= e->refresh_ms && now_ms >= e->blocked_until_ms) begin(e);
    } else if (now_ms < e->blocked_until_ms) {
        answer(a, NULL, &e->why);
    } else {
        a->entry = e;
        list_push_back(&e->asks, &a->node);
        wheel_set(&c->wheel, &a->patience, a->patience_ms);
        begin(e);
    }
}

/* ---- SHOW CREDENTIALS ------------------------------------------------------------------------ */

static const char *word_of(const struct entry *e, int64_t now_ms)
{
    if (e->blocked_until_ms > now_ms) return is_usable(e, now_ms) ? "renewal fails" : "failing";
    if (e->fetching) return "fetching";
    if (!e->login) return "none";
    return is_usable(e, now_ms) ? "good" : "expired";
}

static uint64_t seconds_until(int64_t at_ms, int64_t now_ms)
{
    return at_ms > now_ms ? (uint64_t)(at_ms - now_ms) / 1000 : 0;
}

static void show_entry(const struct entry *e, int64_t now_ms, struct rows *r)
{
    uint64_t waiting = 0;
    list_each(node, &e->asks) waiting++;
    rows_text(r, slice_str(e->cluster->config->name));
    rows_text(r, slice_str(e->database));
    rows_text(r, slice_str(e->db_user));
    rows_text(r, slice_str(e->login ? e->login->user : ""));
    rows_text(r, slice_str(word_of(e, now_ms)));
    if (e->login) {
        rows_time(r, (uint64_t)e->login->expires_ms / 1000);
        rows_number(r, seconds_until(e->login->expires_ms, now_ms));
        rows_number(r, seconds_until(e->refresh_ms, now_ms));
    } else {
        rows_null(r);
        rows_null(r);
        rows_null(r);
    }
    rows_number(r, waiting);
    rows_number(r, e->failures);
    rows_text(r, slice_str(e->failures ? e->why.message : ""));
}

void creds_show(const struct creds *c, struct rows *r)
{
    uint32_t at = 0;
    const struct entry *e;
    while ((e = map_next(&c->entries, &at))) show_entry(e, aws_feed_now_ms(), r);
}

void creds_each(const struct creds *c, struct rows *r)
{
    uint32_t at = 0;
    const struct entry *e;
    while ((e = map_next(&c->entries, &at))) {
        struct buf name = { 0 };
        if (!e->login) continue;
        buf_addf(&name, "%s/%s/%s", e->cluster->config->name, e->database, e->db_user);
        rows_text(r, buf_slice(&name));
        rows_number(r, (uint64_t)e->login->expires_ms / 1000);
        buf_fini(&name);
    }
}

bool creds_failing(const struct creds *c, struct slice *cluster, struct slice *why)
{
    int64_t now_ms = aws_feed_now_ms();
    uint32_t at = 0;
    const struct entry *e;
    while ((e = map_next(&c->entries, &at))) {
        bool wanted = now_ms - e->asked_ms < WANTED_MS;
        if (!wanted || !e->failures || is_usable(e, now_ms)) continue;
        if (e->why.code == ERR_WAREHOUSE_PAUSED) continue; /* that is no want of credentials */
        *cluster = slice_str(e->cluster->config->name);
        *why = slice_str(e->why.message);
        return true;
    }
    return false;
}

/* ---- refused logins ------------------------------------------------------------------------- */

struct rejection {
    struct mail mail;
    uint64_t serial;
};

static void deliver_rejection(struct mail *mail, void *owner)
{
    struct creds *c = owner;
    struct rejection *r = list_item(mail, struct rejection, mail);
    int64_t now_ms = aws_feed_now_ms();
    uint32_t at = 0;
    struct entry *e;
    while ((e = map_next(&c->entries, &at))) {
        if (!e->login || e->login->serial != r->serial) continue;
        /* A user that does not exist is refused with any password: no storm of calls for it. */
        if (e->second_ms && now_ms - e->second_ms < SECOND_EVERY_MS) break;
        e->second_ms = now_ms;
        e->second = true;
        if (e->place) place_doubt(e->place); /* the name may have moved to another cluster */
        drop_login(e);
        break;
    }
    free(r);
}

void creds_reject(struct creds *c, const struct creds_login *login)
{
    struct rejection *r = calloc(1, sizeof *r);
    if (!r) return;
    r->mail.deliver = deliver_rejection;
    r->serial = login->serial;
    if (!mailbox_post(&c->mailbox, &r->mail)) free(r);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct creds *creds_open(uv_loop_t *uv, struct http *http, struct log *log, struct map_seed seed,
                         struct metrics *metrics)
{
    struct creds *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->uv = uv;
    c->http = http;
    c->log = log;
    c->metrics = metrics;
    c->filled_ms = aws_feed_now_ms();
    c->calls_milli = CALLS_BURST * 1000;
    map_init(&c->entries, seed);
    map_init(&c->identities, seed);
    if (!mailbox_open(&c->mailbox, uv, c)) {
        free(c);
        return NULL;
    }
    wheel_init(&c->wheel, uv);
    places_init(&c->places, &c->wheel, log, seed);
    return c;
}

static void on_mailbox_closed(struct mailbox *m)
{
    struct creds *c = m->owner;
    wheel_fini(&c->wheel);
}

void creds_free(struct creds *c) { free(c); }

void creds_close(struct creds *c)
{
    uint32_t at = 0;
    struct entry *e;
    struct aws_identity *id;
    if (!c) return;
    c->closing = true;
    while ((e = map_next(&c->entries, &at))) entry_free(e);
    places_fini(&c->places);
    at = 0;
    while ((id = map_next(&c->identities, &at))) aws_identity_free(id);
    map_fini(&c->entries);
    map_fini(&c->identities);
    mailbox_close(&c->mailbox, on_mailbox_closed);
}
