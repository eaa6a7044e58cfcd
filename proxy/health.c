#include "proxy/health.h"

#include "proxy/random.h"

#include <stdlib.h>
#include <string.h>

void healths_init(struct healths *h)
{
    pthread_mutex_init(&h->lock, NULL);
    h->first = NULL;
}

void healths_fini(struct healths *h)
{
    while (h->first) {
        struct health *gone = h->first;
        h->first = gone->next;
        free(gone->name);
        free(gone);
    }
    pthread_mutex_destroy(&h->lock);
}

static struct health *new_health(const char *name)
{
    struct health *h = calloc(1, sizeof *h);
    if (h) h->name = strdup(name);
    if (h && h->name) return h;
    free(h);
    return NULL;
}

struct health *healths_find(struct healths *h, const char *cluster)
{
    pthread_mutex_lock(&h->lock);
    struct health *found = h->first;
    while (found && strcmp(found->name, cluster) != 0) found = found->next;
    if (!found && (found = new_health(cluster))) {
        found->next = h->first;
        h->first = found;
    }
    pthread_mutex_unlock(&h->lock);
    return found;
}

bool health_may_try(struct health *h, uint64_t now_ms)
{
    unsigned long long until = atomic_load(&h->down_until_ms);
    if (until == 0) return true;
    if (now_ms < until) return false;
    /* One of those who come now; the others keep away until it knows more. */
    return atomic_compare_exchange_strong(&h->down_until_ms, &until, now_ms + HEALTH_DOWN_FIRST_MS);
}

bool health_is_touched(const struct err *err)
{
    /* A server that starts or stops says so with 57P03 or 57P01, in front of its text. */
    if (err->code == ERR_SERVER_REJECTED) return strncmp(err->message, "57P0", 4) == 0;
    return err->code == ERR_SERVER_UNREACHABLE || err->code == ERR_SERVER_LOST ||
           err->code == ERR_SERVER_CONFUSED || err->code == ERR_WAREHOUSE_PAUSED;
}

/* A tenth either way, so that many proxies do not try at one moment. */
static uint64_t pause_ms(unsigned failures)
{
    uint64_t ms = HEALTH_DOWN_FIRST_MS;
    for (unsigned i = 1; i < failures && ms < HEALTH_DOWN_MAX_MS; i++) ms *= 2;
    if (ms > HEALTH_DOWN_MAX_MS) ms = HEALTH_DOWN_MAX_MS;
    return ms - ms / 10 + random_u64() % (ms / 5 + 1);
}

bool health_failed(struct health *h, uint64_t now_ms)
{
    unsigned long long until = atomic_load(&h->down_until_ms);
    /* Several dials that were under way together count once. */
    bool again = until && now_ms < until && atomic_load(&h->failures) > 0;
    unsigned failures = again ? atomic_load(&h->failures) : atomic_fetch_add(&h->failures, 1) + 1;
    if (!again || until < now_ms + HEALTH_DOWN_FIRST_MS)
        atomic_store(&h->down_until_ms, now_ms + pause_ms(failures));
    return until == 0;
}

bool health_succeeded(struct health *h)
{
    if (health_is_up(h)) return false;
    atomic_store(&h->failures, 0);
    return atomic_exchange(&h->down_until_ms, 0) != 0;
}
