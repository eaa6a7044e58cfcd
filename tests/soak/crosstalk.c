/* crosstalk: many clients that check every answer for being theirs.
 *
 *   crosstalk -p PORT [-c CLIENTS] [-t SECONDS] [-n ANSWERS] [-k TIMES] [-a PERCENT] [-s SEED] [-l]
 *             [-x OPERATIONS] [-w WORDS]
 *
 * Each client goes through random operations: simple, unnamed, prepared (all clients use the same
 * names for different statements), pipelined, transactions, COPY both ways, settings, errors,
 * cancels. Every answer must carry the client's tag, the running number of its question, and the
 * client's settings. PERCENT of the operations (default 2) end in the middle with a lost
 * connection.
 *
 *   -k     until each operation was seen to its end so many times, and so many connections were
 * lost in the middle of one; when -t comes first, that is a failure -l     losing servers is part
 * of the test: an error 57P01, 08xxx or a lost connection is counted, not wrong; the client
 * connects again -w     more conninfo words (user=..., sslmode=...)
 *
 * One thread, libpq, poll. Wants `create table crosstalk (client int, number int, filler text)`.
 * Says in one line of JSON what it saw; exit status 0: no wrong answer, nobody hung, something
 * verified.
 */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EXPECT_CAP = 64, HANG_S = 30, NAMES = 3, COPY_LINES = 50 };
enum state { CONNECTING, IDLE, BUSY };
enum op {
    SIMPLE,
    TWO_STATEMENTS,
    UNNAMED,
    PREPARED,
    PIPELINE,
    TRANSACTION,
    LOCAL_SETTING,
    SETTING,
    ERROR,
    COPY_OUT,
    COPY_IN,
    BIG,
    CANCEL,
    OPS
};

static const char *const op_names[OPS] = {
    "simple",  "two_statements", "unnamed",  "prepared", "pipeline", "transaction", "local_setting",
    "setting", "error",          "copy_out", "copy_in",  "big",      "cancel"
};
/* How often each, of the sum. */
static int op_weights[OPS] = { 20, 5, 20, 15, 25, 8, 4, 4, 5, 3, 3, 1, 1 };

enum kind { ROW, COMMAND, FAILURE, LINES, SENDING, SYNC };

struct expectation {
    enum kind kind;
    char text[160]; /* ROW: the fields, joined by |; FAILURE: the SQLSTATE; COMMAND: the tag's begin
                     */
};

struct client {
    int id;
    PGconn *pg;
    enum state state;
    PostgresPollingStatusType want;
    enum op op;
    uint64_t number;      /* of the last question */
    int zone, path;       /* settings: indices into zones and paths */
    bool prepared[NAMES]; /* statements of this connection */
    struct expectation expected[EXPECT_CAP];
    int expects, seen, lines;
    bool copying, in_pipeline;
    double since, cancel_at, abort_at; /* 0: not */
};

struct run {
    int clients, abort_percent;
    bool losing, stopping;
    double seconds;
    uint64_t wanted, each;
    char conninfo[1000];
    struct client *all;
    uint64_t verified, wrong, hung, aborts, losses, refused_connects, cancels, cancelled,
        operations[OPS];
    double slowest;
    struct {
        char code[8];
        uint64_t count;
    } states[16]; /* SQLSTATEs of losses; "-": none was said */
};

static const char *const zones[] = { "UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo" };
static const char *const paths[] = { "public", "pg_catalog", "public, pg_catalog" };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int choose(int below) { return (int)(random() % below); }

/* ---- what is expected
 * ----------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void expect(struct client *c, enum kind kind,
                                                         const char *format, ...)
{
    if (c->expects == EXPECT_CAP) abort();
    struct expectation *e = &c->expected[c->expects++];
    e->kind = kind;
    va_list args;
    va_start(args, format);
    vsnprintf(e->text, sizeof e->text, format, args);
    va_end(args);
}

/* The columns that say whose answer this is, and the answer. */
#define WHOSE                                                                                      \
    "current_setting('application_name'), current_setting('timezone'), "                           \
    "current_setting('search_path')"

