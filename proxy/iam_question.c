#include "proxy/iam_question.h"

#include "auth/redshift_credentials.h"
#include "auth/web_identity.h"
#include "proxy/aws_feed.h"
#include "proxy/io/offload.h"

#include <stdio.h>
#include <stdlib.h>

extern char **environ;

enum { ATTEMPTS = 3, PAUSE_MS = 300 };

/* A signature being verified on another thread, which touches nothing but this. */
struct web_question {
    struct offload offload;
    struct realm *realm;
    struct jwks_set **sets; /* by issuer; NULL: not there */
    struct web_identity_issuer *issuers;
    size_t n_issuers, issuer;
    struct buf jwt;
    enum web_identity_verdict verdict;
    struct web_identity who;
    struct iam_refusal refusal;
};

/* ---- rules ---------------------------------------------------------------------------------- */

static void add_region(struct iam_rules *r, struct slice region)
{
    if (region.len == 0 || r->rules.region_count == IAM_REGIONS_MAX) return;
    for (size_t i = 0; i < r->rules.region_count; i++)
        if (slice_eq(r->regions[i], region)) return;
    r->regions[r->rules.region_count++] = region;
}

/* Whose STS is asked: a fixed list, never what a token says. */
void iam_rules_make(const struct realm *realm, struct iam_rules *r)
{
    const struct config *config = realm->config;
    struct aws_env env = { (const char *const *)environ };
    *r = (struct iam_rules){ .rules.server_id = slice_str(config->server_id) };
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

bool iam_refuse_unavailable(struct iam_refusal *refusal, const char *why)
{
    *refusal = (struct iam_refusal){ 0 };
    snprintf(refusal->reason, sizeof refusal->reason, "%s", why);
    return err_set(&refusal->client, ERR_LOGIN_UNAVAILABLE, "");
}

/* ---- the end -------------------------------------------------------------------------------- */

static void release(struct iam_question *q)
{
    aws_call_cancel(&q->call);
    wheel_cancel(&q->timer);
    list_remove(&q->wait.node);
    iam_token_fini(&q->opened);
    buf_wipe(&q->jwt);
}

void iam_question_cancel(struct iam_question *q)
{
    if (q->web) q->web->offload.owner = NULL; /* it cannot be stopped; it frees itself */
    q->web = NULL;
    release(q);
}

static void answer(struct iam_question *q, enum iam_verdict verdict, const struct iam_identity *who,
                   const struct iam_refusal *refusal)
{
    release(q);
    q->done(q, verdict, who, refusal);
}

static void answer_unavailable(struct iam_question *q, const char *why)
{
    struct iam_refusal refusal;
    iam_refuse_unavailable(&refusal, why);
    answer(q, IAM_UNAVAILABLE, NULL, &refusal);
}

/* ---- T1: STS -------------------------------------------------------------------------------- */

/* The verdicts of STS that a client can do something about; what it says is nothing that its bearer
 * could not ask STS itself. */
static void explain(const struct iam_question *q, struct iam_refusal *refusal)
{
    const char *id = q->realm->config->server_id;
    if (strstr(refusal->reason, "SignatureDoesNotMatch")) {
        err_set(&refusal->client, ERR_LOGIN_FAILED,
                "AWS does not confirm this IAM token's signature for this server");
        err_hint(&refusal->client,
                 "is it made for another server? run: sluice token --server-id %s", id);
    } else if (strstr(refusal->reason, "ExpiredToken")) {
        err_set(&refusal->client, ERR_LOGIN_FAILED,
                "the AWS session that this IAM token was made with has expired");
        err_hint(&refusal->client, "renew it (aws sso login), then: sluice token --server-id %s",
                 id);
    } else if (strstr(refusal->reason, "InvalidClientTokenId")) {
        err_set(&refusal->client, ERR_LOGIN_FAILED,
                "AWS does not know the access key that this IAM token was made with");
        err_hint(&refusal->client,
                 "check the client's AWS credentials: aws sts get-caller-identity");
    }
}

static void on_response(void *owner, const struct aws_response *response)
{
    struct iam_question *q = owner;
    struct iam_identity who;
    struct iam_refusal refusal;
    enum iam_verdict verdict = iam_token_judge(&q->opened, response, &who, &refusal);
    if (verdict == IAM_UNAVAILABLE && q->attempts < ATTEMPTS) {
        wheel_set(q->world->wheel, &q->timer, (uint64_t)PAUSE_MS << (q->attempts - 1));
        return;
    }
    if (verdict == IAM_REFUSED) explain(q, &refusal);
    answer(q, verdict, &who, &refusal);
}

static void ask_sts(struct iam_question *q)
{
    struct aws_env env = { (const char *const *)environ };
    struct slice connect_to =
        aws_endpoint_override(&env, NULL, (struct slice){ 0 }, aws_service(AWS_STS)->id);
    struct aws_request request = { 0 };
    struct iam_rules r;
    iam_rules_make(q->realm, &r);
    q->attempts++;
    bool sent = iam_token_request(&r.rules, &q->opened, connect_to, &request) &&
                aws_call_send(&q->call, q->world->http, &request, on_response, q);
    aws_request_fini(&request);
    if (!sent) answer_unavailable(q, "out of memory");
}

static void on_due(struct wheel_node *node)
{
    ask_sts(list_item(node, struct iam_question, timer));
}

/* ---- T2: the issuer's keys ------------------------------------------------------------------ */

static void web_free(struct web_question *web)
{
    for (size_t i = 0; web->sets && i < web->n_issuers; i++) jwks_set_unref(web->sets[i]);
    free(web->sets);
    free(web->issuers);
    realm_unref(web->realm);
    buf_wipe(&web->jwt);
    free(web);
}

static void verify(struct offload *o)
{
    struct web_question *web = o->context;
    const struct config *config = web->realm->config;
    const char *audience = config->iam.audience ? config->iam.audience : config->server_id;
    struct web_identity_rules rules = { web->issuers, web->n_issuers, slice_str(audience) };
    web->verdict = web_identity_verify(&rules, buf_slice(&web->jwt), aws_feed_now_ms(), &web->who,
                                       &web->issuer, &web->refusal);
}

static void ask_keys(struct iam_question *q);

static void on_keys(struct jwks_wait *w) { ask_keys(list_item(w, struct iam_question, wait)); }

/* No key of that name: perhaps it is new. Only when the issuer has been asked since, or was a
 * moment ago, is the token refused; without any keys nobody can say. */
static void want_key(struct iam_question *q, const struct web_question *web)
{
    const struct config_iam *iam = &q->realm->config->iam;
    const struct config_issuer *issuer = &iam->issuers[web->issuer];
    bool in_file = q->realm->issuer_keys[web->issuer] != NULL;
    bool known = in_file || jwks_now(q->world->jwks, issuer) != NULL;
    if (!in_file && !q->fetched) {
        q->fetched = true;
        if (jwks_want(q->world->jwks, iam, issuer, known, &q->wait)) return;
    }
    if (known) {
        answer(q, IAM_REFUSED, NULL, &web->refusal);
        return;
    }
    char why[200];
    snprintf(why, sizeof why, "the keys of %.80s cannot be had: %s", issuer->issuer,
             jwks_trouble(q->world->jwks, issuer));
    answer_unavailable(q, why);
}

static void on_verified(struct offload *o)
{
    struct web_question *web = o->context;
    struct iam_question *q = o->owner;
    if (q) {
        q->web = NULL;
        if (web->verdict == WEB_IDENTITY_UNKNOWN_KEY) {
            want_key(q, web);
        } else {
            struct iam_identity who = web->who.who;
            snprintf(who.function, sizeof who.function, "%s", web->who.lambda_arn);
            q->usable_until_ms = web->who.usable_until_ms + WEB_IDENTITY_LEEWAY_S * 1000;
            answer(q, web->verdict == WEB_IDENTITY_ACCEPTED ? IAM_ACCEPTED : IAM_REFUSED, &who,
                   &web->refusal);
        }
    }
    web_free(web);
}

static struct web_question *web_new(struct iam_question *q)
{
    struct web_question *web = calloc(1, sizeof *web);
    const struct config_iam *iam = &q->realm->config->iam;
    if (!web) return NULL;
    web->realm = realm_ref(q->realm);
    web->n_issuers = iam->n_issuers;
    web->sets = calloc(iam->n_issuers + 1, sizeof *web->sets);
    web->issuers = calloc(iam->n_issuers + 1, sizeof *web->issuers);
    web->jwt.secret = true;
    buf_add_slice(&web->jwt, buf_slice(&q->jwt));
    if (!web->sets || !web->issuers || web->jwt.failed) {
        web_free(web);
        return NULL;
    }
    for (size_t i = 0; i < iam->n_issuers; i++) {
        struct jwks_set *set = q->realm->issuer_keys[i];
        if (!set) set = jwks_now(q->world->jwks, &iam->issuers[i]);
        web->sets[i] = set ? jwks_set_ref(set) : NULL;
        web->issuers[i] = (struct web_identity_issuer){ slice_str(iam->issuers[i].issuer),
                                                        set ? set->keys : NULL };
    }
    return web;
}

static void ask_keys(struct iam_question *q)
{
    struct web_question *web = web_new(q);
    if (!web) {
        answer_unavailable(q, "out of memory");
        return;
    }
    q->web = web;
    web->offload = (struct offload){ .owner = q, .context = web };
    offload_run(q->world->uv, &web->offload, verify, on_verified);
}

/* ---- asking --------------------------------------------------------------------------------- */

void iam_question_ask(struct iam_question *q, const struct iam_world *world, struct realm *realm,
                      struct iam_token *opened, struct buf *jwt, iam_question_done *done)
{
    *q = (struct iam_question){ .world = world, .realm = realm, .done = done };
    wheel_node_init(&q->timer, on_due);
    list_init(&q->wait.node);
    q->wait.ready = on_keys;
    q->opened = *opened;
    opened->session_token = (struct buf){ 0 };
    q->jwt = *jwt;
    *jwt = (struct buf){ 0 };
    q->usable_until_ms = q->opened.usable_until_ms;
    if (q->jwt.len)
        ask_keys(q);
    else
        ask_sts(q);
}
