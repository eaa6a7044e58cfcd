/* The ledger agrees with a real PostgreSQL.
 *
 * A client with a bare socket says random things, sound and unsound, in any order and as fast or as
 * slow as the dice want; the ledger is told of all that goes and comes. What must hold:
 *
 *   - whatever the server says is expected (unless the ledger had said that it was unsure);
 *   - quiet is said of a server exactly when it waits for a new command, with all answers received:
 *     pg_stat_activity tells, once the kernel says that it has read every byte;
 *   - the transaction's status is the one there;
 *   - a server that recovers (CopyFail, Sync, ROLLBACK) is clean.
 *
 * LEDGER_SECONDS (10) and LEDGER_SEED choose how long, and where to begin.
 */
#include "protocol/buf.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/txn.h"
#include "support/fixtures.h"
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct postgres server;
static PGconn *observer;

/* ---- one conversation ----------------------------------------------------------------------- */

struct talk {
    int fd;
    char pid[16];
    struct buf out, in; /* not sent yet; received, but not cut yet */
    struct frame frame;
    struct txn txn;
    uint64_t random;
    bool gone; /* the server closed, or the ledger is out of its depth */
    bool was_unsure;
    struct buf story;
};

static struct {
    unsigned scripts, messages, answers, idle, in_block, busy, doubtful, unsure, cut_off;
} counts;

static uint32_t dice(struct talk *k, uint32_t sides)
{
    k->random ^= k->random << 13;
    k->random ^= k->random >> 7;
    k->random ^= k->random << 17;
    return (uint32_t)(k->random >> 33) % sides;
}

static void broken(struct talk *k, const char *what)
{
    buf_add_u8(&k->story, 0);
    fail_msg("%s:%s", what, k->story.at);
}

static void take_locals(struct talk *k)
{
    struct txn_entry e;
    while (txn_take_dropped(&k->txn, &e)) {
    }
}

static void receive(struct talk *k, const struct piece *p)
{
    if (!p->first) return;
    uint8_t status = p->type == BACKEND_READY ? (uint8_t)piece_body(p).at[0] : 0;
    bool again = (p->type == BACKEND_DATA_ROW || p->type == BACKEND_COPY_DATA) &&
                 k->story.at[k->story.len - 1] == (char)p->type;
    if (!again) buf_addf(&k->story, " <%.*s%c", status ? 1 : 0, (const char *)&status, p->type);
    struct txn_answer a;
    txn_received(&k->txn, p->type, status, &a);
    counts.answers++;
    take_locals(k);
    if (!a.expected && !k->was_unsure) broken(k, "not expected");
    k->gone |= !a.expected;
    k->was_unsure |= k->txn.unsure || k->txn.doubtful;
}

/* Whatever is there; false at the end of file. */
static bool read_some(struct talk *k)
{
    char bytes[8192];
    for (;;) {
        ssize_t n = read(k->fd, bytes, 1 + dice(k, sizeof bytes));
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return false;
        if (n < 0) return true;
        buf_add(&k->in, bytes, (size_t)n);
        struct slice in = buf_slice(&k->in);
        struct piece p;
        enum frame_result result;
        while ((result = frame_next(&k->frame, &in, &p)) == FRAME_PIECE) receive(k, &p);
        if (result != FRAME_MORE) broken(k, "a message of no kind");
        buf_drop(&k->in, k->in.len - in.len);
    }
}

static void look(struct talk *k)
{
    if (!read_some(k)) k->gone = true;
}

static void flush(struct talk *k)
{
    while (k->out.len && !k->gone) {
        ssize_t n = send(k->fd, k->out.at, k->out.len, MSG_NOSIGNAL);
        if (n > 0) {
            buf_drop(&k->out, (size_t)n);
        } else if (errno == EAGAIN) {
            look(k);
            struct pollfd fd = { k->fd, POLLIN | POLLOUT, 0 };
            poll(&fd, 1, 100);
        } else if (errno != EINTR) {
            look(k);
            k->gone = true;
        }
    }
}

static void post(struct talk *k, char type, struct slice body)
{
    buf_addf(&k->story, " >%c", type);
    if (body.len && (type == 'Q' || type == 'P'))
        buf_addf(&k->story, "(%s%s)", body.at, type == 'P' ? body.at + strlen(body.at) + 1 : "");
    assert_true(txn_sent(&k->txn, (uint8_t)type, 0, 0, 0));
    counts.messages++;
    buf_add_u8(&k->out, (uint8_t)type);
    buf_add_u32(&k->out, (uint32_t)(body.len + 4));
    buf_add_slice(&k->out, body);
}