static void expect_answer(struct client *c, uint64_t number, const char *path)
{
    expect(c, ROW, "c%d.%llu|c%d|%s|%s", c->id, (unsigned long long)number, c->id, zones[c->zone],
           path ? path : paths[c->path]);
}

static bool wrong(struct run *r, struct client *c, const char *got)
{
    struct expectation *e = c->seen < c->expects ? &c->expected[c->seen] : NULL;
    r->wrong++;
    fprintf(stderr, "WRONG client %d %s: got %s, wanted %s %s\n", c->id, op_names[c->op], got,
            e ? (const char *[]){ "row", "command", "error", "lines", "copy in", "sync" }[e->kind]
              : "nothing",
            e ? e->text : "");
    return false;
}

/* ---- the operations
 * ------------------------------------------------------------------------------- */

static bool ask(struct client *c, const char *extra)
{
    char sql[600];
    snprintf(sql, sizeof sql, "select 'c%d.%llu', " WHOSE "%s", c->id,
             (unsigned long long)++c->number, extra);
    expect_answer(c, c->number, NULL);
    return PQsendQuery(c->pg, sql);
}

static bool ask_with_parameters(struct client *c)
{
    char tag[40];
    const char *values[1] = { tag };
    snprintf(tag, sizeof tag, "c%d.%llu", c->id, (unsigned long long)++c->number);
    expect_answer(c, c->number, NULL);
    return PQsendQueryParams(c->pg, "select $1::text, " WHOSE, 1, NULL, values, NULL, NULL, 0);
}

/* The same names for everybody, and another text for each: s0 of client 7 answers `c7.`. */
static bool ask_prepared(struct client *c)
{
    char sql[300], name[8], number[24];
    const char *values[1] = { number };
    int which = choose(NAMES);
    snprintf(name, sizeof name, "s%d", which);
    snprintf(sql, sizeof sql, "select 'c%d.' || $1::text, " WHOSE ", %d as statement", c->id,
             which);
    if (!c->prepared[which]) {
        c->prepared[which] = true;
        expect(c, COMMAND, "%s", "");
        return PQsendPrepare(c->pg, name, sql, 0, NULL);
    }
    snprintf(number, sizeof number, "%llu", (unsigned long long)++c->number);
    expect(c, ROW, "c%d.%llu|c%d|%s|%s|%d", c->id, (unsigned long long)c->number, c->id,
           zones[c->zone], paths[c->path], which);
    return PQsendQueryPrepared(c->pg, name, 1, values, NULL, NULL, 0);
}

static bool ask_pipeline(struct client *c)
{
    int depth = 2 + choose(30);
    if (!PQenterPipelineMode(c->pg)) return false;
    c->in_pipeline = true;
    for (int at = 0; at < depth; at++) {
        if (!ask_with_parameters(c)) return false;
        if (at % 3 == 2 && at + 1 < depth) { /* more than one Sync */
            if (!PQpipelineSync(c->pg)) return false;
            expect(c, SYNC, "%s", "");
        }
    }
    if (choose(8) == 0) { /* an error skips to the Sync */
        if (!PQsendQueryParams(c->pg, "select 1 / 0", 0, NULL, NULL, NULL, NULL, 0)) return false;
        expect(c, FAILURE, "22012");
    }
    expect(c, SYNC, "%s", "");
    return PQpipelineSync(c->pg);
}

static bool send_text(struct client *c, const char *sql) { return PQsendQuery(c->pg, sql); }

