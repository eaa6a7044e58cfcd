#include "proxy/console_way.h"

#include "proxy/console_act.h"
#include "proxy/ops/config_settings.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- answered from the configuration --------------------------------------------------------- */

static void fill_nothing(const struct realm *realm, const struct log *log, struct rows *r)
{
    (void)realm;
    (void)log;
    (void)r;
}

static void fill_version(const struct realm *realm, const struct log *log, struct rows *r)
{
    (void)realm;
    (void)log;
    rows_text(r, slice_str("Sluice " SLUICE_VERSION));
}

static void fill_select(const struct realm *realm, const struct log *log, struct rows *r)
{
    (void)realm;
    (void)log;
    rows_number(r, 1);
}

static void fill_help(const struct realm *realm, const struct log *log, struct rows *r)
{
    (void)realm;
    (void)log;
    for (size_t i = 0; i < ADMIN_COUNT; i++) {
        const struct admin_command *command = &admin_commands[i];
        if (command->argument == ADMIN_ANY) continue;
        rows_text(r, slice_str(command->words));
        rows_text(r, slice_str(admin_level_name(command->level)));
        rows_text(r, slice_str(command->sentence));
    }
}

static void fill_config(const struct realm *realm, const struct log *log, struct rows *r)
{
    struct config_settings settings = { 0 };
    config_settings_init(&settings, realm->config);
    for (size_t i = 0; i < settings.count; i++) {
        const struct config_setting *s = &settings.items[i];
        rows_text(r, slice_str(s->path));
        /* SET may have changed it since. */
        rows_text(r, slice_str(strcmp(s->path, "log.level") == 0 ? log_level_name(log_level_of(log))
                                                                 : s->value));
        rows_text(r, slice_str(s->default_value));
        rows_text(r, slice_str(s->is_live ? "yes" : "no"));
    }
    r->cells.failed |= settings.failed;
    config_settings_fini(&settings);
}

/* ---- the table ------------------------------------------------------------------------------- */

const struct console_way console_ways[ADMIN_COUNT] = {
    [ADMIN_SHOW_CLIENTS] = { .visit = console_visit_clients },
    [ADMIN_SHOW_SERVERS] = { .visit = console_visit_servers },
    [ADMIN_SHOW_POOLS] = { .visit = console_visit_pools },
    [ADMIN_SHOW_PINS] = { .visit = console_visit_pins },
    [ADMIN_SHOW_WAITING] = { .visit = console_visit_waiting },
    [ADMIN_SHOW_DENIED] = { .visit = console_visit_denied },
    [ADMIN_EXPLAIN_DECISION] = { .visit = console_visit_decision },
    [ADMIN_SHOW_STATS] = { .visit = console_visit_stats },
    [ADMIN_SHOW_SOCKETS] = { .visit = console_visit_sockets },
    [ADMIN_SHOW_ACTIVE_SOCKETS] = { .visit = console_visit_active_sockets },
    [ADMIN_SHOW_STATS_AVERAGES] = { .visit = console_visit_totals },
    [ADMIN_SHOW_DNS_HOSTS] = { .fill = fill_nothing },
    [ADMIN_SHOW_DNS_ZONES] = { .fill = fill_nothing },
    [ADMIN_SHOW_STATS_TOTALS] = { .visit = console_visit_totals },
    [ADMIN_SHOW_LISTS] = { .visit = console_visit_lists },
    [ADMIN_SHOW_DATABASES] = { .visit = console_visit_databases },
    [ADMIN_SHOW_USERS] = { .visit = console_visit_users },
    [ADMIN_SHOW_MEM] = { .visit = console_visit_mem },
    [ADMIN_SHOW_STATE] = { .visit = console_visit_state },
    [ADMIN_SHOW_CONFIG] = { .fill = fill_config },
    [ADMIN_SHOW_VERSION] = { .fill = fill_version },
    [ADMIN_SHOW_HELP] = { .fill = fill_help },
    [ADMIN_SELECT_1] = { .fill = fill_select },
    [ADMIN_SHOW_DIAGNOSIS] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_SHOW_CREDENTIALS] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_SHOW_ROUTES] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_SHOW_SHADOW] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_EXPLAIN_ROUTE] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_SHOW_FLEET] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_SHOW_HISTORY] = { .for_control = true, .order = CONTROL_SHOW },
    [ADMIN_PAUSE] = { .visit = console_visit_pause },
    [ADMIN_RESUME] = { .visit = console_visit_resume },
    [ADMIN_RECONNECT] = { .visit = console_visit_reconnect },
    [ADMIN_SET_LOG_LEVEL] = { .visit = console_visit_log_level },
    [ADMIN_WAIT_CLOSE] = { .visit = console_visit_wait_close },
    [ADMIN_KILL] = { .visit = console_visit_kill_all },
    [ADMIN_CANCEL] = { .visit = console_visit_cancel },
    [ADMIN_KILL_CLIENT] = { .visit = console_visit_kill },
    [ADMIN_RELOAD] = { .for_control = true, .order = CONTROL_RELOAD },
    [ADMIN_ROUTE_PUBLISH] = { .for_control = true, .order = CONTROL_ROUTE },
    [ADMIN_ROUTE_ACTIVATE] = { .for_control = true, .order = CONTROL_ROUTE },
    [ADMIN_ROUTE_ROLLBACK] = { .for_control = true, .order = CONTROL_ROUTE },
    [ADMIN_ROUTE_HISTORY] = { .for_control = true, .order = CONTROL_ROUTE },
    [ADMIN_SHUTDOWN] = { .for_control = true, .order = CONTROL_STOP },
    [ADMIN_SHUTDOWN_WAIT_CLIENTS] = { .for_control = true, .order = CONTROL_DRAIN },
    [ADMIN_SHUTDOWN_WAIT_SERVERS] = { .for_control = true, .order = CONTROL_DRAIN },
};