/* ---- what there is to say ------------------------------------------------------------------- */

static const char *const queries[] = {
    "select 1",
    "select 1; select 2",
    "",
    ";",
    "select generate_series(1, 300)",
    "selec",
    "select 1/0",
    "select 1; select 1/0; select 2",
    "begin",
    "begin; select 1",
    "commit",
    "rollback",
    "savepoint a",
    "rollback to a",
    "insert into t values (1)",
    "insert into checked values (1)",
    "set application_name = 'a'; set application_name = 'b'",
    "listen x; notify x",
    "notify x",
    "do $$begin raise notice 'x'; end$$",
    "declare c cursor for select generate_series(1, 9)",
    "fetch 3 from c",
    "vacuum t",
    "truncate t",
    "prepare b as select 1",
    "copy t to stdout",
    "copy (select generate_series(1, 2000)) to stdout; select 1",
    "copy nosuch from stdin",
    "copy t from stdin",
    "copy t from stdin",
    "copy t from stdin; select 1",
    "copy t from stdin; copy t from stdin",
    "copy t from stdin with (format binary)",
    "copy refusing from stdin",
    "copy checked from stdin",
    "select 1/0; copy t from stdin",
};

static const char *const statements[] = {
    "select 1",
    "select $1::int",
    "",
    "selec",
    "select 1; select 2",
    "select generate_series(1, 9)",
    "select generate_series(1, 2000)",
    "select 1/0",
    "begin",
    "commit",
    "rollback",
    "insert into t values (1)",
    "insert into checked values (1) returning x",
    "listen x",
    "notify x",
    "do $$begin raise notice 'x'; end$$",
    "copy t to stdout",
    "copy t from stdin",
    "copy t from stdin",
    "copy t from stdin with (format binary)",
    "copy refusing from stdin",
    "copy checked from stdin",
    "copy nosuch from stdin",
};

#define SOME(k, list) (list)[dice(k, sizeof(list) / sizeof *(list))]

static const char *some_name(struct talk *k)
{
    static const char *const names[] = { "", "", "", "a", "b", "nosuch" };
    return SOME(k, names);
}

static void add_name(struct buf *b, const char *name) { buf_add(b, name, strlen(name) + 1); }

static void say_query(struct talk *k, struct buf *b)
{
    add_name(b, SOME(k, queries));
    if (dice(k, 50) == 0) buf_add_u8(b, 'x'); /* malformed */
}

static void say_parse(struct talk *k, struct buf *b)
{
    add_name(b, dice(k, 3) ? "" : dice(k, 2) ? "a" : "b");
    add_name(b, SOME(k, statements));
    buf_add_u16(b, dice(k, 40) == 0);
}

static void say_bind(struct talk *k, struct buf *b)
{
    add_name(b, dice(k, 5) ? "" : "a");
    add_name(b, some_name(k));
    buf_add_u16(b, 0);
    bool parameter = dice(k, 6) == 0;
    buf_add_u16(b, parameter);
    if (parameter) {
        buf_add_u32(b, dice(k, 10) ? 1 : 1000); /* a value that is not all there */
        buf_add_u8(b, "1x"[dice(k, 2)]);
    }
    buf_add_u16(b, 0);
}

static void say_target(struct talk *k, struct buf *b)
{
    buf_add_u8(b, dice(k, 20) ? "SP"[dice(k, 2)] : 'X');
    add_name(b, some_name(k));
}

static void say_execute(struct talk *k, struct buf *b)
{
    add_name(b, dice(k, 6) ? "" : some_name(k));
    buf_add_u32(b, dice(k, 3) ? 0 : 1 + dice(k, 3));
}

static void say_data(struct talk *k, struct buf *b)
{
    switch (dice(k, 12)) {
    case 0: buf_add_str(b, "x\n"); break;
    case 1: buf_add_str(b, "\\.\n"); break;
    case 2: buf_add_str(b, "1"); break;
    case 3: break;
    case 4:
        for (int i = 0; i < 20000; i++) buf_add_str(b, "7\n");
        break;
    default: buf_add_str(b, "1\n2\n"); break;
    }
}

/* int4pl, or nothing of the kind. */
static void say_function(struct talk *k, struct buf *b)
{
    buf_add_u32(b, dice(k, 4) ? 177 : 1);
    buf_add_u16(b, 0);
    buf_add_u16(b, 2);
    for (int i = 0; i < 2; i++) {
        buf_add_u32(b, 1);
        buf_add_str(b, "2");
    }
    buf_add_u16(b, 0);
}