static bool in_transaction(struct client *c)
{
    char sql[900];
    unsigned long long n = ++c->number;
    snprintf(sql, sizeof sql,
             "begin; insert into crosstalk values (%d, 1), (%d, 2); select count(*)::text || "
             "'/c%d.%llu', " WHOSE " from public.crosstalk where client = %d; rollback",
             c->id, c->id, c->id, n, c->id);
    /* The table is named without its schema: only `public` finds it. */
    bool found = c->path != 1;
    expect(c, COMMAND, "BEGIN");
    if (!found) {
        expect(c, FAILURE, "42P01");
        return send_text(c, sql);
    }
    expect(c, COMMAND, "INSERT 0 2");
    expect(c, ROW, "2/c%d.%llu|c%d|%s|%s", c->id, n, c->id, zones[c->zone], paths[c->path]);
    expect(c, COMMAND, "ROLLBACK");
    return send_text(c, sql);
}

static bool with_local_setting(struct client *c)
{
    char sql[600];
    snprintf(sql, sizeof sql,
             "begin; set local search_path to pg_temp; select 'c%d.%llu', " WHOSE
             "; commit; select 'c%d.%llu', " WHOSE,
             c->id, (unsigned long long)c->number + 1, c->id, (unsigned long long)c->number + 2);
    expect(c, COMMAND, "BEGIN");
    expect(c, COMMAND, "SET");
    expect_answer(c, ++c->number, "pg_temp");
    expect(c, COMMAND, "COMMIT");
    expect_answer(c, ++c->number, NULL);
    return send_text(c, sql);
}

static bool change_setting(struct client *c)
{
    char sql[200];
    if (choose(2)) {
        c->zone = choose(4);
        snprintf(sql, sizeof sql, "set timezone to '%s'", zones[c->zone]);
    } else {
        c->path = choose(3);
        snprintf(sql, sizeof sql, "set search_path to %s", paths[c->path]);
    }
    expect(c, COMMAND, "SET");
    return send_text(c, sql);
}

/* (No unknown first word: what cannot be read pins, and five pinned clients would keep all
 * servers.) */
static bool make_error(struct client *c)
{
    static const char *const bad[][2] = { { "select 1 / 0", "22012" },
                                          { "select nothing from nowhere", "42P01" },
                                          { "select 1 +", "42601" } };
    int which = choose(3);
    expect(c, FAILURE, "%s", bad[which][1]);
    if (choose(2)) return send_text(c, bad[which][0]);
    return PQsendQueryParams(c->pg, bad[which][0], 0, NULL, NULL, NULL, NULL, 0);
}

static bool copy_out(struct client *c)
{
    char sql[200];
    snprintf(sql, sizeof sql, "copy (select 'c%d.%llu', n from generate_series(1, %d) n) to stdout",
             c->id, (unsigned long long)++c->number, COPY_LINES);
    expect(c, LINES, "c%d.%llu\t", c->id, (unsigned long long)c->number);
    expect(c, COMMAND, "COPY %d", COPY_LINES);
    return send_text(c, sql);
}

static bool copy_in(struct client *c)
{
    expect(c, SENDING, "%s", "");
    expect(c, COMMAND, "COPY %d", COPY_LINES);
    return send_text(c, "copy public.crosstalk from stdin");
}

static bool big_answer(struct client *c)
{
    char extra[80];
    int size = 60000 + choose(20000);
    snprintf(extra, sizeof extra, ", length(repeat('x', %d)), repeat('x', %d)", size, size);
    bool sent = ask(c, extra);
    snprintf(c->expected[c->expects - 1].text + strlen(c->expected[c->expects - 1].text), 24,
             "|%d|", size);
    return sent;
}

static bool sleep_to_be_cancelled(struct client *c)
{
    expect(c, FAILURE, "57014");
    c->cancel_at = now() + choose(100) / 1000.0;
    return send_text(c, "select pg_sleep(20)");
}

