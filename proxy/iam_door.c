#include "proxy/iam_door.h"

#include "auth/redshift_credentials.h"
#include "proxy/aws_client.h"
#include "proxy/aws_feed.h"
#include "proxy/io/wheel.h"

#include <stdio.h>
#include <stdlib.h>

extern char **environ;

enum {
    REGIONS_MAX = 16,
    TOKENS_MAX = 65536,   /* remembered at once */
    QUESTIONS_MAX = 1024, /* to STS, under way at once */
    REFUSED_MS = 10 * 1000,
    ATTEMPTS = 3,
    PAUSE_MS = 300,
    TWIN_MS = 3000, /* see the header */
};

struct iam_door {
    struct http *http;
    struct mailbox mailbox;
    struct wheel wheel;
    struct map tokens; /* by hash */
    uint32_t questions;
    bool closing;
};

/* A token that came, by its hash; the token itself only while it is asked about. */
struct token {
    struct iam_door *door;
    struct realm *realm; /* held while it is asked about, and for single_use */
    char hash[SHA256_HEX_BYTES];
    struct iam_token opened;
    struct aws_call call;
    struct wheel_node timer; /* the next attempt, or to be forgotten */
    struct list asks;
    uint32_t attempts;
    struct address from; /* of its first bearer */
    int64_t judged_ms;
    enum iam_verdict verdict; /* once `judged` */
    struct iam_identity who;
    struct iam_refusal refusal;
    bool asking, judged;
};

struct iam_ask {
    struct mail mail;
    struct list node;
    struct realm *realm;
    struct iam_token token;
    struct address from;
    struct mailbox *answer_to;
    enum iam_verdict verdict;
    struct iam_identity who;
    struct iam_refusal refusal;
    /* The asking thread's alone. */
    iam_done *done;
    void *owner;
};

/* ---- rules ---------------------------------------------------------------------------------- */

struct rules {
    struct iam_token_rules rules;
    struct slice regions[REGIONS_MAX];
};

static void add_region(struct rules *r, struct slice region)
{
    if (region.len == 0 || r->rules.region_count == REGIONS_MAX) return;
    for (size_t i = 0; i < r->rules.region_count; i++)
        if (slice_eq(r->regions[i], region)) return;
    r->regions[r->rules.region_count++] = region;
}

/* Whose STS is asked: a fixed list, never what a token says. */
static void make_rules(const struct realm *realm, struct rules *r)
{
    const struct config *config = realm->config;
    struct aws_env env = { (const char *const *)environ };
    *r = (struct rules){ .rules.server_id = slice_str(config->server_id) };
    r->rules.max_age_s = (uint32_t)(config->iam.max_token_age_ms / 1000);
    r->rules.regions = r->regions;
    for (size_t i = 0; i < config->iam.regions.count; i++)
        add_region(r, slice_str(config->iam.regions.items[i]));
    if (r->rules.region_count > 0) return;
    add_region(r, slice_str(config->aws.region));
    add_region(r, aws_env_get(&env, "AWS_REGION"));
    add_region(r, aws_env_get(&env, "AWS_DEFAULT_REGION"));
    for (size_t i = 0; i < config->n_clusters; i++) {
        struct redshift_host host;
        add_region(r, slice_str(config->clusters[i].aws.region));
        if (redshift_host_parse(slice_str(config->clusters[i].endpoint.host), &host))
            add_region(r, host.region);
    }
}

bool iam_user_is(const struct user *user, const struct iam_identity *who)
{
    struct iam_pattern pattern;
    struct err ignored;
    for (uint32_t i = 0; user && i < user->arn_count; i++)
        if (iam_pattern_parse(user->arns[i], &pattern, &ignored) &&
            iam_pattern_matches(&pattern, who))
            return true;
    return false;
}

/* ---- asking: the worker's side -------------------------------------------------------------- */

static void ask_free(struct iam_ask *a)
{
    iam_token_fini(&a->token);
    realm_unref(a->realm);
    free(a);
}

static void deliver_answer(struct mail *mail, void *owner)
{
    struct iam_ask *a = list_item(mail, struct iam_ask, mail);
    (void)owner;
    if (a->done) a->done(a->owner, a->verdict, &a->who, &a->refusal);
    ask_free(a);
}

static void deliver_ask(struct mail *mail, void *owner);

