/* list: intrusive, circular, doubly linked.
 *
 * The head is a node as well; an empty list points at itself. A node that is on
 * no list points at itself too, so removing it twice does no harm.
 */
#ifndef SLUICE_PROTOCOL_LIST_H
#define SLUICE_PROTOCOL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

/* The struct of type `type` whose member `member` is `*node`. */
#define list_item(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Walks `head`; the current node may be removed, the next one may not. */
#define list_each(node, head)                                                                      \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head);              \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list *l) { l->next = l->prev = l; }

static inline bool list_is_empty(const struct list *l) { return l->next == l; }

static inline void list_insert_after(struct list *at, struct list *node)
{
    node->prev = at;
    node->next = at->next;
    at->next->prev = node;
    at->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_after(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_after(head->prev, node);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, taken off; NULL when there is none. */
static inline struct list *list_pop_front(struct list *head)
{
    struct list *node = head->next;
    if (node == head) return NULL;
    list_remove(node);
    return node;
}

#endif
