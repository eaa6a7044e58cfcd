/* fleet_once: the first to claim something, among all proxies, has it.
 *
 *      SET sluice:{SCOPE}:once:HASH 1 NX PX life     OK: the first; nil: not; else: nobody can say
 *
 * An answer that is lost on its way leaves the thing claimed: it is lost then, never given twice.
 * A Redis that evicts keys (maxmemory-policy other than noeviction or volatile-ttl at its limit),
 * or a failover that loses its last writes, forgets claims.
 */
#include "proxy/fleet_parts.h"

#include <inttypes.h>
#include <stdlib.h>

/* Until Redis answers; outlives the one who asked, if he goes. */
struct fleet_claim {
    struct list node;
    struct fleet *fleet;
    fleet_claimed *done; /* NULL: nobody wants to know any more */
    void *owner;
};

static void claim_end(struct fleet_claim *c, enum fleet_first first)
{
    fleet_claimed *done = c->done;
    void *owner = c->owner;
    list_remove(&c->node);
    free(c);
    if (done) done(owner, first);
}

static void on_set(void *owner, const struct redis_reply *reply, const struct err *err)
{
    (void)err; /* on_lost tells; what Redis refuses is as good as no answer */
    if (reply && reply->type == REDIS_STATUS)
        claim_end(owner, FLEET_FIRST);
    else if (reply && reply->type == REDIS_NIL)
        claim_end(owner, FLEET_NOT_FIRST);
    else
        claim_end(owner, FLEET_UNSURE);
}

bool fleet_is_used(const struct fleet *f) { return f && f->config->routes.cache; }

struct fleet_claim *fleet_claim(struct fleet *f, struct slice hash, uint64_t life_ms,
                                fleet_claimed *done, void *owner)
{
    struct fleet_claim *c = f->redis ? calloc(1, sizeof *c) : NULL;
    struct buf key = { 0 };
    char life[24];
    struct err err;
    if (!c) return NULL;
    c->fleet = f;
    c->done = done;
    c->owner = owner;
    list_init(&c->node);
    snprintf(life, sizeof life, "%" PRIu64, life_ms ? life_ms : 1);
    buf_addf(&key, "sluice:{%.*s}:once:%.*s", SLICE_ARG(f->trust.trust.scope), SLICE_ARG(hash));
    struct slice words[] = { slice_str("SET"), buf_slice(&key), slice_str("1"),
                             slice_str("NX"),  slice_str("PX"), slice_str(life) };
    bool ok = !key.failed && redis_send(f->redis, words, 6, on_set, c, &err);
    buf_fini(&key);
    if (!ok) {
        free(c);
        return NULL;
    }
    list_push_back(&f->claims, &c->node);
    return c;
}

void fleet_claim_cancel(struct fleet_claim *c) { c->done = NULL; }

void fleet_once_lost(struct fleet *f)
{
    struct list *node;
    while ((node = list_pop_front(&f->claims)))
        claim_end(list_item(node, struct fleet_claim, node), FLEET_UNSURE);
}