static bool start_op(struct run *r, struct client *c)
{
    int sum = 0, at = 0, dice;
    for (int op = 0; op < OPS; op++) sum += op_weights[op];
    for (dice = choose(sum); dice >= op_weights[at]; at++) dice -= op_weights[at];
    c->op = (enum op)at;
    c->expects = c->seen = c->lines = 0;
    c->in_pipeline = c->copying = false;
    c->cancel_at = 0;
    c->state = BUSY;
    c->since = now();
    c->abort_at = choose(1000) < r->abort_percent * 10 ? c->since + choose(20) / 1000.0 : 0;
    switch (c->op) {
    case SIMPLE: return ask(c, "");
    case TWO_STATEMENTS: {
        char extra[300];
        uint64_t first = c->number + 1;
        snprintf(extra, sizeof extra, "; select 'c%d.%llu', " WHOSE, c->id,
                 (unsigned long long)first + 1);
        bool sent = ask(c, extra);
        expect_answer(c, ++c->number, NULL);
        return sent;
    }
    case UNNAMED: return ask_with_parameters(c);
    case PREPARED: return ask_prepared(c);
    case PIPELINE: return ask_pipeline(c);
    case TRANSACTION: return in_transaction(c);
    case LOCAL_SETTING: return with_local_setting(c);
    case SETTING: return change_setting(c);
    case ERROR: return make_error(c);
    case COPY_OUT: return copy_out(c);
    case COPY_IN: return copy_in(c);
    case BIG: return big_answer(c);
    case CANCEL: return sleep_to_be_cancelled(c);
    default: abort();
    }
}

/* ---- connections
 * ---------------------------------------------------------------------------------- */

static void dial(struct run *r, struct client *c)
{
    char info[1200];
    snprintf(info, sizeof info,
             "%s application_name=c%d options='-c timezone=UTC -c search_path=public'", r->conninfo,
             c->id);
    memset(c->prepared, 0, sizeof c->prepared);
    c->zone = c->path = 0;
    c->state = CONNECTING;
    c->since = now();
    c->abort_at = c->cancel_at = 0;
    c->pg = PQconnectStart(info);
    c->want = PGRES_POLLING_WRITING;
}

/* Without a goodbye: orderly (FIN) or not (RST). */
static void vanish(struct client *c)
{
    int fd = PQsocket(c->pg), nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct linger now_ = { 1, 0 };
    if (fd >= 0 && nothing >= 0) {
        if (choose(2)) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now_, sizeof now_);
        dup2(nothing, fd);
    }
    if (nothing >= 0) close(nothing);
    PQfinish(c->pg);
}

static void note_state(struct run *r, const char *sqlstate)
{
    const char *code = sqlstate ? sqlstate : "-";
    for (size_t at = 0; at < sizeof r->states / sizeof *r->states; at++)
        if (!r->states[at].count || !strcmp(r->states[at].code, code)) {
            snprintf(r->states[at].code, sizeof r->states[at].code, "%s", code);
            r->states[at].count++;
            return;
        }
}

static void lose(struct run *r, struct client *c, const char *sqlstate, const char *why)
{
    if (r->losing) {
        r->losses++;
        note_state(r, sqlstate);
    } else
        wrong(r, c, why);
    PQfinish(c->pg);
    dial(r, c);
}

static bool is_loss(const char *sqlstate)
{
    return !sqlstate || !strcmp(sqlstate, "57P01") || !strcmp(sqlstate, "57P02") ||
           !strcmp(sqlstate, "57P03") || !strncmp(sqlstate, "08", 2) || !strcmp(sqlstate, "53300");
}

static void on_connecting(struct run *r, struct client *c)
{
    c->want = PQconnectPoll(c->pg);
    if (c->want == PGRES_POLLING_FAILED) {
        r->refused_connects++;
        if (!r->losing) wrong(r, c, PQerrorMessage(c->pg));
        PQfinish(c->pg);
        dial(r, c);
    } else if (c->want == PGRES_POLLING_OK) {
        PQsetnonblocking(c->pg, 1);
        c->state = IDLE;
    }
}

