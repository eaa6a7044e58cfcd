/* console_way: how each command of admin.def is carried out, and who may.
 *
 *   fill          from the configuration, at once
 *   visit         by all workers: see survey.h
 *   for_control   by the control thread: see control_order.h
 *
 * None of them: it means nothing here, and is accepted. For everybody who takes commands: the
 * console, and the administrators' HTTP. Pure data and small rules; sends nothing itself.
 * Thread: any.
 */
#ifndef SLUICE_PROXY_CONSOLE_WAY_H
#define SLUICE_PROXY_CONSOLE_WAY_H

#include "proxy/console_show.h"
#include "proxy/control_order.h"
#include "proxy/ops/audit.h"
#include "proxy/realm.h"

struct console_way {
    void (*fill)(const struct realm *realm, const struct log *log, struct rows *r);
    console_visit *visit;
    bool for_control;
    enum control_order_kind order;
};

extern const struct console_way console_ways[ADMIN_COUNT];

/* Whether it may be done, by the one gate (admin_may). Acts are told to the log and to the audit
 * record, those refused too; looking is not. What cannot be recorded must not happen. */
bool console_allows(struct log *log, struct audit *audit, const struct audit_who *who,
                    enum console_level level, const struct admin_call *call, struct err *err);

/* The question that a command asks all workers; `done`, `home`, `owner` are left to the asker.
 * NULL: no memory. */
struct survey *console_survey(const struct admin_call *call, const struct shared *shared);

/* False: it was about one thing, and nobody has that. */
bool console_found(const struct admin_call *call, const struct survey *s, struct err *err);

/* The survey's rows, finished as the command wants them; returns their number. */
uint64_t console_join(const struct survey *s, const struct rows_shape *shape,
                      const struct shared *shared, uint64_t now_ms, struct buf *out);

/* A user's name for an order. */
void console_name(char to[64], struct slice user);

#endif
