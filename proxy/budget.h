/* budget: how many server connections something may have, over all pools and workers.
 *
 * A cluster, a database of it, a database user: each has a count, exact because
 * every server takes one before it is dialled, with one atomic. They live as long
 * as the process, by name, across configurations. Thread: any.
 */
#ifndef SLUICE_PROXY_BUDGET_H
#define SLUICE_PROXY_BUDGET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct budget {
    struct budget *next;
    char *name;
    atomic_uint taken;
    atomic_uint allowed; /* to this proxy, of what all share; BUDGET_ALL: it does not share */
    atomic_uint hungry;  /* the most who waited in vain in one pool, since that was last read */
    atomic_int excess;   /* to be closed; see worker_shrink */
};

#define BUDGET_ALL UINT32_MAX

struct budgets {
    pthread_mutex_t lock;
    struct budget *first;
};

void budgets_init(struct budgets *b);
void budgets_fini(struct budgets *b);

/* The budget of that name, made when it is new; NULL when memory ran out. */
struct budget *budgets_find(struct budgets *b, const char *name);

/* Takes one, unless `limit` or what is allowed are taken; limit 0: there is none. */
bool budget_take(struct budget *b, unsigned limit);
void budget_put(struct budget *b);

/* One of those that are to be closed: true, and one less is. */
bool budget_take_excess(struct budget *b);

/* So many wait, and there is none for them. */
void budget_lack(struct budget *b, unsigned waiting);

/* How many it may have now, of `limit`. */
static inline unsigned budget_cap(const struct budget *b, unsigned limit)
{
    unsigned allowed = atomic_load(&b->allowed);
    return allowed < limit || limit == 0 ? allowed : limit;
}

#endif