/* ---- the answers
 * ---------------------------------------------------------------------------------- */

static bool check_row(struct run *r, struct client *c, PGresult *result,
                      const struct expectation *e)
{
    char got[400];
    size_t n = 0;
    int fields = PQnfields(result);
    if (PQntuples(result) != 1) return wrong(r, c, "not one row");
    for (int at = 0; at < fields && n < sizeof got; at++)
        n += (size_t)snprintf(got + n, sizeof got - n, "%s%.100s", at ? "|" : "",
                              PQgetvalue(result, 0, at));
    /* BIG: the last field is long, only its length is compared */
    size_t compared = c->op == BIG ? strlen(e->text) : sizeof got;
    if (strncmp(got, e->text, compared)) return wrong(r, c, got);
    if (c->op == BIG &&
        PQgetlength(result, 0, fields - 1) != atoi(PQgetvalue(result, 0, fields - 2)))
        return wrong(r, c, "another length");
    r->verified++;
    return true;
}

/* COPY data both ways, as far as it goes now. False: not at its end yet. */
static bool copy_goes_on(struct run *r, struct client *c)
{
    struct expectation *e = &c->expected[c->seen];
    char *line;
    if (e->kind == SENDING) {
        char row[120];
        while (c->lines < COPY_LINES) {
            int n = snprintf(row, sizeof row, "%d\t%d\t\\N\n", -1 - c->id, c->lines);
            if (PQputCopyData(c->pg, row, n) != 1) return false;
            c->lines++;
        }
        if (PQputCopyEnd(c->pg, NULL) != 1) return false;
        c->seen++;
        return true;
    }
    int got;
    while ((got = PQgetCopyData(c->pg, &line, 1)) > 0) {
        if (strncmp(line, e->text, strlen(e->text))) wrong(r, c, line);
        PQfreemem(line);
        c->lines++;
    }
    if (got == 0) return false;
    if (got == -2) return true; /* the error is the next result */
    if (c->lines != COPY_LINES)
        wrong(r, c, "lines are missing");
    else
        r->verified++;
    c->seen++;
    return true;
}

/* False: the connection is of no use any more (and was replaced). */
static bool on_result(struct run *r, struct client *c, PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    struct expectation *e = c->seen < c->expects ? &c->expected[c->seen] : NULL;
    if (status == PGRES_FATAL_ERROR && (!e || e->kind != FAILURE) && is_loss(sqlstate)) {
        lose(r, c, sqlstate, PQresultErrorMessage(result));
        return false;
    }
    if (!e)
        wrong(r, c, PQresStatus(status));
    else if (status == PGRES_TUPLES_OK && e->kind == ROW)
        check_row(r, c, result, e);
    else if (status == PGRES_COMMAND_OK && e->kind == COMMAND) {
        if (strncmp(PQcmdStatus(result), e->text, strlen(e->text)))
            wrong(r, c, PQcmdStatus(result));
        r->verified++;
    } else if (status == PGRES_FATAL_ERROR && e->kind == FAILURE) {
        if (sqlstate && !strcmp(sqlstate, e->text))
            r->verified++;
        else if (is_loss(sqlstate)) {
            lose(r, c, sqlstate, PQresultErrorMessage(result));
            return false;
        } else
            wrong(r, c, PQresultErrorMessage(result));
        if (c->op == CANCEL && sqlstate) r->cancelled++;
    } else if (status == PGRES_PIPELINE_SYNC && e->kind == SYNC)
        ;
    else if ((status == PGRES_COPY_OUT && e->kind == LINES) ||
             (status == PGRES_COPY_IN && e->kind == SENDING))
        return true; /* goes on in copy_goes_on */
    else
        wrong(r, c,
              status == PGRES_FATAL_ERROR ? PQresultErrorMessage(result) : PQresStatus(status));
    c->seen++;
    return true;
}

