/* fleet_order: a command with ON ALL, carried out by every proxy, each with an answer of its own.
 *
 *      console --control_order--> fleet_ask --order--> every proxy: may that user? --answer--> rows
 *
 * The asker's console has authorised and recorded it; each proxy does so again, by its own
 * configuration. Who has not answered when the time is up is named, too.
 */
#include "proxy/aws_feed.h"
#include "proxy/console_way.h"
#include "proxy/control_order.h"
#include "proxy/fleet_parts.h"
#include "proxy/route_force.h"
#include "proxy/survey.h"

#include <inttypes.h>
#include <stdlib.h>

enum { ANSWERS_MS = 8000, PAUSE_MS = 5000 };

static void add_row(struct rows *r, const char *proxy, const char *status, const char *message)
{
    rows_text(r, slice_str(proxy));
    rows_text(r, slice_str(status));
    rows_text(r, slice_str(message));
}

void fleet_show(const struct fleet *f, struct rows *r)
{
    add_row(r, f->name, !f->redis ? "alone" : atomic_load(&f->is_up) ? "here" : "cut off", "");
    for (size_t i = 0; i < FLEET_MEMBERS_MAX; i++)
        if (fleet_is_there(f, &f->members[i])) add_row(r, f->members[i].name, "there", "");
}

/* ---- the asker ------------------------------------------------------------------------------ */

static void end_asking(struct fleet_asked *a)
{
    struct control_order *o = a->order;
    for (size_t i = 0; i < FLEET_MEMBERS_MAX; i++)
        if (a->awaited[i].from) add_row(&o->rows, a->awaited[i].name, "no answer", "");
    a->order = NULL;
    control_order_answer(o);
}

static void take_answer(struct fleet *f, uint64_t serial, uint64_t from, const char *name,
                        const char *status, const char *message)
{
    for (size_t i = 0; i < FLEET_ASKED_MAX; i++) {
        struct fleet_asked *a = &f->asked[i];
        unsigned left = 0;
        if (!a->order || a->serial != serial) continue;
        for (size_t n = 0; n < FLEET_MEMBERS_MAX; n++) {
            if (a->awaited[n].from == from) {
                a->awaited[n].from = 0;
                add_row(&a->order->rows, name, status, message);
            }
            left += a->awaited[n].from != 0;
        }
        if (left == 0) end_asking(a);
    }
}

void fleet_on_answer(struct fleet *f, const struct fleet_message *m)
{
    struct slice body = buf_slice(&m->body), asker, serial, name, status, message;
    if (!fleet_field(&body, &asker) || !fleet_field(&body, &serial) || !fleet_field(&body, &name) ||
        !fleet_field(&body, &status) || !fleet_field(&body, &message))
        return;
    if (strtoull(asker.at, NULL, 16) == f->from)
        take_answer(f, strtoull(serial.at, NULL, 16), m->from, name.at, status.at, message.at);
}

static bool ask_all(struct fleet *f, struct control_order *o, uint64_t *serial)
{
    const char *words = admin_commands[o->show].words;
    struct buf body = { 0 };
    fleet_add_field(&body, slice_str(words));
    fleet_add_field(&body, buf_slice(&o->words));
    fleet_add_field(&body, slice_str(o->who));
    *serial = body.failed ? 0 : fleet_say(f, FLEET_ORDER, buf_slice(&body), 0);
    buf_fini(&body);
    return *serial != 0;
}

static void run(struct fleet *f, uint64_t asker, uint64_t serial, const struct admin_call *call,
                const char *user);

void fleet_ask(struct fleet *f, struct control_order *o)
{
    struct fleet_asked *a = NULL;
    struct admin_call call = { .command = &admin_commands[o->show] };
    for (size_t i = 0; i < FLEET_ASKED_MAX; i++)
        if (!f->asked[i].order) a = &f->asked[i];
    if (!a || !ask_all(f, o, &a->serial)) {
        err_set(&o->err, ERR_INVALID_VALUE, "the other proxies cannot be reached");
        err_hint(&o->err, "they meet through routes.cache; without ON ALL it is done here alone");
        control_order_answer(o);
        return;
    }
    o->ok = true;
    a->order = o;
    a->due_ms = fleet_now_ms(f) + ANSWERS_MS;
    memset(a->awaited, 0, sizeof a->awaited);
    size_t n = 0;
    a->awaited[n++].from = f->from;
    snprintf(a->awaited[0].name, sizeof a->awaited[0].name, "%s", f->name);
    for (size_t i = 0; i < FLEET_MEMBERS_MAX && n < FLEET_MEMBERS_MAX; i++)
        if (fleet_is_there(f, &f->members[i])) a->awaited[n++] = f->members[i];
    snprintf(call.argument, sizeof call.argument, "%.*s", SLICE_ARG(buf_slice(&o->words)));
    run(f, f->from, a->serial, &call, o->who);
}

/* ---- who carries it out --------------------------------------------------------------------- */