/* ---- who may --------------------------------------------------------------------------------- */

static bool record_act(struct log *log, struct audit *audit, const struct audit_who *who,
                       const struct admin_call *call, bool allowed)
{
    char act[64];
    if (call->command->level <= CONSOLE_VIEWER) return true;
    snprintf(act, sizeof act, "%s%s", call->command->words, call->on_all ? " ON ALL" : "");
    log_event(log, EVENT_admin_act, LOG_U64("conn", who->conn), LOG_TEXT("from", who->from),
              LOG_STR("user", who->user), LOG_TEXT("command", act),
              LOG_TEXT("argument", call->argument), LOG_BOOL("allowed", allowed), LOG_END);
    return audit_act(audit, who, allowed ? AUDIT_ALLOW : AUDIT_DENY, act,
                     slice_str(call->argument));
}

bool console_allows(struct log *log, struct audit *audit, const struct audit_who *who,
                    enum console_level level, const struct admin_call *call, struct err *err)
{
    const struct admin_command *command = call->command;
    bool allowed = admin_may(level, command);
    bool recorded = record_act(log, audit, who, call, allowed);
    if (allowed && recorded) return true;
    if (allowed)
        return err_set(err, ERR_DENIED, "%s cannot be recorded at the moment", command->words);
    return err_set(err, ERR_DENIED, "%s needs the console level \"%s\", you have \"%s\"",
                   command->words, admin_level_name(command->level), admin_level_name(level));
}

/* ---- asking all workers ---------------------------------------------------------------------- */

struct survey *console_survey(const struct admin_call *call, const struct shared *shared)
{
    struct survey *s = survey_new(shared);
    if (!s) return NULL;
    s->visit = console_ways[call->command->id].visit;
    s->number = strtoull(call->argument, NULL, 10);
    memcpy(s->text, call->argument, sizeof s->text);
    s->text[sizeof s->text - 1] = '\0';
    return s;
}

bool console_found(const struct admin_call *call, const struct survey *s, struct err *err)
{
    enum admin_id id = call->command->id;
    bool of_client = id == ADMIN_KILL_CLIENT || id == ADMIN_CANCEL;
    bool is_sought = of_client || id == ADMIN_EXPLAIN_DECISION || id == ADMIN_SET_LOG_LEVEL;
    if (!is_sought || survey_sum(s)) return true;
    if (of_client) {
        err_set(err, ERR_INVALID_VALUE, "there is no client %s", call->argument);
        err_hint(err, "ids are in the last column of SHOW CLIENTS");
    } else if (id == ADMIN_SET_LOG_LEVEL) {
        err_set(err, ERR_INVALID_VALUE, "log_level: no such level");
        err_hint(err, "SET log_level = debug, info, warning or error");
    } else {
        err_set(err, ERR_INVALID_VALUE, "decision \"%s\" is not known here", call->argument);
        err_hint(err, "SHOW DENIED lists the last ones; older ones are in the audit record");
    }
    return false;
}

uint64_t console_join(const struct survey *s, const struct rows_shape *shape,
                      const struct shared *shared, uint64_t now_ms, struct buf *out)
{
    uint64_t uptime_s = (now_ms - shared->started_ms) / 1000 + 1;
    bool has_averages = shape->id == ADMIN_SHOW_STATS || shape->id == ADMIN_SHOW_STATS_AVERAGES;
    return survey_join(s, shape, has_averages ? console_finish_stats : NULL, &uptime_s, out);
}

void console_name(char to[64], struct slice user)
{
    size_t n = user.len < 63 ? user.len : 63;
    if (n) memcpy(to, user.at, n);
    to[n] = '\0';
}
