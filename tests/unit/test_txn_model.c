/* txn against a model of a server: random conversations, every answer foreseen.
 *
 * The model is small and knows nothing of ledgers: it takes one message at a time from its inbox,
 * as PostgreSQL's main loop and its COPY loop do, and puts answers into its outbox. The client's
 * messages, the model's work and the arrival of answers are interleaved at random. What must hold:
 * every answer is expected and goes to the message that caused it; local answers stand where an
 * ideal server would have put them; and quiet is said only of a server that has nothing to do,
 * nothing half done and nothing to say, and at the end it is said of every such server.
 */
#include "unit/unit.h"

#include "protocol/message.h"
#include "protocol/txn.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 60000, STEPS = 70, QUEUE = 1024, LOCAL = 'L' };

/* What the client's message is going to do; chosen when it is sent. */
enum outcome { WELL, FAILS, COPIES_IN, COPIES_OUT, SUSPENDS, EMPTY };

struct said {
    char type;
    uint8_t outcome, outcome2; /* a Query may have two statements */
    uint8_t flags;
    uint32_t tag;
};

struct answer {
    char type, status;
    uint32_t tag; /* of the message that caused it; 0: none did */
    uint8_t flags;
};

struct model {
    struct said inbox[QUEUE];
    struct answer outbox[QUEUE];
    unsigned in, taken, out, delivered;
    struct said copying; /* its type is 0: no COPY IN */
    bool second;         /* of its statements */
    bool skipping, batch, dead;
    char status;
    uint64_t random;
    char story[4000]; /* for the message of a failure */
};

static uint32_t dice(struct model *m, uint32_t sides)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 33) % sides;
}

/* `>P7` said by the client as its 7th, `:P7` done by the server, `<17` its answer. */
static void tell(struct model *m, char who, char type, uint32_t tag)
{
    size_t n = strlen(m->story);
    if (n + 8 < sizeof m->story) snprintf(m->story + n, 8, "%c%c%u ", who, type, tag);
}

/* ---- the model ------------------------------------------------------------------------------ */

static void answer(struct model *m, char type, const struct said *to)
{
    m->outbox[m->out++] =
        (struct answer){ type, type == 'Z' ? m->status : 0, to ? to->tag : 0, to ? to->flags : 0 };
}

static void sometimes_notice(struct model *m)
{
    if (dice(m, 25) == 0) answer(m, "NSA"[dice(m, 3)], NULL);
}

static void ready(struct model *m, const struct said *s)
{
    m->status = "IITE"[dice(m, 4)];
    m->skipping = m->batch = false;
    answer(m, 'Z', s);
}

static void go_wrong(struct model *m, const struct said *s)
{
    answer(m, 'E', s);
    m->copying.type = 0;
    if (s->type == 'Q' || s->type == 'F')
        ready(m, s);
    else
        m->skipping = true;
}

/* Executes one statement; true when it is over and was well. */
static bool execute(struct model *m, const struct said *s, uint8_t outcome)
{
    switch (outcome) {
    case FAILS:
        if (dice(m, 2)) answer(m, 'D', s);
        go_wrong(m, s);
        return false;
    case COPIES_IN:
        m->copying = *s;
        answer(m, 'G', s);
        if (dice(m, 20) == 0) go_wrong(m, s); /* a trigger, before anything was read */
        return false;
    case COPIES_OUT:
        answer(m, 'H', s);
        for (uint32_t n = dice(m, 3); n; n--) answer(m, 'd', s);
        answer(m, 'c', s);
        answer(m, 'C', s);
        return true;
    case EMPTY: answer(m, 'I', s); return true;
    default:
        if (s->type == 'Q' && dice(m, 2)) answer(m, 'T', s);
        for (uint32_t n = dice(m, 3); n; n--) answer(m, 'D', s);
        answer(m, outcome == SUSPENDS ? 's' : 'C', s);
        return true;
    }
}