static void finish_op(struct run *r, struct client *c)
{
    double took = now() - c->since;
    if (c->seen < c->expects) wrong(r, c, "the end");
    if (took > r->slowest && c->op != CANCEL) r->slowest = took;
    if (c->in_pipeline) PQexitPipelineMode(c->pg);
    if (c->op == TRANSACTION && PQtransactionStatus(c->pg) == PQTRANS_INERROR) { /* leave it */
        c->expects = c->seen = 0;
        c->in_pipeline = false;
        expect(c, COMMAND, "ROLLBACK");
        send_text(c, "rollback");
        c->op = SETTING;
        return;
    }
    r->operations[c->op]++;
    c->state = IDLE;
}

static void on_busy(struct run *r, struct client *c)
{
    if (!PQconsumeInput(c->pg)) {
        lose(r, c, NULL, PQerrorMessage(c->pg));
        return;
    }
    PQflush(c->pg);
    for (;;) {
        if (c->copying) {
            if (!copy_goes_on(r, c)) return;
            c->copying = false;
            PQflush(c->pg);
            continue;
        }
        if (PQisBusy(c->pg)) return;
        PGresult *result = PQgetResult(c->pg);
        if (!result) {
            if (c->in_pipeline && c->seen < c->expects) { /* one query of the pipeline is done */
                if (PQisBusy(c->pg)) return;
                continue;
            }
            finish_op(r, c);
            return;
        }
        ExecStatusType status = PQresultStatus(result);
        bool alive = on_result(r, c, result);
        PQclear(result);
        if (!alive) return;
        c->copying = status == PGRES_COPY_OUT || status == PGRES_COPY_IN;
        if (c->in_pipeline && status == PGRES_PIPELINE_SYNC && c->seen == c->expects) {
            finish_op(r, c);
            return;
        }
    }
}

static void send_cancel(struct run *r, struct client *c)
{
    char why[256];
    PGcancel *key = PQgetCancel(c->pg);
    r->cancels++;
    c->cancel_at = now() + 1; /* it may have come before its query: once more */
    if (key) PQcancel(key, why, sizeof why);
    PQfreeCancel(key);
}

/* ---- the loop
 * ------------------------------------------------------------------------------------- */

static void tick(struct run *r, struct client *c)
{
    double t = now();
    if (c->state == IDLE && !r->stopping) {
        if (!start_op(r, c)) lose(r, c, NULL, PQerrorMessage(c->pg));
        PQflush(c->pg);
    }
    if (c->state == BUSY && c->cancel_at > 0 && t >= c->cancel_at) send_cancel(r, c);
    if (c->state == BUSY && c->abort_at > 0 && t >= c->abort_at) {
        r->aborts++;
        vanish(c);
        dial(r, c);
    }
    if (c->state != IDLE && t - c->since > HANG_S) {
        r->hung++;
        fprintf(stderr, "HUNG client %d %s: %s, seen %d of %d\n", c->id, op_names[c->op],
                c->state == CONNECTING ? "connecting" : "waiting", c->seen, c->expects);
        vanish(c);
        dial(r, c);
    }
}

static bool has_seen_enough(const struct run *r)
{
    if (r->each == 0 || r->aborts < r->each) return false;
    for (int op = 0; op < OPS; op++)
        if (op_weights[op] && r->operations[op] < r->each) return false;
    return true;
}