static void say(struct talk *k, char type)
{
    struct buf b = { 0 };
    switch (type) {
    case 'Q': say_query(k, &b); break;
    case 'P': say_parse(k, &b); break;
    case 'B': say_bind(k, &b); break;
    case 'D':
    case 'C': say_target(k, &b); break;
    case 'E': say_execute(k, &b); break;
    case 'd': say_data(k, &b); break;
    case 'f': add_name(&b, "no"); break;
    case 'F': say_function(k, &b); break;
    default: break;
    }
    post(k, type, buf_slice(&b));
    buf_fini(&b);
}

/* Sequences that drivers use, and single messages. In a COPY something else is the end of the
 * connection: seldom. */
static void say_something(struct talk *k)
{
    static const char *const phrases[] = {
        "PBDES",   "PBDES",    "PBES",     "PDS",    "PDH",    "BES", "PBE", "PBEH", "BEH",
        "BEBEBES", "PBESPBES", "PBDESdcS", "PBEdcS", "PBEScS", "Qdc", "Qdf", "CS",   "HS",
        "Q",       "Q",        "QQ",       "F",      "S",      "SS",  "EH",  "PBEQ"
    };
    static const char singles[] = "PBDECSHQFdcf", in_copy[] = "dddddcccffHSS";
    if (k->txn.copy == TXN_COPY_IN && dice(k, 100)) {
        say(k, in_copy[dice(k, sizeof in_copy - 1)]);
    } else if (dice(k, 3)) {
        for (const char *c = SOME(k, phrases); *c; c++) say(k, *c);
    } else {
        say(k, singles[dice(k, sizeof singles - 1)]);
    }
}

/* ---- what the server says of itself --------------------------------------------------------- */

/* "idle", "idle in transaction", ...; "busy" in the middle of something, NULL: it is no more. The
 * server has read every byte, and waits for more. */
static const char *settle(struct talk *k)
{
    static char state[64];
    const char *params[] = { k->pid };
    bool waited = false;
    flush(k);
    for (long long end_ms = kit_now_ms() + 20000; kit_now_ms() < end_ms && !k->gone;) {
        int unread = 0;
        struct pollfd fd = { k->fd, POLLIN, 0 };
        poll(&fd, 1, 1);
        look(k);
        if (k->gone) break;
        assert_int_equal(ioctl(k->fd, SIOCOUTQ, &unread), 0);
        if (unread) continue;
        PGresult *r =
            PQexecParams(observer, "select state, wait_event from pg_stat_activity where pid = $1",
                         1, NULL, params, NULL, NULL, 0);
        assert_int_equal(PQresultStatus(r), PGRES_TUPLES_OK);
        bool waits = PQntuples(r) && strcmp(PQgetvalue(r, 0, 1), "ClientRead") == 0;
        if (waits) snprintf(state, sizeof state, "%s", PQgetvalue(r, 0, 0));
        PQclear(r);
        /* The view reads the state first, and what is waited for later: the second time it is so.
         */
        bool settled = waits && waited;
        waited = waits;
        if (!settled) continue;
        look(k);
        buf_addf(&k->story, " [%s]", state);
        return k->gone ? NULL : state;
    }
    if (!k->gone) broken(k, "the server does not settle");
    return NULL;
}

static void compare(struct talk *k, const char *state)
{
    const struct txn *t = &k->txn;
    bool idle = strcmp(state, "active") != 0;
    char status = 'I';
    if (strcmp(state, "idle in transaction") == 0) status = 'T';
    if (strcmp(state, "idle in transaction (aborted)") == 0) status = 'E';
    if (txn_is_quiet(t)) {
        if (!idle) broken(k, "quiet, but the server is not");
        if (t->status != status) broken(k, "another status");
        assert_int_equal(txn_is_clean(t), status == 'I');
    } else if (idle && !t->unsure && !t->doubtful && !t->open_batch && !t->skipping) {
        /* (A lone Close, or what is skipped, does not count as activity.) */
        broken(k, "the server is idle, and the ledger does not know");
    }
    if (txn_is_quiet(t) && (k->in.len || !frame_is_at_start(&k->frame)))
        broken(k, "half a message");
    counts.idle += txn_is_clean(t);
    counts.in_block += txn_is_quiet(t) && !txn_is_clean(t);
    counts.busy += !txn_is_quiet(t);
    counts.doubtful += t->doubtful > 0;
    counts.unsure += t->unsure;
}

static void check(struct talk *k)
{
    const char *state = settle(k);
    if (state) compare(k, state);
}