static void query(struct model *m, const struct said *s, bool second)
{
    m->second = second;
    if (!second) {
        if (!execute(m, s, s->outcome)) return;
        m->second = true;
    }
    if (s->outcome2 != WELL && !execute(m, s, s->outcome2)) return;
    ready(m, s);
}

static void in_copy(struct model *m, const struct said *s)
{
    struct said copy = m->copying;
    switch (s->type) {
    case 'H':
    case 'S': return;
    case 'd':
        if (dice(m, 8) == 0) go_wrong(m, &copy);
        return;
    case 'f': go_wrong(m, &copy); return;
    case 'c':
        if (dice(m, 8) == 0) {
            go_wrong(m, &copy);
            return;
        }
        m->copying.type = 0;
        answer(m, 'C', &copy);
        if (copy.type != 'Q') return;
        if (m->second)
            ready(m, &copy);
        else
            query(m, &copy, true);
        return;
    case LOCAL: m->dead = true; return; /* something else was asked for, as good as below */
    default:
        /* "unexpected message type", and the loss of protocol synchronisation. */
        answer(m, 'E', &copy);
        m->dead = true;
    }
}

static void describe(struct model *m, const struct said *s)
{
    if (dice(m, 2)) answer(m, 't', s);
    answer(m, dice(m, 2) ? 'T' : 'n', s);
}

static void at_top(struct model *m, const struct said *s)
{
    if (m->skipping && s->type != 'S') return;
    m->batch |= strchr("PBDEC", s->type) != NULL;
    if (strchr("PBDC", s->type) && s->outcome == FAILS) {
        go_wrong(m, s);
        return;
    }
    switch (s->type) {
    case 'P': answer(m, '1', s); break;
    case 'B': answer(m, '2', s); break;
    case 'C': answer(m, '3', s); break;
    case 'D': describe(m, s); break;
    case 'E': execute(m, s, s->outcome); break;
    case 'Q': query(m, s, false); break;
    case 'S':
        if (s->outcome == FAILS && m->batch && !m->skipping) answer(m, 'E', s);
        ready(m, s);
        break;
    case 'F':
        if (s->outcome == FAILS) {
            go_wrong(m, s);
        } else {
            answer(m, 'V', s);
            ready(m, s);
        }
        break;
    case LOCAL: answer(m, LOCAL, s); break;
    default: break; /* H, and d c f outside of a COPY */
    }
}

static void work(struct model *m)
{
    if (m->dead || m->taken == m->in) return;
    sometimes_notice(m);
    const struct said *s = &m->inbox[m->taken++];
    tell(m, ':', s->type, s->tag);
    if (m->copying.type)
        in_copy(m, s);
    else
        at_top(m, s);
}

static bool is_idle(const struct model *m)
{
    return m->taken == m->in && m->delivered == m->out && !m->copying.type && !m->skipping &&
           !m->batch && !m->dead;
}

/* ---- the client ----------------------------------------------------------------------------- */

struct run {
    struct model m;
    struct txn t;
    struct answer seen[2 * QUEUE]; /* by the client, without what is asynchronous */
    unsigned n_seen;
    bool doubted;
    uint32_t last_tag;
    bool may_copy; /* the last that may copy does, and its end was not sent */
    bool copy_is_simple;
};

static void broken(struct run *r, const char *what) { fail_msg("%s: %s", what, r->m.story); }

static bool is_async(char type) { return type == 'N' || type == 'A' || type == 'S'; }

static void seen(struct run *r, char type, uint32_t tag)
{
    if (!is_async(type)) r->seen[r->n_seen++] = (struct answer){ .type = type, .tag = tag };
}

/* What the client has seen is what an ideal server would have said, up to here. (Where it was
 * in doubt which Sync ended a failed batch, a local answer may have been dropped with it.) */
