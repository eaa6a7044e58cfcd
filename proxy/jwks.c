#include "proxy/jwks.h"

#include "auth/web_identity.h"
#include "proxy/aws_client.h"
#include "proxy/aws_feed.h"
#include "proxy/io/wheel.h"
#include "proxy/random.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 60 * 1000,
    UNKNOWN_EVERY_MS = 60 * 1000, /* fetches for unknown keys; see the header */
};

struct jwks {
    struct http *http;
    struct log *log;
    struct map entries; /* by place */
    struct wheel wheel;
    bool closing;
};

/* One place where keys are. */
struct entry {
    struct jwks *jwks;
    struct list waits;
    struct aws_call call;
    struct wheel_node timer; /* the next fetch */
    struct jwks_set *set;    /* NULL: none */
    int64_t fetched_ms;      /* the set's age counts from here */
    int64_t unknown_ms;      /* the last fetch for an unknown key */
    uint64_t refresh_ms, keep_ms;
    uint32_t failures;
    bool fetching;
    char trouble[160];
    char place[];
};

struct jwks_set *jwks_set_ref(struct jwks_set *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void jwks_set_unref(struct jwks_set *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1) return;
    signature_keys_free(s->keys);
    free(s);
}

/* ---- fetching ------------------------------------------------------------------------------- */

static void wake(struct entry *e)
{
    struct list *node;
    while ((node = list_pop_front(&e->waits))) {
        struct jwks_wait *w = list_item(node, struct jwks_wait, node);
        w->ready(w);
    }
}

static void fetch_later(struct entry *e, uint64_t ms)
{
    /* A tenth less or more, so that many proxies do not ask at once. */
    wheel_set(&e->jwks->wheel, &e->timer, ms - ms / 10 + random_u64() % (ms / 5 + 1));
}

static void failed(struct entry *e, const char *why)
{
    uint64_t ms = RETRY_FIRST_MS;
    e->fetching = false;
    e->failures++;
    snprintf(e->trouble, sizeof e->trouble, "%s", why);
    for (uint32_t i = 1; i < e->failures && ms < RETRY_MAX_MS; i++) ms *= 2;
    if (e->set && aws_feed_now_ms() - e->fetched_ms > (int64_t)e->keep_ms) {
        jwks_set_unref(e->set);
        e->set = NULL;
    }
    log_event(e->jwks->log, EVENT_keys_failed, LOG_TEXT("place", e->place), LOG_TEXT("why", why),
              LOG_BOOL("old_keys_serve", e->set != NULL), LOG_U64("failures", e->failures),
              LOG_END);
    fetch_later(e, ms < RETRY_MAX_MS ? ms : RETRY_MAX_MS);
    wake(e);
}

struct jwks_set *jwks_set_new(struct slice jwks, struct err *err)
{
    struct jwks_set *s = calloc(1, sizeof *s);
    if (!s) {
        err_set(err, ERR_OUT_OF_MEMORY, "");
        return NULL;
    }
    atomic_init(&s->refs, 1);
    s->keys = signature_keys_parse(jwks, err);
    if (s->keys) return s;
    free(s);
    return NULL;
}

static void on_response(void *owner, const struct aws_response *response)
{
    struct entry *e = owner;
    struct err err;
    char why[96];
    if (response->failure != AWS_HTTP_OK) {
        failed(e, aws_http_failure_text(response->failure));
        return;
    }
    if (response->status != 200) {
        snprintf(why, sizeof why, "HTTP status %d instead of the keys", response->status);
        failed(e, why);
        return;
    }
    struct jwks_set *set = jwks_set_new(response->body, &err);
    if (!set) {
        failed(e, err.message);
        return;
    }
    jwks_set_unref(e->set);
    e->set = set;
    e->fetching = false;
    e->failures = 0;
    e->trouble[0] = '\0';
    e->fetched_ms = aws_feed_now_ms();
    log_event(e->jwks->log, EVENT_keys_fetched, LOG_TEXT("place", e->place), LOG_END);
    fetch_later(e, e->refresh_ms);
    wake(e);
}

static void fetch(struct entry *e)
{
    struct aws_request request = { 0 };
    if (e->fetching) return;
    e->fetching = true;
    aws_request_init(&request, "GET", slice_str(e->place));
    request.answer_cap_bytes = SIGNATURE_KEYS_MAX_BYTES;
    request.timeout_ms = 5000;
    bool sent = aws_request_add_host(&request) &&
                aws_request_add_header(&request, "Accept", slice_str("application/json")) &&
                aws_call_send(&e->call, e->jwks->http, &request, on_response, e);
    aws_request_fini(&request);
    if (!sent) failed(e, "the address is no URL, or out of memory");
}