/* Back to where every client may use the server. */
static void recover(struct talk *k)
{
    for (int tries = 0; tries < 3 && k->txn.copy == TXN_COPY_IN && !k->gone; tries++) {
        say(k, 'f');
        check(k);
    }
    say(k, 'S');
    check(k);
    if (k->gone || k->txn.unsure) return;
    if (k->txn.doubtful) {
        post(k, 'Q', slice_of("select 'doubts'", 16));
        check(k);
    }
    if (!k->gone && !txn_is_quiet(&k->txn)) broken(k, "not quiet after a Sync");
    if (k->txn.status != TXN_IDLE) {
        post(k, 'Q', slice_of("rollback", 9));
        check(k);
    }
    post(k, 'Q', slice_of("discard all", 12));
    check(k);
    if (!k->gone && !txn_is_clean(&k->txn)) broken(k, "not clean after all");
}

/* ---- connections ---------------------------------------------------------------------------- */

static void log_in(struct talk *k)
{
    struct frame frame;
    struct buf startup = { 0 };
    uint32_t begun = frontend_startup_begin(&startup, 3, 0);
    frontend_startup_add(&startup, slice_str("user"), slice_str("postgres"));
    frontend_startup_add(&startup, slice_str("options"),
                         slice_str("-c client_min_messages=notice"));
    frontend_startup_end(&startup, begun);
    assert_int_equal(write(k->fd, startup.at, startup.len), startup.len);
    buf_fini(&startup);
    frame_init(&frame, backend_specs);
    for (char last = 0; last != 'Z';) {
        char bytes[4096];
        ssize_t n = read(k->fd, bytes, sizeof bytes);
        assert_true(n > 0);
        buf_add(&k->in, bytes, (size_t)n);
        struct slice in = buf_slice(&k->in);
        for (struct piece p; frame_next(&frame, &in, &p) == FRAME_PIECE; last = (char)p.type)
            if (p.type == BACKEND_KEY_DATA) {
                const uint8_t *b = (const uint8_t *)piece_body(&p).at;
                snprintf(k->pid, sizeof k->pid, "%u", b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]);
            }
        buf_drop(&k->in, k->in.len - in.len);
    }
}

static void talk_open(struct talk *k)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    assert_in_range(
        snprintf(at.sun_path, sizeof at.sun_path, "%s/.s.PGSQL.%d", server.dir, server.port), 1,
        sizeof at.sun_path - 1);
    *k = (struct talk){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    assert_int_equal(connect(k->fd, (struct sockaddr *)&at, sizeof at), 0);
    log_in(k);
    fcntl(k->fd, F_SETFL, O_NONBLOCK);
    frame_init(&k->frame, backend_specs);
    txn_init(&k->txn);
    k->txn.status = TXN_IDLE;
}

static void talk_close(struct talk *k)
{
    close(k->fd);
    buf_fini(&k->out);
    buf_fini(&k->in);
    buf_fini(&k->story);
    txn_fini(&k->txn);
    k->fd = -1;
}

/* ---- scripts -------------------------------------------------------------------------------- */

static void run_script(struct talk *k, uint64_t seed)
{
    k->random = seed * 0x9e3779b97f4a7c15u | 1;
    k->was_unsure = false;
    buf_fini(&k->story);
    buf_addf(&k->story, " LEDGER_SEED=%llu", (unsigned long long)seed);
    counts.scripts++;
    for (uint32_t n = 1 + dice(k, 12); n && !k->gone; n--) {
        say_something(k);
        switch (dice(k, 6)) {
        case 0: check(k); break;
        case 1: look(k); break;
        case 2:
        case 3: flush(k); break;
        default: break;
        }
    }
    check(k);
    if (!k->gone && !k->txn.unsure) recover(k);
    if (k->gone || k->txn.unsure) {
        counts.cut_off++;
        talk_close(k);
    }
}