static void compare(struct run *r, bool to_the_end)
{
    if (r->doubted) return;
    unsigned n = 0;
    for (unsigned i = 0; i < r->m.out; i++) {
        const struct answer *a = &r->m.outbox[i];
        if (is_async(a->type)) continue;
        if (n == r->n_seen) {
            if (to_the_end) broken(r, "not everything was seen");
            return;
        }
        if (r->seen[n].type != a->type) broken(r, "out of order");
        if (a->type == LOCAL && r->seen[n].tag != a->tag) broken(r, "another local answer");
        n++;
    }
    if (to_the_end && n < r->n_seen) broken(r, "more was seen than there is");
}

static void take(struct run *r)
{
    struct txn_entry e;
    while (txn_take_dropped(&r->t, &e)) {
        if (e.kind == TXN_COPY_END) broken(r, "a mark was handed out");
    }
    while (txn_take_local(&r->t, &e)) {
        tell(&r->m, '+', LOCAL, (uint32_t)(uintptr_t)e.local);
        seen(r, LOCAL, (uint32_t)(uintptr_t)e.local);
    }
}

static uint8_t choose_outcome(struct run *r, char type)
{
    uint32_t d = dice(&r->m, 100);
    if (d < 12) return FAILS;
    if (type != 'E' && type != 'Q') return WELL;
    if (d < 30) return COPIES_IN;
    if (d < 36) return COPIES_OUT;
    if (d < 40) return EMPTY;
    return d < 50 && type == 'E' ? SUSPENDS : WELL;
}

static char choose_type(struct run *r)
{
    /* In a COPY another message is the end of the connection: almost never. */
    if (r->may_copy)
        return dice(&r->m, 200) ? "dddccfHS"[dice(&r->m, 8)] : "PBDECQF"[dice(&r->m, 7)];
    return "PPBBDEEECSSSSQQFHdcfLLL"[dice(&r->m, 23)];
}

static void client_says(struct run *r)
{
    struct model *m = &r->m;
    if (m->in + 4 > QUEUE || m->out + 32 > QUEUE) return;
    struct said s = { .type = choose_type(r), .tag = ++r->last_tag };
    s.outcome = choose_outcome(r, s.type);
    s.outcome2 = s.type == 'Q' && dice(m, 3) == 0 ? choose_outcome(r, 'Q') : WELL;
    if (s.type != LOCAL && dice(m, 8) == 0) s.flags = TXN_SWALLOW;
    m->inbox[m->in++] = s;
    tell(m, '>', s.type, s.tag);
    if (s.type == 'E' || s.type == 'Q')
        r->may_copy = s.outcome == COPIES_IN || s.outcome2 == COPIES_IN;
    if (s.type == 'c' || s.type == 'f') r->may_copy &= dice(m, 2) == 0;
    bool ok = s.type == LOCAL ? txn_local(&r->t, (void *)(uintptr_t)s.tag)
                              : txn_sent(&r->t, (uint8_t)s.type, s.flags, s.tag, s.tag);
    assert_true(ok);
    take(r);
}

/* The next answer on the wire arrives. False: the conversation is over. */
static bool deliver(struct run *r)
{
    struct model *m = &r->m;
    /* Local answers are in the ideal order only; nothing carries them. */
    while (m->delivered < m->out && m->outbox[m->delivered].type == LOCAL) m->delivered++;
    if (m->delivered == m->out) return !m->dead;
    const struct answer *a = &m->outbox[m->delivered++];
    tell(m, '<', a->type, a->tag);
    bool in_doubt = r->t.unsure || r->t.doubtful;
    struct txn_answer got;
    txn_received(&r->t, (uint8_t)a->type, (uint8_t)a->status, &got);
    r->doubted |= r->t.doubtful > 0;
    if (!got.expected) {
        /* Only who goes on with a batch that failed, after a Sync inside of its COPY, can bring
         * the ledger here. */
        if (!r->doubted) broken(r, "not expected");
        return false;
    }
    seen(r, a->type, 0);
    bool exact = !in_doubt && a->tag && !is_async(a->type);
    if (exact && got.tag != a->tag) broken(r, "of another message");
    if (exact && a->type != 'E' && got.swallow != (a->flags == TXN_SWALLOW))
        broken(r, "swallowed, or not");
    take(r);
    return true;
}

