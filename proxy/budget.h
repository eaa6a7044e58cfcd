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

struct budget {
    struct budget *next;
    char *name;
    atomic_uint taken;
};

struct budgets {
    pthread_mutex_t lock;
    struct budget *first;
};

void budgets_init(struct budgets *b);
void budgets_fini(struct budgets *b);

/* The budget of that name, made when it is new; NULL when memory ran out. */
struct budget *budgets_find(struct budgets *b, const char *name);

/* Takes one, unless `limit` are taken; limit 0: there is none. */
bool budget_take(struct budget *b, unsigned limit);
void budget_put(struct budget *b);

#endif
