#include "proxy/aws_errand.h"

#include "proxy/aws_feed.h"
#include "proxy/random.h"

enum { ATTEMPTS = 5 };

static void proceed(struct aws_errand *e);

static void finish(struct aws_errand *e, const struct err *err, bool for_good)
{
    e->under_way = false;
    e->kind->done(e, err, for_good);
}

static void pause_for(struct aws_errand *e, int64_t ms)
{
    wheel_set(e->wheel, &e->timer, (uint64_t)ms);
}

/* Whether the call is to be made again, and if so begins it. */
static bool again(struct aws_errand *e, const struct aws_error *error, const struct aws_response *r)
{
    int64_t now_ms = aws_feed_now_ms(), skew_ms;
    uint32_t delay_ms;
    if (error->fault == AWS_FAULT_EXPIRED && !e->keys_renewed) {
        e->keys_renewed = true;
        aws_identity_drop_keys(e->identity);
        proceed(e);
        return true;
    }
    if (error->fault == AWS_FAULT_CLOCK && !e->clock_set &&
        aws_response_skew(r, now_ms, AWS_TIMEOUT_MS, &skew_ms)) {
        e->clock_set = true;
        e->identity->skew_ms = skew_ms;
        proceed(e);
        return true;
    }
    e->retry.attempts++;
    if (!aws_retry_again(&e->retry, error, r, random_u32(), &delay_ms)) return false;
    pause_for(e, delay_ms);
    return true;
}

static void on_response(void *owner, const struct aws_response *response)
{
    struct aws_errand *e = owner;
    struct aws_error error;
    struct err err = { 0 };
    if (e->kind->read(e, response, &error)) {
        aws_retry_done(&e->retry);
        finish(e, NULL, false);
        return;
    }
    e->last = error;
    if (again(e, &error, response)) return;
    aws_error_to_err(&error, e->what, &err);
    finish(e, &err, error.fault == AWS_FAULT_DENIED);
}

static void call(struct aws_errand *e)
{
    struct aws_signer signer;
    struct aws_request request = { 0 };
    struct err err = { 0 };
    bool written = aws_identity_signer(e->identity, e->service, &signer, &err) &&
                   e->kind->build(e, &signer, &request, &err);
    bool sent = written && aws_call_send(&e->call, e->identity->http, &request, on_response, e);
    aws_request_fini(&request);
    if (written && !sent) err_set(&err, ERR_OUT_OF_MEMORY, "");
    if (!sent) finish(e, &err, !written);
}

static void proceed(struct aws_errand *e)
{
    if (!aws_identity_use(e->identity, &e->wait)) return;
    int64_t wait_ms = e->kind->hold ? e->kind->hold(e) : 0;
    if (wait_ms > 0)
        pause_for(e, wait_ms);
    else
        call(e);
}

static void on_keys(struct aws_identity_wait *w, const struct err *err)
{
    struct aws_errand *e = list_item(w, struct aws_errand, wait);
    if (err)
        finish(e, err, false);
    else
        proceed(e);
}

static void on_due(struct wheel_node *node) { proceed(list_item(node, struct aws_errand, timer)); }

void aws_errand_init(struct aws_errand *e, const struct aws_errand_kind *kind,
                     struct aws_identity *identity, struct wheel *wheel)
{
    *e = (struct aws_errand){ .kind = kind, .identity = identity, .wheel = wheel };
    e->wait.ready = on_keys;
    list_init(&e->wait.node);
    wheel_node_init(&e->timer, on_due);
}

void aws_errand_start(struct aws_errand *e, enum aws_service service, const char *what)
{
    if (e->under_way) return;
    e->under_way = true;
    e->keys_renewed = e->clock_set = false;
    e->last = (struct aws_error){ 0 };
    e->service = service;
    e->what = what;
    e->retry = (struct aws_retry){ .quota = &e->identity->quota, .max_attempts = ATTEMPTS };
    proceed(e);
}

void aws_errand_stop(struct aws_errand *e)
{
    e->under_way = false;
    wheel_cancel(&e->timer);
    aws_call_cancel(&e->call);
    list_remove(&e->wait.node);
}

void aws_errand_explain(const struct aws_errand *e, struct err *err)
{
    if (e->last.fault != AWS_FAULT_NONE)
        aws_error_to_err(&e->last, e->what, err);
    else if (!list_is_empty(&e->wait.node))
        err_set(err, ERR_NO_CREDENTIALS, "the proxy has no AWS keys yet: still searching");
    else
        err_set(err, ERR_NO_CREDENTIALS, "%s: no answer yet", e->what ? e->what : "AWS");
}