static void check(struct run *r)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->t.count; i++) {
        uint8_t kind = r->t.ring[(r->t.head + i) & (r->t.cap - 1)].kind;
        n += kind == TXN_SYNC || kind == TXN_QUERY || kind == TXN_FUNCTION;
    }
    if (n != r->t.owed_ready) broken(r, "owed_ready");
    if (r->t.unsure && !r->doubted) broken(r, "unsure without a reason");
    if (txn_is_quiet(&r->t) && !is_idle(&r->m) && r->m.taken < r->m.in) {
        /* What was sent and has no answer may still be on its way. */
        for (unsigned i = r->m.taken; i < r->m.in; i++)
            if (!strchr("HdcfL", r->m.inbox[i].type)) broken(r, "quiet with work to do");
    } else if (txn_is_quiet(&r->t) && !is_idle(&r->m)) {
        for (unsigned i = r->m.delivered; i < r->m.out; i++)
            if (!strchr("NSAL", r->m.outbox[i].type)) broken(r, "quiet, but not idle");
    }
}

static bool finish(struct run *r)
{
    while (r->m.taken < r->m.in && !r->m.dead) work(&r->m);
    while (r->m.delivered < r->m.out)
        if (!deliver(r)) return false;
    compare(r, !r->m.dead);
    if (r->m.dead) return false;
    check(r);
    return true;
}

static unsigned doubts, resolved, quiets, lost, deaths;

static void end(struct run *r)
{
    if (!finish(r)) {
        deaths++;
        return;
    }
    quiets += txn_is_quiet(&r->t);
    if (r->t.unsure) {
        lost++;
        return;
    }
    if (is_idle(&r->m) && !r->t.doubtful && !txn_is_quiet(&r->t)) broken(r, "idle, but not quiet");
    if (!r->t.doubtful) return;
    doubts++;
    /* One more Query tells, if the server is not in the middle of something. */
    if (!is_idle(&r->m)) return;
    struct said s = { .type = 'Q', .outcome = WELL, .tag = ++r->last_tag };
    r->m.inbox[r->m.in++] = s;
    assert_true(txn_sent(&r->t, 'Q', 0, s.tag, s.tag));
    if (!finish(r)) return;
    if (!txn_is_quiet(&r->t)) broken(r, "not quiet after the doubts");
    resolved++;
}

static void converse(uint64_t seed)
{
    static struct run r;
    r = (struct run){ .m = { .random = seed * 0x9e3779b97f4a7c15u | 1, .status = 'I' } };
    txn_init(&r.t);
    bool alive = true;
    for (int step = 0; step < STEPS && alive; step++) {
        switch (dice(&r.m, 4)) {
        case 0:
        case 1: client_says(&r); break;
        case 2: work(&r.m); break;
        default: alive = deliver(&r);
        }
        if (alive) check(&r);
        /* statement_timeout, while the server waits for more of a batch. */
        if (alive && r.m.batch && !r.m.skipping && !r.m.copying.type && r.m.taken == r.m.in &&
            r.m.delivered == r.m.out && dice(&r.m, 30) == 0) {
            answer(&r.m, 'E', NULL);
            r.m.skipping = true;
            alive = deliver(&r);
        }
    }
    if (alive)
        end(&r);
    else
        deaths++;
    txn_fini(&r.t);
}

static void random_conversations(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) converse(seed);
    print_message("%d conversations: %u ended quiet, %u in doubt (%u told by one more query), "
                  "%u unsure, %u cut off\n",
                  RUNS, quiets, doubts, resolved, lost, deaths);
    /* The dice must not make this test empty. */
    assert_true(quiets > RUNS / 4);
    assert_true(resolved > RUNS / 1000);
    assert_true(lost < RUNS / 10);
    assert_true(deaths < RUNS / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(random_conversations) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
