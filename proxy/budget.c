#include "proxy/budget.h"

#include <stdlib.h>
#include <string.h>

void budgets_init(struct budgets *b)
{
    pthread_mutex_init(&b->lock, NULL);
    b->first = NULL;
}

void budgets_fini(struct budgets *b)
{
    while (b->first) {
        struct budget *gone = b->first;
        b->first = gone->next;
        free(gone->name);
        free(gone);
    }
    pthread_mutex_destroy(&b->lock);
}

static struct budget *new_budget(const char *name)
{
    struct budget *b = calloc(1, sizeof *b);
    if (b) atomic_init(&b->allowed, BUDGET_ALL);
    if (b) b->name = strdup(name);
    if (b && b->name) return b;
    free(b);
    return NULL;
}

struct budget *budgets_find(struct budgets *b, const char *name)
{
    pthread_mutex_lock(&b->lock);
    struct budget *found = b->first;
    while (found && strcmp(found->name, name) != 0) found = found->next;
    if (!found && (found = new_budget(name))) {
        found->next = b->first;
        b->first = found;
    }
    pthread_mutex_unlock(&b->lock);
    return found;
}

bool budget_take(struct budget *b, unsigned limit)
{
    unsigned n = atomic_load(&b->taken);
    while (n < budget_cap(b, limit))
        if (atomic_compare_exchange_weak(&b->taken, &n, n + 1)) return true;
    return false;
}

bool budget_take_excess(struct budget *b)
{
    int n = atomic_load(&b->excess);
    while (n > 0)
        if (atomic_compare_exchange_weak(&b->excess, &n, n - 1)) return true;
    return false;
}

void budget_lack(struct budget *b, unsigned waiting)
{
    unsigned n = atomic_load(&b->hungry);
    while (n < waiting && !atomic_compare_exchange_weak(&b->hungry, &n, waiting)) {
    }
}

void budget_put(struct budget *b) { atomic_fetch_sub(&b->taken, 1); }