static void on_due(struct wheel_node *node) { fetch(list_item(node, struct entry, timer)); }

/* ---- entries -------------------------------------------------------------------------------- */

/* Where an issuer's keys are: where the configuration says, else where OpenID Connect has them. */
static bool add_place(const struct config_issuer *issuer, struct buf *place)
{
    struct aws_request request = { 0 };
    bool ok = true;
    if (issuer->keys) {
        buf_add_str(place, issuer->keys);
    } else {
        ok = web_identity_keys_request(slice_str(issuer->issuer), &request);
        buf_add_slice(place, buf_slice(&request.url));
        aws_request_fini(&request);
    }
    buf_add_u8(place, 0);
    return ok && !place->failed;
}

static struct entry *find(struct jwks *j, const struct config_issuer *issuer)
{
    struct buf place = { 0 };
    struct entry *e = add_place(issuer, &place) ? map_get(&j->entries, slice_str(place.at)) : NULL;
    buf_fini(&place);
    return e;
}

static struct entry *find_or_make(struct jwks *j, const struct config_iam *iam,
                                  const struct config_issuer *issuer)
{
    struct buf place = { 0 };
    struct entry *e = NULL;
    if (add_place(issuer, &place)) e = map_get(&j->entries, slice_str(place.at));
    if (!e && place.len && !place.failed && (e = calloc(1, sizeof *e + place.len))) {
        memcpy(e->place, place.at, place.len);
        e->jwks = j;
        list_init(&e->waits);
        wheel_node_init(&e->timer, on_due);
        if (!map_put(&j->entries, slice_str(e->place), e)) {
            free(e);
            e = NULL;
        }
    }
    buf_fini(&place);
    if (!e) return NULL;
    e->refresh_ms = iam->keys_refresh_ms;
    e->keep_ms = iam->keys_keep_ms;
    return e;
}

void jwks_prepare(struct jwks *j, const struct config_iam *iam)
{
    for (size_t i = 0; i < iam->n_issuers; i++) {
        if (config_issuer_file(&iam->issuers[i])) continue;
        struct entry *e = find_or_make(j, iam, &iam->issuers[i]);
        if (e && !e->set) fetch(e);
    }
}

struct jwks_set *jwks_now(struct jwks *j, const struct config_issuer *issuer)
{
    struct entry *e = find(j, issuer);
    return e ? e->set : NULL;
}

const char *jwks_trouble(struct jwks *j, const struct config_issuer *issuer)
{
    struct entry *e = find(j, issuer);
    return e ? e->trouble : "";
}

bool jwks_want(struct jwks *j, const struct config_iam *iam, const struct config_issuer *issuer,
               bool unknown, struct jwks_wait *w)
{
    struct entry *e = j->closing ? NULL : find_or_make(j, iam, issuer);
    int64_t now_ms = aws_feed_now_ms();
    if (!e) return false;
    if (!e->fetching) {
        /* While fetches fail, the timer chooses when, not those who ask. */
        if (e->failures && wheel_is_set(&e->timer)) return false;
        if (unknown && e->unknown_ms && now_ms - e->unknown_ms < UNKNOWN_EVERY_MS &&
            now_ms >= e->unknown_ms)
            return false;
        if (unknown) e->unknown_ms = now_ms;
    }
    list_push_back(&e->waits, &w->node);
    fetch(e);
    return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

struct jwks *jwks_open(uv_loop_t *uv, struct http *http, struct log *log, struct map_seed seed)
{
    struct jwks *j = calloc(1, sizeof *j);
    if (!j) return NULL;
    j->http = http;
    j->log = log;
    map_init(&j->entries, seed);
    wheel_init(&j->wheel, uv);
    return j;
}

void jwks_close(struct jwks *j)
{
    struct entry *e;
    if (!j) return;
    j->closing = true;
    for (uint32_t at = 0; (e = map_next(&j->entries, &at)); at = 0) {
        map_remove(&j->entries, slice_str(e->place));
        wheel_cancel(&e->timer);
        aws_call_cancel(&e->call);
        wake(e);
        jwks_set_unref(e->set);
        free(e);
    }
    map_fini(&j->entries);
    wheel_fini(&j->wheel);
}

void jwks_free(struct jwks *j) { free(j); }
