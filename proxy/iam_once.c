#include "proxy/iam_once.h"

#include "proxy/aws_feed.h"

#include <stdlib.h>
#include <string.h>

struct used {
    struct wheel_node timer; /* to be forgotten */
    struct iam_once *once;
    char hash[SHA256_HEX_BYTES];
};

void iam_once_init(struct iam_once *o, struct wheel *wheel, struct map_seed seed)
{
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

void iam_once_claim(struct iam_once *o, const char hash[SHA256_HEX_BYTES], int64_t until_ms,
                    struct iam_claiming *c)
{
    if (iam_once_knows(o, hash))
        c->claimed(c, IAM_CLAIM_USED);
    else
        c->claimed(c, remember(o, hash, until_ms) ? IAM_CLAIM_FIRST : IAM_CLAIM_UNSURE);
}

void iam_once_cancel(struct iam_once *o, struct iam_claiming *c)
{
    (void)o;
    (void)c;
}
