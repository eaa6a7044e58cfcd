#include "proxy/pulse.h"

#include "proxy/shared.h"
#include "proxy/worker.h"

#include <stdlib.h>

static void deliver(struct mail *mail, void *owner)
{
    (void)owner;
    atomic_store(&list_item(mail, struct pulse_beat, mail)->under_way, false);
}

static void beat(struct pulse *p, unsigned i)
{
    struct pulse_beat *b = &p->beats[i];
    if (atomic_load(&b->under_way)) return;
    b->sent_ms = uv_now(p->uv);
    b->mail.deliver = deliver;
    atomic_store(&b->under_way, true);
    /* A worker that has ended, as it does when it drains, is not stuck. */
    if (!mailbox_post(&p->shared->workers[i]->mailbox, &b->mail))
        atomic_store(&b->under_way, false);
}

static void on_due(struct wheel_node *node)
{
    struct pulse *p = list_item(node, struct pulse, timer);
    for (unsigned i = 0; i < p->n_beats; i++) beat(p, i);
    wheel_set(p->wheel, &p->timer, PULSE_EVERY_MS);
}

bool pulse_open(struct pulse *p, const struct shared *shared, struct wheel *wheel, uv_loop_t *uv)
{
    *p = (struct pulse){ .shared = shared, .wheel = wheel, .uv = uv };
    p->beats = calloc(shared->n_workers, sizeof *p->beats);
    if (!p->beats) return false;
    p->n_beats = shared->n_workers;
    wheel_node_init(&p->timer, on_due);
    on_due(&p->timer);
    return true;
}

void pulse_stop(struct pulse *p)
{
    if (p->beats) wheel_cancel(&p->timer);
}

void pulse_free(struct pulse *p) { free(p->beats); }

bool pulse_is_felt(const struct pulse *p, struct buf *why)
{
    bool felt = true;
    uint64_t now = uv_now(p->uv);
    for (unsigned i = 0; i < p->n_beats; i++) {
        const struct pulse_beat *b = &p->beats[i];
        if (!atomic_load(&b->under_way) || now - b->sent_ms < PULSE_LATE_MS) continue;
        buf_addf(why, "worker %u has not answered for %llu s\n", i,
                 (unsigned long long)(now - b->sent_ms) / 1000);
        felt = false;
    }
    return felt;
}