static bool open_token(struct iam_ask *a, struct slice password, struct iam_refusal *refusal)
{
    struct rules r;
    make_rules(a->realm, &r);
    enum iam_token_kind kind = iam_token_kind_of(password);
    if (kind == IAM_TOKEN_RDS || kind == IAM_TOKEN_EKS) {
        iam_token_refuse_kind(kind, r.rules.server_id, refusal);
        return false;
    }
    if (kind == IAM_TOKEN_JWT) {
        snprintf(refusal->reason, sizeof refusal->reason,
                 "the password is a web identity token, which is not accepted here");
        return err_set(&refusal->client, ERR_LOGIN_FAILED, "");
    }
    return iam_token_open(&r.rules, password, aws_feed_now_ms(), &a->token, refusal);
}

static bool is_unavailable(struct iam_refusal *refusal, const char *why)
{
    *refusal = (struct iam_refusal){ 0 };
    snprintf(refusal->reason, sizeof refusal->reason, "%s", why);
    return err_set(&refusal->client, ERR_LOGIN_UNAVAILABLE, "");
}

struct iam_ask *iam_ask(struct iam_door *d, struct realm *realm, struct slice password,
                        const struct address *from, struct mailbox *answer_to, iam_done *done,
                        void *owner, struct iam_refusal *refusal)
{
    struct iam_ask *a = calloc(1, sizeof *a);
    *refusal = (struct iam_refusal){ 0 };
    if (!a) {
        is_unavailable(refusal, "out of memory");
        return NULL;
    }
    a->mail.deliver = deliver_ask;
    list_init(&a->node);
    a->realm = realm_ref(realm);
    a->from = *from;
    a->answer_to = answer_to;
    a->done = done;
    a->owner = owner;
    if (open_token(a, password, refusal)) {
        if (mailbox_post(&d->mailbox, &a->mail)) return a;
        is_unavailable(refusal, "shutting down");
    }
    ask_free(a);
    return NULL;
}

void iam_ask_cancel(struct iam_ask *ask) { ask->done = NULL; }

/* ---- answering ------------------------------------------------------------------------------ */

/* From here on the ask is the asking thread's again. */
static void answer(struct iam_ask *a, enum iam_verdict verdict, const struct iam_identity *who,
                   const struct iam_refusal *refusal)
{
    list_remove(&a->node);
    a->verdict = verdict;
    if (verdict == IAM_ACCEPTED)
        a->who = *who;
    else
        a->refusal = *refusal;
    a->mail.deliver = deliver_answer;
    if (!mailbox_post(a->answer_to, &a->mail)) ask_free(a);
}

static void refuse_used(struct iam_ask *a)
{
    struct iam_refusal refusal = { 0 };
    snprintf(refusal.reason, sizeof refusal.reason, "the token of key %s was used before",
             a->token.key_id);
    err_set(&refusal.client, ERR_LOGIN_FAILED, "this IAM token was used before");
    err_hint(&refusal.client, "make one for each connection: sluice token --server-id %s",
             a->realm->config->server_id);
    answer(a, IAM_REFUSED, NULL, &refusal);
}

static bool is_same_bearer(const struct token *t, const struct iam_ask *a)
{
    return aws_feed_now_ms() - t->judged_ms < TWIN_MS && a->from.family == t->from.family &&
           memcmp(a->from.bytes, t->from.bytes, sizeof t->from.bytes) == 0;
}

static void answer_judged(struct token *t, struct iam_ask *a)
{
    if (t->verdict == IAM_ACCEPTED && a->realm->config->iam.single_use && !is_same_bearer(t, a))
        refuse_used(a);
    else
        answer(a, t->verdict, &t->who, &t->refusal);
}

static void token_free(struct token *t)
{
    map_remove(&t->door->tokens, slice_str(t->hash));
    if (t->asking) t->door->questions--;
    aws_call_cancel(&t->call);
    wheel_cancel(&t->timer);
    iam_token_fini(&t->opened);
    realm_unref(t->realm);
    free(t);
}

/* ---- asking STS ----------------------------------------------------------------------------- */