static void answer(struct fleet *f, uint64_t asker, uint64_t serial, const char *status,
                   const char *message)
{
    struct buf body = { 0 };
    char number[24];
    if (asker == f->from) {
        take_answer(f, serial, f->from, f->name, status, message);
        return;
    }
    snprintf(number, sizeof number, "%" PRIx64, asker);
    fleet_add_field(&body, slice_str(number));
    snprintf(number, sizeof number, "%" PRIx64, serial);
    fleet_add_field(&body, slice_str(number));
    fleet_add_field(&body, slice_str(f->name));
    fleet_add_field(&body, slice_str(status));
    fleet_add_field(&body, slice_str(message));
    if (!body.failed) fleet_say(f, FLEET_ANSWER, buf_slice(&body), 0);
    buf_fini(&body);
}

static void end_run(struct fleet_run *r, const char *status, const char *message)
{
    r->is_used = false;
    answer(r->fleet, r->asker, r->serial, status, message);
}

static void on_reloaded(struct control_order *o)
{
    struct fleet_run *r = o->owner;
    struct err err;
    if (!o->ok) control_order_explain(o, &err);
    end_run(r, o->ok ? "done" : "refused", o->ok ? "" : err.message);
    control_order_free(o);
}

static void on_visited(struct survey *s)
{
    struct fleet_run *r = s->owner;
    struct err err;
    uint64_t busy = admin_is_waited_for(r->call.command->id) ? survey_sum(s) : 0;
    char text[64] = "";
    if (busy && fleet_now_ms(r->fleet) < r->due_ms) {
        r->again = true; /* servers are still at work: look again */
    } else if (!console_found(&r->call, s, &err)) {
        end_run(r, "refused", err.message);
    } else {
        if (busy) snprintf(text, sizeof text, "%" PRIu64 " servers are still at work", busy);
        end_run(r, busy ? "under way" : "done", text);
    }
    survey_free(s);
}

static void start_run(struct fleet_run *r)
{
    struct shared *shared = r->fleet->shared;
    r->again = false;
    if (r->call.command->id == ADMIN_RELOAD) {
        struct control_order *o = control_order_new(CONTROL_RELOAD);
        if (!o) {
            end_run(r, "refused", "out of memory");
            return;
        }
        o->done = on_reloaded;
        o->home = shared->control;
        o->owner = r;
        snprintf(o->who, sizeof o->who, "%s", r->user);
        control_take_order(r->fleet->control, o);
        return;
    }
    struct survey *s = console_survey(&r->call, shared);
    if (!s) {
        end_run(r, "refused", "out of memory");
        return;
    }
    s->done = on_visited;
    s->home = shared->control;
    s->owner = r;
    survey_start(s, shared);
}

static void run(struct fleet *f, uint64_t asker, uint64_t serial, const struct admin_call *call,
                const char *user)
{
    struct fleet_run *r = NULL;
    for (size_t i = 0; i < FLEET_RUNS_MAX; i++)
        if (!f->runs[i].is_used) r = &f->runs[i];
    if (!r) {
        answer(f, asker, serial, "refused", "too many commands at once");
        return;
    }
    *r = (struct fleet_run){ .is_used = true, .fleet = f, .asker = asker, .serial = serial };
    r->call = *call;
    r->due_ms = fleet_now_ms(f) + PAUSE_MS;
    snprintf(r->user, sizeof r->user, "%s", user);
    start_run(r);
}

static const char *name_of(const struct fleet *f, uint64_t from)
{
    for (size_t i = 0; i < FLEET_MEMBERS_MAX; i++)
        if (f->members[i].from == from) return f->members[i].name;
    return "another proxy";
}

void fleet_on_order(struct fleet *f, const struct fleet_message *m)
{
    struct slice body = buf_slice(&m->body), words, argument, user;
    struct admin_call call = { 0 };
    struct err err;
    char from[FLEET_NAME_BYTES + 16];
    if (!fleet_field(&body, &words) || !fleet_field(&body, &argument) || !fleet_field(&body, &user))
        return;
    for (size_t i = 0; i < ADMIN_COUNT; i++)
        if (slice_is(words, admin_commands[i].words)) call.command = &admin_commands[i];
    if (!call.command || !admin_is_for_all(call.command->id) || argument.len >= ADMIN_NAME_BYTES) {
        answer(f, m->from, m->serial, "refused", "no such command here");
        return;
    }
    memcpy(call.argument, argument.at, argument.len);
    const struct user *known = users_find(control_realm(f->control)->users, user);
    snprintf(from, sizeof from, "fleet:%s", name_of(f, m->from));
    struct audit_who who = { .user = user, .from = from };
    if (!console_allows(f->log, f->shared->audit, &who, known ? known->console : CONSOLE_NONE,
                        &call, &err))
        answer(f, m->from, m->serial, "refused", err.message);
    else
        run(f, m->from, m->serial, &call, user.at);
}

void fleet_order_tick(struct fleet *f, bool all)
{
    for (size_t i = 0; i < FLEET_RUNS_MAX && !all; i++)
        if (f->runs[i].is_used && f->runs[i].again) start_run(&f->runs[i]);
    for (size_t i = 0; i < FLEET_ASKED_MAX; i++)
        if (f->asked[i].order && (all || fleet_now_ms(f) >= f->asked[i].due_ms))
            end_asking(&f->asked[i]);
}
