#include "proxy/iam_door.h"

#include "auth/rate.h"
#include "auth/web_identity.h"
#include "proxy/aws_feed.h"
#include "proxy/iam_once.h"
#include "proxy/iam_question.h"
#include "proxy/shared.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TOKENS_MAX = 65536, /* under way or just judged */
    REFUSED_MS = 10 * 1000,
    CACHED_MS = 60 * 1000, /* an identity, where tokens may be used again */
    TWIN_MS = 3000,        /* see the header */
};

struct iam_door {
    struct iam_world world;
    struct metrics *metrics; /* control's */
    struct mailbox mailbox;
    struct wheel wheel;
    struct map tokens; /* by hash */
    struct list line;  /* tokens to be asked about, first come first served */
    struct rate per_key, per_address;
    struct iam_once once;
    uint32_t questions; /* under way */
    bool closing, in_ask_next;
};

/* A token that came, by its hash; the token itself only while it is asked about. */
struct token {
    struct iam_door *door;
    struct realm *realm; /* held while it is asked about */
    char hash[SHA256_HEX_BYTES];
    struct iam_token opened; /* until it is asked about */
    struct buf jwt;          /* likewise */
    struct list line;
    struct iam_question question;
    struct iam_claiming claiming;
    struct wheel_node timer; /* to be forgotten */
    struct list asks;
    struct address from; /* of its first bearer */
    int64_t came_ms, judged_ms;
    enum iam_verdict verdict; /* once `judged` */
    struct iam_identity who;
    struct iam_refusal refusal;
    bool asking, claims, judged;
};

struct iam_ask {
    struct mail mail;
    struct list node;
    struct realm *realm;
    struct iam_token token;
    struct buf jwt; /* instead of the token */
    char hash[SHA256_HEX_BYTES];
    struct address from;
    struct mailbox *answer_to;
    enum iam_verdict verdict;
    struct iam_identity who;
    struct iam_refusal refusal;
    /* The asking thread's alone. */
    iam_done *done;
    void *owner;
};

bool iam_user_is(const struct user *user, const struct iam_identity *who)
{
    struct iam_pattern pattern;
    struct err ignored;
    if (!user) return false;
    bool is_function = user->function_count == 0;
    for (uint32_t i = 0; i < user->function_count; i++)
        is_function = is_function || iam_function_matches(user->functions[i], who);
    for (uint32_t i = 0; is_function && i < user->arn_count; i++)
        if (iam_pattern_parse(user->arns[i], &pattern, &ignored) &&
            iam_pattern_matches(&pattern, who))
            return true;
    return false;
}

/* ---- asking: the worker's side -------------------------------------------------------------- */

