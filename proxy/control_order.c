#include "proxy/control_order.h"

#include "protocol/list.h"
#include "proxy/shared.h"

#include <stdlib.h>

struct control_order *control_order_new(enum control_order_kind kind)
{
    struct control_order *o = calloc(1, sizeof *o);
    if (o) o->kind = kind;
    return o;
}

void control_order_free(struct control_order *o)
{
    buf_fini(&o->words);
    buf_fini(&o->problems);
    rows_fini(&o->rows);
    free(o);
}

static void deliver(struct mail *mail, void *control)
{
    control_take_order(control, list_item(mail, struct control_order, mail));
}

bool control_order_post(struct control_order *o, const struct shared *shared)
{
    o->mail.deliver = deliver;
    if (shared->control && mailbox_post(shared->control, &o->mail)) return true;
    control_order_free(o);
    return false;
}

static void deliver_answer(struct mail *mail, void *owner)
{
    struct control_order *o = list_item(mail, struct control_order, mail);
    (void)owner;
    o->done(o);
}

void control_order_answer(struct control_order *o)
{
    o->mail.deliver = deliver_answer;
    if (!mailbox_post(o->home, &o->mail)) control_order_free(o);
}

void control_order_explain(const struct control_order *o, struct err *err)
{
    if (o->err.code) {
        *err = o->err;
        return;
    }
    struct slice all = buf_slice(&o->problems), line = all;
    size_t lines = 0;
    for (size_t i = 0; i < all.len; i++) lines += all.at[i] == '\n';
    for (size_t i = 0; i < lines; i++) {
        line.len = (size_t)((const char *)memchr(line.at, '\n', all.len) - line.at);
        if (memmem(line.at, line.len, ": error: ", 9)) break;
        line = slice_of(line.at + line.len + 1, 0);
    }
    err_set(err, ERR_INVALID_CONFIG, "not reloaded: %.*s", (int)line.len, line.len ? line.at : "");
    if (lines > 1) err_detail(err, "the log has %zu problems", lines);
    err_hint(err, "the old configuration stays in force; try `sluice check`");
}
