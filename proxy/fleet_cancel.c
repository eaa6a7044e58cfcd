/* fleet_cancel: a CancelRequest that reached the wrong proxy finds the right one, once.
 *
 *      worker: nobody here has the key --fleet_forward--> control: how often? ours? --cancel--> all
 *      all: a worker has it: carried out --cancelled--> the first: its client's connection is
 * closed
 *
 * What came over Redis is offered to this proxy's workers and never sent on.
 */
#include "proxy/fleet_parts.h"
#include "proxy/worker.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    HELD_MS = 2000,     /* a client waits so long for the others */
    PER_ADDRESS_S = 20, /* cancels that are sent on, in a second; twice as many at once */
    PER_PROXY_S = 100,
};

/* ---- sending on ----------------------------------------------------------------------------- */

/* The client that asked has waited enough. */
static void end_wait(struct cancel_wait *w, bool unknown)
{
    worker_cancel_over(w->worker, w->client, unknown);
    free(w);
}

static bool is_ours(const struct fleet *f, const struct cancel_wait *w)
{
    if (w->pid >> 16 != f->id) return false;
    for (size_t i = 0; i < FLEET_MEMBERS_MAX; i++)
        if (f->members[i].from && f->members[i].id == f->id) return false;
    return true;
}

static bool may_send(struct fleet *f, const struct cancel_wait *w)
{
    int64_t now = (int64_t)fleet_now_ms(f);
    char text[ADDRESS_TEXT_MAX];
    struct address from = w->from;
    from.port = 0;
    return rate_take(&f->rate, slice_str(address_text(&from, text)), PER_ADDRESS_S, now) &&
           rate_take(&f->rate, slice_str("all"), PER_PROXY_S, now);
}

static struct fleet_cancel *free_place(struct fleet *f)
{
    for (size_t i = 0; i < FLEET_CANCELS_MAX; i++)
        if (!f->cancels[i].wait) return &f->cancels[i];
    return NULL;
}

static void send_on(struct fleet *f, struct cancel_wait *w)
{
    struct fleet_cancel *place = free_place(f);
    struct buf body = { .secret = true };
    uint64_t serial = 0;
    if (is_ours(f, w) || !atomic_load(&f->is_up)) {
        end_wait(w, true); /* a session of ours that is gone; or nobody hears us */
        return;
    }
    if (!place || !may_send(f, w)) {
        metrics_add(&f->shared->metrics, METRIC_fleet_cancels_limited, 1);
    } else {
        buf_add_u32(&body, w->pid);
        buf_add(&body, w->key, sizeof w->key);
        if (!body.failed) serial = fleet_say(f, FLEET_CANCEL, buf_slice(&body), body.len);
    }
    buf_wipe(&body);
    if (!serial) {
        end_wait(w, true);
        return;
    }
    metrics_add(&f->shared->metrics, METRIC_fleet_cancels_sent, 1);
    *place = (struct fleet_cancel){ serial, fleet_now_ms(f) + HELD_MS, w };
}

static void deliver_forward(struct mail *mail, void *control)
{
    struct cancel_wait *w = list_item(mail, struct cancel_wait, mail);
    (void)control;
    send_on(w->fleet, w);
}

bool fleet_forward(struct fleet *f, struct cancel_wait *w)
{
    if (!f || !atomic_load(&f->is_up)) return false;
    w->fleet = f;
    w->mail.deliver = deliver_forward;
    return mailbox_post(f->shared->control, &w->mail);
}

void fleet_on_cancelled(struct fleet *f, const struct fleet_message *m)
{
    struct slice body = buf_slice(&m->body), from, serial;
    if (!fleet_field(&body, &from) || !fleet_field(&body, &serial)) return;
    if (strtoull(from.at, NULL, 16) != f->from) return;
    uint64_t n = strtoull(serial.at, NULL, 16);
    for (size_t i = 0; i < FLEET_CANCELS_MAX; i++) {
        struct fleet_cancel *c = &f->cancels[i];
        if (!c->wait || c->serial != n) continue;
        end_wait(c->wait, false);
        c->wait = NULL;
    }
}

void fleet_cancel_tick(struct fleet *f, bool all)
{
    uint64_t now = fleet_now_ms(f);
    for (size_t i = 0; i < FLEET_CANCELS_MAX; i++) {
        struct fleet_cancel *c = &f->cancels[i];
        if (!c->wait || (!all && now < c->due_ms)) continue;
        end_wait(c->wait, true);
        c->wait = NULL;
    }
}

/* ---- from others ---------------------------------------------------------------------------- */

static void deliver_carried_out(struct mail *mail, void *control)
{
    struct cancel_wait *w = list_item(mail, struct cancel_wait, mail);
    struct buf body = { 0 };
    char number[24];
    (void)control;
    snprintf(number, sizeof number, "%" PRIx64, w->asker);
    fleet_add_field(&body, slice_str(number));
    snprintf(number, sizeof number, "%" PRIx64, w->serial);
    fleet_add_field(&body, slice_str(number));
    if (!body.failed) fleet_say(w->fleet, FLEET_CANCELLED, buf_slice(&body), 0);
    buf_fini(&body);
    metrics_add(&w->fleet->shared->metrics, METRIC_fleet_cancels_taken, 1);
    free(w);
}

static void on_over(struct cancel_wait *w)
{
    w->mail.deliver = deliver_carried_out;
    if (!atomic_load(&w->found) || !mailbox_post(w->fleet->shared->control, &w->mail)) free(w);
}

void fleet_on_cancel(struct fleet *f, struct fleet_message *m)
{
    if (m->body.len != 4 + CANCEL_KEY_BYTES) return;
    const uint8_t *at = (const uint8_t *)m->body.at;
    struct cancel_wait *w = cancel_wait_new(on_over);
    if (!w) return;
    w->fleet = f;
    w->asker = m->from;
    w->serial = m->serial;
    w->pid = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    memcpy(w->key, at + 4, CANCEL_KEY_BYTES);
    worker_offer_cancel(f->shared, w);
    cancel_wait_unref(w);
}