static void loop(struct run *r)
{
    struct pollfd *fds = calloc((size_t)r->clients, sizeof *fds);
    double began = now(), stop_since = 0;
    for (;;) {
        int busy = 0;
        bool enough = (r->seconds > 0 && now() - began >= r->seconds) ||
                      (r->wanted && r->verified >= r->wanted) || has_seen_enough(r);
        if (enough && !r->stopping) {
            r->stopping = true;
            stop_since = now();
        }
        for (int at = 0; at < r->clients; at++) {
            struct client *c = &r->all[at];
            tick(r, c);
            fds[at] = (struct pollfd){ .fd = PQsocket(c->pg), .events = POLLIN };
            if (c->state == CONNECTING)
                fds[at].events = c->want == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
            if (c->state == BUSY && PQflush(c->pg) == 1) fds[at].events |= POLLOUT;
            busy += c->state == BUSY;
        }
        if (r->stopping && (!busy || now() - stop_since > HANG_S + 5)) break;
        poll(fds, (nfds_t)r->clients, 20);
        for (int at = 0; at < r->clients; at++) {
            struct client *c = &r->all[at];
            if (c->state == CONNECTING && (fds[at].revents || fds[at].fd < 0)) on_connecting(r, c);
            if (c->state == BUSY && fds[at].revents) on_busy(r, c);
        }
    }
    free(fds);
}

int main(int argc, char **argv)
{
    static struct run r = { .clients = 200, .seconds = 60, .abort_percent = 2 };
    int option, port = 5439;
    unsigned seed = (unsigned)getpid();
    const char *words = "user=postgres dbname=postgres";
    while ((option = getopt(argc, argv, "p:c:t:n:k:a:s:w:x:l")) != -1) switch (option) {
        case 'p': port = atoi(optarg); break;
        case 'c': r.clients = atoi(optarg); break;
        case 't': r.seconds = atof(optarg); break;
        case 'n': r.wanted = strtoull(optarg, NULL, 10); break;
        case 'k': r.each = strtoull(optarg, NULL, 10); break;
        case 'a': r.abort_percent = atoi(optarg); break;
        case 's': seed = (unsigned)atoi(optarg); break;
        case 'w': words = optarg; break;
        case 'x':
            for (int op = 0; op < OPS; op++)
                if (strstr(optarg, op_names[op])) op_weights[op] = 0;
            break;
        case 'l': r.losing = true; break;
        default: return 2;
        }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    srandom(seed);
    snprintf(r.conninfo, sizeof r.conninfo,
             "host=127.0.0.1 port=%d sslmode=disable gssencmode=disable %s", port, words);
    r.all = calloc((size_t)r.clients, sizeof *r.all);
    if (!r.all) return 2;
    for (int at = 0; at < r.clients; at++) {
        r.all[at].id = at;
        dial(&r, &r.all[at]);
    }
    double began = now();
    loop(&r);
    for (int at = 0; at < r.clients; at++) PQfinish(r.all[at].pg);
    printf(
        "{\"verified\": %llu, \"wrong\": %llu, \"hung\": %llu, \"aborts\": %llu, \"losses\": %llu, "
        "\"refused_connects\": %llu, \"cancels\": %llu, \"cancelled\": %llu, \"slowest_s\": %.3f, "
        "\"seconds\": %.1f, "
        "\"seed\": %u, \"operations\": {",
        (unsigned long long)r.verified, (unsigned long long)r.wrong, (unsigned long long)r.hung,
        (unsigned long long)r.aborts, (unsigned long long)r.losses,
        (unsigned long long)r.refused_connects, (unsigned long long)r.cancels,
        (unsigned long long)r.cancelled, r.slowest, now() - began, seed);
    for (int op = 0; op < OPS; op++)
        printf("%s\"%s\": %llu", op ? ", " : "", op_names[op],
               (unsigned long long)r.operations[op]);
    printf("}");
    for (size_t at = 0; at < sizeof r.states / sizeof *r.states && r.states[at].count; at++)
        printf("%s\"%s\": %llu", at ? ", " : ", \"sqlstates\": {", r.states[at].code,
               (unsigned long long)r.states[at].count);
    printf("%s}\n", r.states[0].count ? "}" : "");
    free(r.all);
    if (r.each && !has_seen_enough(&r)) fprintf(stderr, "TOO FEW of some operation\n");
    return r.wrong || r.hung || !r.verified || (r.each && !has_seen_enough(&r));
}
