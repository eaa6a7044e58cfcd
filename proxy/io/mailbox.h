/* mailbox: the only door between threads.
 *
 *      any thread --mailbox_post--> [ queue ] --wakes--> owner's loop --> mail->deliver
 *
 * A mail is a struct of the sender's that starts with (or embeds) `struct mail`;
 * posting hands it over, delivering hands it to the owner, who frees it or posts it
 * back as the answer. What one thread posts arrives in that order. No bounds: who
 * sends without limit must count.
 * Not for a query's path: posting takes a lock.
 * Ownership: embedded in its owner; the memory must outlive the last sender.
 * Thread: mailbox_post any, the rest the loop's.
 */
#ifndef SLUICE_PROXY_IO_MAILBOX_H
#define SLUICE_PROXY_IO_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <uv.h>

struct mail {
    struct mail *next;
    /* On the owner's thread, never from within mailbox_post. May post, also to the same mailbox,
     * and may close it. */
    void (*deliver)(struct mail *mail, void *owner);
};

struct mailbox {
    uv_async_t async;
    pthread_mutex_t lock;
    struct mail *first, *last; /* under the lock */
    bool closed;               /* under the lock */
    void *owner;
    void (*on_closed)(struct mailbox *m);
};

/* False: no descriptor for waking the loop; nothing is open then. Keeps the loop alive. */
bool mailbox_open(struct mailbox *m, uv_loop_t *uv, void *owner);

/* False: the mailbox is closed, and the mail still the sender's. */
bool mailbox_post(struct mailbox *m, struct mail *mail);

/* From now on posting fails. What was posted before is delivered, then on_closed comes, once.
 * Afterwards mailbox_post still answers (false) as long as the memory lives. */
void mailbox_close(struct mailbox *m, void (*on_closed)(struct mailbox *m));

#endif