static unsigned long long number(const char *name, unsigned long long otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void random_conversations(void **state)
{
    (void)state;
    uint64_t seed = number("LEDGER_SEED", 1);
    long long end_ms = kit_now_ms() + (long long)number("LEDGER_SECONDS", 10) * 1000;
    struct talk k = { .fd = -1 };
    for (; kit_now_ms() < end_ms; seed++) {
        if (k.fd < 0) talk_open(&k);
        run_script(&k, seed);
    }
    if (k.fd >= 0) talk_close(&k);
    print_message(
        "%u scripts, %u messages, %u answers; found clean %u, in a transaction %u, busy %u, "
        "in doubt %u, unsure %u; cut off %u\n",
        counts.scripts, counts.messages, counts.answers, counts.idle, counts.in_block, counts.busy,
        counts.doubtful, counts.unsure, counts.cut_off);
    assert_true(counts.idle && counts.in_block && counts.busy);
    assert_true(counts.cut_off < counts.scripts / 4);
}

/* ---- cases that deserve a name -------------------------------------------------------------- */

/* `Q` and `P` take the next text, `B` and `E` the unnamed ones. */
static void converse(const char *types, const char *const texts[], const char *state, char verdict)
{
    struct talk k;
    talk_open(&k);
    k.random = 1;
    for (; *types; types++) {
        struct buf b = { 0 };
        if (*types == 'P') add_name(&b, "");
        if (*types == 'P' || *types == 'Q') add_name(&b, *texts++);
        if (*types == 'P') buf_add_u16(&b, 0);
        if (*types == 'B') buf_add(&b, "\0\0\0\0\0\0\0", 8);
        if (*types == 'E') buf_add(&b, "\0\0\0\0", 5);
        if (*types == 'd') buf_add_str(&b, "1\n");
        if (*types == 'x') buf_add_str(&b, "x\n");
        if (*types == 'f') add_name(&b, "no");
        if (*types == '.')
            settle(&k);
        else if (*types == '~')
            kit_sleep_ms(300);
        else
            post(&k, *types == 'x' ? 'd' : *types, buf_slice(&b));
        buf_fini(&b);
    }
    const char *found = settle(&k);
    if (!found || strcmp(found, state) != 0) broken(&k, state);
    compare(&k, found);
    char said = txn_is_clean(&k.txn) ? 'c' : txn_is_quiet(&k.txn) ? 'q' : 'b';
    if (k.txn.doubtful) said = 'd';
    if (said != verdict) broken(&k, "another verdict");
    recover(&k);
    talk_close(&k);
}

#define TEXTS(...) ((const char *const[]){ __VA_ARGS__ })

static void cases(void **state)
{
    (void)state;
    const char *const copy[] = { "copy t from stdin", "select 1", "select 1" };
    /* The Sync that libpq sends with each query goes into the COPY; without another the server is
     * in the middle of a batch. */
    converse("PBES.dc.", copy, "active", 'b');
    converse("PBES.dcS.", copy, "idle", 'c');
    converse("PBES.xcS.", copy, "idle", 'd');
    converse("PBES.xcS.Q", copy, "idle", 'c');
    converse("PBESdcS", copy, "idle", 'c');
    converse("PBESdcSPBES", copy, "idle", 'c');
    converse("PBESxcSPBES", copy, "idle", 'c');
    /* A trigger, before the COPY has read anything: the Sync counts. */
    converse("PBESdcSQ", TEXTS("copy refusing from stdin", "select 1"), "idle", 'c');
    converse("QSSdc.", TEXTS("copy refusing from stdin"), "idle", 'c');
    converse("QdSc.", copy, "idle", 'c');
    converse("QdSx.cQ", copy, "idle", 'c');
    converse("QdcdcQ", TEXTS("copy t from stdin; copy t from stdin", "select 1"), "idle", 'c');
    /* A batch that a Query ends. */
    converse("PH.Q", TEXTS("select 1", "select 1"), "idle", 'c');
    converse("PBEH.Q", TEXTS("begin", "select 1"), "idle in transaction", 'q');
    /* statement_timeout in the middle of a batch that nobody goes on with. */
    converse("QPH.~.", TEXTS("set statement_timeout = 100", "select 1"), "active", 'b');
    converse("QPH.~.BES", TEXTS("set statement_timeout = 100", "select 1"), "idle", 'c');
}

/* ---- the servers ---------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct kit *k = kit_new("ledger");
    *state = k;
    if (!postgres_start(k, &server, NULL)) return -1;
    /* `checked` fails at the commit, `refusing` before it has read anything. */
    if (!postgres_run(&server, "create table t (x int);"
                               "create table checked (x int unique deferrable initially deferred);"
                               "insert into checked values (1);"
                               "create table refusing (x int);"
                               "create function refuse() returns trigger language plpgsql as"
                               " $$begin raise exception 'no'; end$$;"
                               "create trigger refuse before insert on refusing for each statement"
                               " execute function refuse()"))
        return -1;
    observer = connect_to(server.port, "postgres", "dbname=postgres");
    return PQstatus(observer) == CONNECTION_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    PQfinish(observer);
    kit_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(random_conversations),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