static void judged(struct token *t, enum iam_verdict verdict)
{
    int64_t until_ms = t->opened.usable_until_ms - aws_feed_now_ms();
    t->judged = true;
    t->judged_ms = aws_feed_now_ms();
    t->verdict = verdict;
    list_each(node, &t->asks) answer_judged(t, list_item(node, struct iam_ask, node));
    if (verdict == IAM_UNAVAILABLE) {
        token_free(t);
        return;
    }
    t->door->questions--;
    t->asking = false;
    iam_token_fini(&t->opened); /* what STS has judged is not needed any more */
    if (verdict == IAM_REFUSED) until_ms = REFUSED_MS;
    wheel_set(&t->door->wheel, &t->timer, until_ms > 0 ? (uint64_t)until_ms : 0);
}

static void on_response(void *owner, const struct aws_response *response)
{
    struct token *t = owner;
    enum iam_verdict verdict = iam_token_judge(&t->opened, response, &t->who, &t->refusal);
    if (verdict == IAM_UNAVAILABLE && t->attempts < ATTEMPTS)
        wheel_set(&t->door->wheel, &t->timer, (uint64_t)PAUSE_MS << (t->attempts - 1));
    else
        judged(t, verdict);
}

static void ask_sts(struct token *t)
{
    struct aws_env env = { (const char *const *)environ };
    struct slice connect_to =
        aws_endpoint_override(&env, NULL, (struct slice){ 0 }, aws_service(AWS_STS)->id);
    struct aws_request request = { 0 };
    struct rules r;
    make_rules(t->realm, &r);
    t->attempts++;
    if (!iam_token_request(&r.rules, &t->opened, connect_to, &request) ||
        !aws_call_send(&t->call, t->door->http, &request, on_response, t)) {
        is_unavailable(&t->refusal, "out of memory");
        judged(t, IAM_UNAVAILABLE);
    }
    aws_request_fini(&request);
}

static void on_due(struct wheel_node *node)
{
    struct token *t = list_item(node, struct token, timer);
    if (t->judged)
        token_free(t);
    else
        ask_sts(t);
}

static struct token *token_new(struct iam_door *d, struct iam_ask *a)
{
    struct token *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    memcpy(t->hash, a->token.hash, sizeof t->hash);
    if (!map_put(&d->tokens, slice_str(t->hash), t)) {
        free(t);
        return NULL;
    }
    t->door = d;
    t->realm = realm_ref(a->realm);
    t->from = a->from;
    t->opened = a->token;
    a->token.session_token = (struct buf){ 0 }; /* handed over */
    list_init(&t->asks);
    wheel_node_init(&t->timer, on_due);
    t->asking = true;
    d->questions++;
    return t;
}

static void deliver_ask(struct mail *mail, void *owner)
{
    struct iam_door *d = owner;
    struct iam_ask *a = list_item(mail, struct iam_ask, mail);
    struct token *t = d->closing ? NULL : map_get(&d->tokens, slice_str(a->token.hash));
    if (t && t->judged) {
        answer_judged(t, a);
        return;
    }
    bool is_new = !t;
    bool full = d->questions >= QUESTIONS_MAX || d->tokens.count >= TOKENS_MAX;
    if (is_new && !full && !d->closing) t = token_new(d, a);
    if (!t) {
        struct iam_refusal refusal;
        is_unavailable(&refusal, "too many logins by token at once");
        answer(a, IAM_UNAVAILABLE, NULL, &refusal);
        return;
    }
    list_push_back(&t->asks, &a->node);
    if (is_new) ask_sts(t);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct iam_door *iam_door_open(uv_loop_t *uv, struct http *http, struct map_seed seed)
{
    struct iam_door *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->http = http;
    map_init(&d->tokens, seed);
    if (!mailbox_open(&d->mailbox, uv, d)) {
        free(d);
        return NULL;
    }
    wheel_init(&d->wheel, uv);
    return d;
}

static void on_mailbox_closed(struct mailbox *m)
{
    struct iam_door *d = m->owner;
    map_fini(&d->tokens);
    wheel_fini(&d->wheel);
}

void iam_door_close(struct iam_door *d)
{
    struct token *t;
    if (!d) return;
    d->closing = true;
    for (uint32_t at = 0; (t = map_next(&d->tokens, &at)); at = 0) {
        is_unavailable(&t->refusal, "shutting down");
        if (t->judged)
            token_free(t);
        else
            judged(t, IAM_UNAVAILABLE);
    }
    mailbox_close(&d->mailbox, on_mailbox_closed);
}

void iam_door_free(struct iam_door *d) { free(d); }
