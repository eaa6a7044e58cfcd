/* control_order: what other threads ask of the control thread.
 *
 *   asker --control_order_post--> control's mailbox: carried out --> home's mailbox: done
 *
 * Ownership: the order is control's until `done`, which receives it and frees it with
 * control_order_free. Thread: any may post; `done` is called on home's.
 */
#ifndef SLUICE_PROXY_CONTROL_ORDER_H
#define SLUICE_PROXY_CONTROL_ORDER_H

#include "protocol/buf.h"
#include "proxy/io/mailbox.h"
#include "proxy/ops/admin_rows.h"

struct shared;

/* SHOW: what only control knows; it fills `rows`. FLEET: a command for all proxies; likewise.
 * ROUTE: see route_order.h; likewise. */
enum control_order_kind {
    CONTROL_RELOAD,
    CONTROL_STOP,
    CONTROL_DRAIN,
    CONTROL_SHOW,
    CONTROL_FLEET,
    CONTROL_ROUTE
};

struct control_order {
    struct mail mail;
    enum control_order_kind kind;
    void (*done)(struct control_order *o);
    struct mailbox *home;
    void *owner;        /* of home's thread alone */
    char who[64];       /* asks */
    enum admin_id show; /* SHOW: the command, */
    struct buf words;   /* and its argument */
    bool ok;
    struct err err;      /* SHOW: why not; code 0: that is not it */
    struct rows rows;    /* SHOW */
    struct buf problems; /* RELOAD: "FILE:LINE: error: ...", a line each */
};

/* NULL: no memory. */
struct control_order *control_order_new(enum control_order_kind kind);

/* False: control is no longer there; the order is freed. `done` is not called when home's mailbox
 * has closed by then. */
bool control_order_post(struct control_order *o, const struct shared *shared);

void control_order_free(struct control_order *o);

/* Control's side: sends it back. */
void control_order_answer(struct control_order *o);

/* Why an order came to nothing: what a command said, or of a reload its first error,
 * and how many problems there are. */
void control_order_explain(const struct control_order *o, struct err *err);

/* What control does with each; `owner` is its mailbox's. */
void control_take_order(void *control, struct control_order *o);

#endif
