#include "proxy/io/mailbox.h"

/* What is posted meanwhile waits for the next turn, so that two mailboxes that answer each other
 * do not keep a loop from its sockets. */
static void deliver_all(struct mailbox *m)
{
    pthread_mutex_lock(&m->lock);
    struct mail *mail = m->first;
    m->first = m->last = NULL;
    pthread_mutex_unlock(&m->lock);
    while (mail) {
        struct mail *next = mail->next; /* the mail may be gone after its delivery */
        mail->next = NULL;
        mail->deliver(mail, m->owner);
        mail = next;
    }
}

static void on_wake(uv_async_t *async) { deliver_all((struct mailbox *)async); }

static void on_handle_closed(uv_handle_t *handle)
{
    struct mailbox *m = (struct mailbox *)handle;
    deliver_all(m);
    m->on_closed(m);
}

bool mailbox_open(struct mailbox *m, uv_loop_t *uv, void *owner)
{
    /* Initialised this way it needs no destroying, which late senders would not survive. */
    *m = (struct mailbox){ .lock = PTHREAD_MUTEX_INITIALIZER, .owner = owner };
    return uv_async_init(uv, &m->async, on_wake) == 0;
}

bool mailbox_post(struct mailbox *m, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&m->lock);
    bool open = !m->closed;
    if (open) {
        bool wake = !m->first;
        if (m->last)
            m->last->next = mail;
        else
            m->first = mail;
        m->last = mail;
        /* Under the lock: the handle cannot be closed in between. */
        if (wake) uv_async_send(&m->async);
    }
    pthread_mutex_unlock(&m->lock);
    return open;
}

void mailbox_close(struct mailbox *m, void (*on_closed)(struct mailbox *m))
{
    pthread_mutex_lock(&m->lock);
    bool again = m->closed;
    m->closed = true;
    pthread_mutex_unlock(&m->lock);
    if (again) return;
    m->on_closed = on_closed;
    uv_close((uv_handle_t *)&m->async, on_handle_closed);
}
