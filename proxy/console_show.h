/* console_show: what each worker has to say to a SHOW command.
 *
 * A visit runs on its worker's thread and writes that worker's rows, cells in the
 * order of admin.def. It changes nothing. Refusals are in console_denied.c. Thread: the visited
 * worker's.
 */
#ifndef SLUICE_PROXY_CONSOLE_SHOW_H
#define SLUICE_PROXY_CONSOLE_SHOW_H

#include "proxy/survey.h"

typedef void console_visit(struct worker *w, struct survey_part *part);

console_visit console_visit_clients, console_visit_servers, console_visit_pools, console_visit_pins,
    console_visit_waiting, console_visit_databases, console_visit_users, console_visit_lists,
    console_visit_mem, console_visit_stats, console_visit_totals, console_visit_state,
    console_visit_denied, console_visit_decision, console_visit_sockets,
    console_visit_active_sockets;

/* Averages of SHOW STATS: `context` is the uptime in seconds, a uint64_t. */
rows_finish console_finish_stats;

#endif
