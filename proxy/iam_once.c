#include "proxy/iam_once.h"

#include "proxy/aws_feed.h"
#include "proxy/fleet.h"

#include <stdlib.h>
#include <string.h>

struct used {
    struct wheel_node timer; /* to be forgotten */
    struct iam_once *once;
    char hash[SHA256_HEX_BYTES];
};

void iam_once_init(struct iam_once *o, struct wheel *wheel, struct map_seed seed,
                   struct fleet *const *fleet)
{
    o->fleet = fleet;
    o->wheel = wheel;
    map_init(&o->used, seed);
}

void iam_once_fini(struct iam_once *o)
{
    struct used *u;
    for (uint32_t at = 0; (u = map_next(&o->used, &at));) {
        wheel_cancel(&u->timer);
        free(u);
    }
    map_fini(&o->used);
}

bool iam_once_knows(const struct iam_once *o, const char hash[SHA256_HEX_BYTES])
{
    return map_get(&o->used, slice_str(hash)) != NULL;
}

static void on_due(struct wheel_node *node)
{
    struct used *u = list_item(node, struct used, timer);
    map_remove(&u->once->used, slice_str(u->hash));
    free(u);
}

static bool remember(struct iam_once *o, const char *hash, int64_t until_ms)
{
    int64_t left_ms = until_ms - aws_feed_now_ms();
    struct used *u = o->used.count < IAM_ONCE_MAX ? calloc(1, sizeof *u) : NULL;
    if (!u) return false;
    memcpy(u->hash, hash, sizeof u->hash);
    u->once = o;
    wheel_node_init(&u->timer, on_due);
    if (!map_put(&o->used, slice_str(u->hash), u)) {
        free(u);
        return false;
    }
    /* One second more: the last moment counts. */
    wheel_set(o->wheel, &u->timer, (left_ms > 0 ? (uint64_t)left_ms : 0) + 1000);
    return true;
}

static void claim_here(struct iam_once *o, struct iam_claiming *c)
{
    c->claimed(c, remember(o, c->hash, c->until_ms) ? IAM_CLAIM_FIRST : IAM_CLAIM_UNSURE);
}

static void on_fleet(void *owner, enum fleet_first first)
{
    struct iam_claiming *c = owner;
    c->asked = NULL;
    switch (first) {
    case FLEET_FIRST: claim_here(c->once, c); break;
    case FLEET_NOT_FIRST: c->claimed(c, IAM_CLAIM_USED); break;
    case FLEET_UNSURE: c->claimed(c, IAM_CLAIM_UNSURE); break;
    }
}

void iam_once_claim(struct iam_once *o, const char hash[SHA256_HEX_BYTES], int64_t until_ms,
                    struct iam_claiming *c)
{
    struct fleet *fleet = o->fleet ? *o->fleet : NULL;
    int64_t left_ms = until_ms - aws_feed_now_ms();
    c->once = o;
    c->asked = NULL;
    c->until_ms = until_ms;
    memcpy(c->hash, hash, sizeof c->hash);
    if (iam_once_knows(o, hash)) {
        c->claimed(c, IAM_CLAIM_USED);
    } else if (!fleet_is_used(fleet)) {
        claim_here(o, c);
    } else {
        /* A minute more than here: clocks differ. */
        uint64_t life_ms = (left_ms > 0 ? (uint64_t)left_ms : 0) + 60 * 1000;
        c->asked = fleet_claim(fleet, slice_str(hash), life_ms, on_fleet, c);
        if (!c->asked) c->claimed(c, IAM_CLAIM_UNSURE);
    }
}

void iam_once_cancel(struct iam_claiming *c)
{
    if (c->asked) fleet_claim_cancel(c->asked);
    c->asked = NULL;
}