static void ask_free(struct iam_ask *a)
{
    iam_token_fini(&a->token);
    buf_wipe(&a->jwt);
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

static bool open_web_identity(struct iam_ask *a, struct slice jwt, struct iam_refusal *refusal)
{
    if (a->realm->config->iam.n_issuers == 0) {
        snprintf(refusal->reason, sizeof refusal->reason,
                 "the password is a web identity token, and there are no iam.issuers");
        err_set(&refusal->client, ERR_LOGIN_FAILED, "web identity tokens are not accepted here");
        err_hint(&refusal->client, "run: sluice token --server-id %s", a->realm->config->server_id);
        return false;
    }
    if (jwt.len > WEB_IDENTITY_MAX_BYTES) {
        snprintf(refusal->reason, sizeof refusal->reason, "the JWT is too long");
        err_set(&refusal->client, ERR_LOGIN_FAILED,
                "the web identity token is longer than %d bytes", WEB_IDENTITY_MAX_BYTES);
        err_hint(&refusal->client, "ask sts:GetWebIdentityToken for fewer tags");
        return false;
    }
    buf_add_slice(&a->jwt, jwt);
    if (!a->jwt.failed && sha256_hex(jwt, a->hash)) return true;
    iam_refuse_unavailable(refusal, "out of memory");
    return false;
}

static bool open_token(struct iam_ask *a, struct slice password, struct iam_refusal *refusal)
{
    struct iam_rules r;
    iam_rules_make(a->realm, &r);
    enum iam_token_kind kind = iam_token_kind_of(password);
    if (kind == IAM_TOKEN_RDS || kind == IAM_TOKEN_EKS) {
        iam_token_refuse_kind(kind, r.rules.server_id, refusal);
        return false;
    }
    if (kind == IAM_TOKEN_JWT) return open_web_identity(a, password, refusal);
    if (!iam_token_open(&r.rules, password, aws_feed_now_ms(), &a->token, refusal)) return false;
    memcpy(a->hash, a->token.hash, sizeof a->hash);
    return true;
}

struct iam_ask *iam_ask(struct iam_door *d, struct realm *realm, struct slice password,
                        const struct address *from, struct mailbox *answer_to, iam_done *done,
                        void *owner, struct iam_refusal *refusal)
{
    struct iam_ask *a = calloc(1, sizeof *a);
    *refusal = (struct iam_refusal){ 0 };
    if (!a) {
        iam_refuse_unavailable(refusal, "out of memory");
        return NULL;
    }
    a->mail.deliver = deliver_ask;
    list_init(&a->node);
    a->jwt.secret = true;
    a->realm = realm_ref(realm);
    a->from = *from;
    a->answer_to = answer_to;
    a->done = done;
    a->owner = owner;
    if (open_token(a, password, refusal)) {
        if (mailbox_post(&d->mailbox, &a->mail)) return a;
        iam_refuse_unavailable(refusal, "shutting down");
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

static void answer_unavailable(struct iam_ask *a, const char *why)
{
    struct iam_refusal refusal;
    iam_refuse_unavailable(&refusal, why);
    answer(a, IAM_UNAVAILABLE, NULL, &refusal);
}

static void say_used(struct iam_refusal *refusal, const struct realm *realm)
{
    *refusal = (struct iam_refusal){ 0 };
    snprintf(refusal->reason, sizeof refusal->reason, "the token was used before");
    err_set(&refusal->client, ERR_LOGIN_FAILED, "this IAM token was used before");
    err_hint(&refusal->client, "make one for each connection: sluice token --server-id %s",
             realm->config->server_id);
}

static void refuse_used(struct iam_ask *a)
{
    struct iam_refusal refusal;
    say_used(&refusal, a->realm);
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

static void ask_next(struct iam_door *d);

static void token_free(struct token *t)
{
    struct iam_door *d = t->door;
    map_remove(&d->tokens, slice_str(t->hash));
    if (t->asking) d->questions--;
    if (t->question.world) iam_question_cancel(&t->question);
    if (t->claims) iam_once_cancel(&t->claiming);
    list_remove(&t->line);
    wheel_cancel(&t->timer);
    iam_token_fini(&t->opened);
    buf_wipe(&t->jwt);
    realm_unref(t->realm);
    free(t);
}

static void judged(struct token *t, enum iam_verdict verdict)
{
    struct iam_door *d = t->door;
    int64_t now_ms = aws_feed_now_ms(), stays_ms = REFUSED_MS;
    bool single_use = t->realm->config->iam.single_use;
    t->judged = true;
    t->judged_ms = now_ms;
    t->verdict = verdict;
    list_each(node, &t->asks) answer_judged(t, list_item(node, struct iam_ask, node));
    if (verdict == IAM_ACCEPTED) {
        stays_ms = t->question.usable_until_ms - now_ms;
        if (stays_ms > CACHED_MS) stays_ms = CACHED_MS;
        if (single_use) stays_ms = TWIN_MS;
    }
    if (verdict == IAM_UNAVAILABLE) {
        token_free(t);
    } else {
        if (t->asking) d->questions--;
        t->asking = false;
        realm_unref(t->realm);
        t->realm = NULL;
        wheel_set(&d->wheel, &t->timer, stays_ms > 0 ? (uint64_t)stays_ms : 0);
    }
    ask_next(d);
}

static void on_claimed(struct iam_claiming *c, enum iam_claim claim)
{
    struct token *t = list_item(c, struct token, claiming);
    t->claims = false;
    switch (claim) {
    case IAM_CLAIM_FIRST:
        metrics_add(t->door->metrics, METRIC_iam_tokens_claimed, 1);
        judged(t, IAM_ACCEPTED);
        break;
    case IAM_CLAIM_USED:
        metrics_add(t->door->metrics, METRIC_iam_tokens_used, 1);
        say_used(&t->refusal, t->realm);
        judged(t, IAM_REFUSED);
        break;
    case IAM_CLAIM_UNSURE:
        metrics_add(t->door->metrics, METRIC_iam_tokens_unsure, 1);
        iam_refuse_unavailable(&t->refusal, "it cannot be told whether the token was used before");
        judged(t, IAM_UNAVAILABLE);
        break;
    }
}

static void on_answer(struct iam_question *q, enum iam_verdict verdict,
                      const struct iam_identity *who, const struct iam_refusal *refusal)
{
    struct token *t = list_item(q, struct token, question);
    if (verdict != IAM_ACCEPTED) {
        t->refusal = *refusal;
        judged(t, verdict);
        return;
    }
    t->who = *who;
    if (!t->realm->config->iam.single_use) {
        judged(t, verdict);
        return;
    }
    t->claims = true;
    t->claiming.claimed = on_claimed;
    iam_once_claim(&t->door->once, t->hash, q->usable_until_ms, &t->claiming);
}

/* ---- the line ------------------------------------------------------------------------------- */

static void on_due(struct wheel_node *node) { token_free(list_item(node, struct token, timer)); }

static void ask_about(struct token *t)
{
    uint64_t patience_ms = t->realm->config->limits.login_timeout_ms;
    t->asking = true;
    t->door->questions++;
    if (aws_feed_now_ms() - t->came_ms > (int64_t)patience_ms) {
        iam_refuse_unavailable(&t->refusal, "waited too long for its turn to be verified");
        judged(t, IAM_UNAVAILABLE);
        return;
    }
    iam_question_ask(&t->question, &t->door->world, t->realm, &t->opened, &t->jwt, on_answer);
}

/* What is answered at once comes back here: the loop goes on, not deeper. */
static void ask_next(struct iam_door *d)
{
    if (d->in_ask_next) return;
    d->in_ask_next = true;
    while (!d->closing && d->questions < IAM_QUESTIONS_MAX) {
        struct list *node = list_pop_front(&d->line);
        if (!node) break;
        ask_about(list_item(node, struct token, line));
    }
    d->in_ask_next = false;
}

static struct token *token_new(struct iam_door *d, struct iam_ask *a)
{
    struct token *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    memcpy(t->hash, a->hash, sizeof t->hash);
    if (!map_put(&d->tokens, slice_str(t->hash), t)) {
        free(t);
        return NULL;
    }
    t->door = d;
    t->realm = realm_ref(a->realm);
    t->from = a->from;
    t->came_ms = aws_feed_now_ms();
    t->opened = a->token;
    a->token.session_token = (struct buf){ 0 }; /* handed over, and so is the JWT */
    t->jwt = a->jwt;
    a->jwt = (struct buf){ .secret = true };
    list_init(&t->asks);
    wheel_node_init(&t->timer, on_due);
    list_push_back(&d->line, &t->line);
    return t;
}

/* Before anybody else is asked: STS must not be flooded through us, least of all on the account of
 * somebody whose key id a stranger has made up. */
static const char *too_much(struct iam_door *d, const struct iam_ask *a)
{
    const struct config_iam *iam = &a->realm->config->iam;
    int64_t now_ms = aws_feed_now_ms();
    struct slice from = slice_of((const char *)a->from.bytes, sizeof a->from.bytes);
    if (d->tokens.count >= TOKENS_MAX) return "too many logins by token at once";
    if (!rate_take(&d->per_address, from, iam->per_address, now_ms))
        return "more tokens from one address than iam.per_address";
    if (a->token.key_id[0] &&
        !rate_take(&d->per_key, slice_str(a->token.key_id), iam->per_key, now_ms))
        return "more tokens of one access key than iam.per_key";
    return NULL;
}

static void deliver_ask(struct mail *mail, void *owner)
{
    struct iam_door *d = owner;
    struct iam_ask *a = list_item(mail, struct iam_ask, mail);
    struct token *t = d->closing ? NULL : map_get(&d->tokens, slice_str(a->hash));
    if (t && t->judged) {
        answer_judged(t, a);
        return;
    }
    if (t) {
        list_push_back(&t->asks, &a->node);
        return;
    }
    if (a->realm->config->iam.single_use && iam_once_knows(&d->once, a->hash)) {
        metrics_add(d->metrics, METRIC_iam_tokens_used, 1);
        refuse_used(a);
        return;
    }
    const char *why = d->closing ? "shutting down" : too_much(d, a);
    if (!why) t = token_new(d, a);
    if (!t) {
        answer_unavailable(a, why ? why : "out of memory");
        return;
    }
    list_push_back(&t->asks, &a->node);
    ask_next(d);
}

/* ---- life ----------------------------------------------------------------------------------- */

struct iam_door *iam_door_open(uv_loop_t *uv, struct http *http, struct log *log,
                               struct shared *shared)
{
    const struct map_seed seed = shared->seed;
    struct iam_door *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->world = (struct iam_world){ uv, http, jwks_open(uv, http, log, seed), &d->wheel };
    if (!d->world.jwks || !mailbox_open(&d->mailbox, uv, d)) {
        jwks_close(d->world.jwks);
        free(d);
        return NULL;
    }
    map_init(&d->tokens, seed);
    list_init(&d->line);
    rate_init(&d->per_key, seed);
    rate_init(&d->per_address, seed);
    wheel_init(&d->wheel, uv);
    iam_once_init(&d->once, &d->wheel, seed, &shared->fleet);
    d->metrics = &shared->metrics;
    return d;
}

void iam_door_prepare(struct iam_door *d, const struct realm *realm)
{
    if (!d->closing) jwks_prepare(d->world.jwks, &realm->config->iam);
}

static void on_mailbox_closed(struct mailbox *m)
{
    struct iam_door *d = m->owner;
    map_fini(&d->tokens);
    rate_fini(&d->per_key);
    rate_fini(&d->per_address);
    iam_once_fini(&d->once);
    wheel_fini(&d->wheel);
}

void iam_door_close(struct iam_door *d)
{
    struct token *t;
    if (!d) return;
    d->closing = true;
    for (uint32_t at = 0; (t = map_next(&d->tokens, &at)); at = 0) {
        iam_refuse_unavailable(&t->refusal, "shutting down");
        if (t->judged)
            token_free(t);
        else
            judged(t, IAM_UNAVAILABLE);
    }
    jwks_close(d->world.jwks);
    mailbox_close(&d->mailbox, on_mailbox_closed);
}

void iam_door_free(struct iam_door *d)
{
    if (d) jwks_free(d->world.jwks);
    free(d);
}
