#include "proxy/command/command.h"
#include "proxy/command/manual.h"

#include "protocol/err.h"
#include "protocol/message.h"
#include "protocol/nearest.h"
#include "proxy/ops/admin.h"
#include "proxy/ops/config.h"
#include "proxy/ops/log.h"
#include "proxy/ops/metrics.h"
#include "proxy/states.h"

/* ---- errors ----------------------------------------------------------------------------------*/

static void describe_errors(struct buf *out)
{
    buf_add_str(out, "| name | SQLSTATE | severity | retry | message |\n|---|---|---|---|---|\n");
    for (unsigned code = ERR_NONE + 1; code < ERR_COUNT; code++)
        buf_addf(out, "| %s | %s | %s | %s | %s |\n", err_name(code), err_sqlstate(code),
                 err_severity(code), err_is_retriable(code) ? "yes" : "no", err_text(code));
}

/* ---- events ----------------------------------------------------------------------------------*/

static void describe_events(struct buf *out)
{
    buf_add_str(out, "| event | level | what has happened | what to do |\n|---|---|---|---|\n");
    for (unsigned i = 0; i < EVENT_COUNT; i++)
        buf_addf(out, "| `%s` | %s | %s | %s |\n", event_infos[i].name,
                 log_level_name(event_infos[i].level), event_infos[i].meaning, event_infos[i].todo);
}

/* ---- messages --------------------------------------------------------------------------------*/

static void describe_direction(struct buf *out, const char *title, const struct message_spec *specs)
{
    buf_addf(out, "| %s | byte | body, bytes |\n|---|---|---|\n", title);
    for (unsigned byte = 0; byte < 256; byte++) {
        const struct message_spec *spec = &specs[byte];
        if (!spec->name) continue;
        buf_addf(out, "| %s | `%c` | %u", spec->name, (int)byte, spec->min);
        if (spec->max == MESSAGE_MAX)
            buf_add_str(out, " or more");
        else if (spec->max > spec->min)
            buf_addf(out, " to %u", spec->max);
        buf_add_str(out, " |\n");
    }
}

static void describe_messages(struct buf *out)
{
    describe_direction(out, "client to server", frontend_specs);
    buf_add_str(out, "\n");
    describe_direction(out, "server to client", backend_specs);
}

/* ---- metrics ---------------------------------------------------------------------------------*/

static bool is_total(const char *name)
{
    const size_t n = strlen(name);
    return n > 6 && strcmp(name + n - 6, "_total") == 0;
}

static void describe_metrics(struct buf *out)
{
    buf_add_str(out, "| metric | kind | what it counts |\n|---|---|---|\n");
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        buf_addf(out, "| `sluice_%s%s` | %s | %s |\n", metric_infos[i].name,
                 metric_infos[i].is_counter ? "_total" : "",
                 metric_infos[i].is_counter ? "counter" : "gauge", metric_infos[i].help);
    for (unsigned i = 0; i < HISTOGRAM_COUNT; i++)
        buf_addf(out, "| `sluice_%s` | histogram | %s |\n", histogram_infos[i].name,
                 histogram_infos[i].help);
    for (unsigned i = 0; i < READ_COUNT; i++) {
        const struct read_gauge_info *gauge = &read_gauge_infos[i];
        const char *open = gauge->labels[0] ? "{" : "", *close = gauge->labels[0] ? "}" : "";
        buf_addf(out, "| `sluice_%s%s%s%s` | %s | %s |\n", gauge->name, open, gauge->labels, close,
                 is_total(gauge->name) ? "counter" : "gauge", gauge->help);
    }
}

/* ---- routes ----------------------------------------------------------------------------------*/

static const struct key {
    const char *object, *name, *sentence, *level;
} keys[] = {
#define KEY(object, key, sentence) { #object, key, sentence, "" },
#include "routing/document.def"
#undef KEY
#define CONDITION(name, key, kind, level, sentence) { "when", key, sentence, #level },
#include "routing/condition.def"
#undef CONDITION
};

static void describe_object(struct buf *out, const char *object, const char *title)
{
    buf_addf(out, "### %s\n\n| key | |\n|---|---|\n", title);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].object, object) == 0)
            buf_addf(out, "| `%s` | %s%s |\n", keys[i].name, keys[i].sentence,
                     strcmp(keys[i].level, "STATEMENT") == 0
                         ? "; known at a transaction's first statement"
                         : "");
}

static void describe_routes(struct buf *out)
{
    describe_object(out, "document", "The document");
    buf_add_str(out, "\n");
    describe_object(out, "rule", "`rules[]`");
    buf_add_str(out, "\n");
    describe_object(out, "when", "`rules[].when`");
    buf_add_str(out, "\n");
    describe_object(out, "test", "`tests[]`");
    buf_add_str(out, "\n");
    describe_object(out, "expect", "`tests[].expect`");
}

/* ---- states ----------------------------------------------------------------------------------*/

static void describe_machine(struct buf *out, const char *title, const struct state_row *rows,
                             size_t count)
{
    buf_addf(out, "| %s in state | on | does | and is then |\n|---|---|---|---|\n", title);
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "| %s | %s | %s | %s |\n", rows[i].state, rows[i].event, rows[i].action,
                 rows[i].next);
}

static void describe_states(struct buf *out)
{
    describe_machine(out, "client", client_rows, n_client_rows);
    buf_add_str(out, "\n");
    describe_machine(out, "server", server_rows, n_server_rows);
}

/* ---- the command -----------------------------------------------------------------------------*/

static const struct page {
    const char *name;
    void (*describe)(struct buf *out);
} PAGES[] = {
    { "admin", admin_describe },       { "completion", manual_completion },
    { "config", config_describe },     { "errors", describe_errors },
    { "events", describe_events },     { "manual", manual_page },
    { "messages", describe_messages }, { "metrics", describe_metrics },
    { "routes", describe_routes },     { "states", describe_states },
};

int command_describe(int argc, char **argv)
{
    struct options_describe options;
    struct buf text = { 0 };
    int n = command_parse(argc, argv, &options, 1);
    if (n < 0) return STATUS_USAGE;
    if (n != 1) return command_misused(argv[0], "say which page");
    struct nearest nearest = { .word = slice_str(argv[1]) };
    for (size_t i = 0; i < sizeof PAGES / sizeof *PAGES; i++) {
        if (!slice_is(nearest.word, PAGES[i].name)) {
            nearest_offer(&nearest, slice_str(PAGES[i].name));
            continue;
        }
        if (options.schema && PAGES[i].describe != config_describe)
            return command_misused(argv[0], "--schema goes with config");
        (options.schema ? config_schema : PAGES[i].describe)(&text);
        return command_print(&text);
    }
    return command_misused(argv[0], "no page \"%s\"%s%.*s%s", argv[1],
                           nearest.best.len ? "; did you mean " : "", SLICE_ARG(nearest.best),
                           nearest.best.len ? "?" : "");
}
