/* txn: conversations, told word by word.
 *
 * A conversation is a text: `>P` a message that goes to the server, `<1` one that comes back,
 * `<ZI` ReadyForQuery with its status, `>P*` an injected one (answer swallowed), `>P!` errors
 * swallowed too, `+x` a local answer. What the client would see is written down: `1` passed on,
 * `(1)` swallowed, `x` the local answer in its turn, `-P` or `-x` an entry handed back as dropped.
 */
#include "unit/unit.h"

#include "protocol/message.h"
#include "protocol/txn.h"

#include <stdio.h>
#include <stdlib.h>

struct talk {
    struct txn txn;
    char seen[400];
    struct txn_answer last;
};

static void note(struct talk *k, const char *before, char c, const char *after)
{
    size_t n = strlen(k->seen);
    snprintf(k->seen + n, sizeof k->seen - n, "%s%c%s", before, c, after);
}

static const char kind_letters[] = {
    [TXN_PARSE] = 'P', [TXN_BIND] = 'B',    [TXN_DESCRIBE] = 'D', [TXN_EXECUTE] = 'E',
    [TXN_CLOSE] = 'C', [TXN_SYNC] = 'S',    [TXN_QUERY] = 'Q',    [TXN_FUNCTION] = 'F',
    [TXN_LOCAL] = 'L', [TXN_COPY_END] = '?'
};

static void take(struct talk *k)
{
    struct txn_entry e;
    while (txn_take_dropped(&k->txn, &e))
        note(k, "-", e.kind == TXN_LOCAL ? *(const char *)e.local : kind_letters[e.kind], "");
    while (txn_take_local(&k->txn, &e)) note(k, "", *(const char *)e.local, "");
}

static void send_word(struct talk *k, const char *word)
{
    uint8_t flags = 0;
    if (word[2] == '*') flags = TXN_SWALLOW;
    if (word[2] == '!') flags = TXN_SWALLOW | TXN_SWALLOW_ERROR;
    assert_true(txn_sent(&k->txn, (uint8_t)word[1], flags, 0, 0));
}

static bool receive_word(struct talk *k, const char *word)
{
    txn_received(&k->txn, (uint8_t)word[1], word[1] == 'Z' ? (uint8_t)word[2] : 0, &k->last);
    note(k, k->last.swallow ? "(" : "", word[1], k->last.swallow ? ")" : "");
    return k->last.expected;
}

/* Says the words; false at the first that the ledger did not expect. */
static bool say(struct talk *k, const char *words)
{
    for (const char *at = words; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        bool good = true;
        if (*at == '>')
            send_word(k, at);
        else if (*at == '<')
            good = receive_word(k, at);
        else
            assert_true(txn_local(&k->txn, (void *)(uintptr_t)(at + 1)));
        if (!good) return false;
        take(k);
    }
    return true;
}

static void check_owed(const struct talk *k)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < k->txn.count; i++) {
        uint8_t kind = k->txn.ring[(k->txn.head + i) & (k->txn.cap - 1)].kind;
        n += kind == TXN_SYNC || kind == TXN_QUERY || kind == TXN_FUNCTION;
    }
    assert_int_equal(n, k->txn.owed_ready);
}

enum verdict { CLEAN, QUIET, BUSY, DOUBTFUL, UNSURE };

static void expect(const char *words, const char *seen, enum verdict verdict)
{
    struct talk k = { 0 };
    txn_init(&k.txn);
    k.txn.status = TXN_IDLE;
    if (!say(&k, words)) fail_msg("%s: not expected after %s", words, k.seen);
    if (strcmp(k.seen, seen) != 0) fail_msg("%s: the client saw %s, not %s", words, k.seen, seen);
    check_owed(&k);
    enum verdict found = k.txn.unsure           ? UNSURE
                         : k.txn.doubtful       ? DOUBTFUL
                         : txn_is_clean(&k.txn) ? CLEAN
                         : txn_is_quiet(&k.txn) ? QUIET
                                                : BUSY;
    if (found != verdict) fail_msg("%s: verdict %d, not %d", words, found, verdict);
    assert_int_equal(txn_is_clean(&k.txn), verdict == CLEAN);
    txn_fini(&k.txn);
}

/* The last of the words is one that a server in its senses does not say. */
static void expect_surprise(const char *words)
{
    struct talk k = { 0 };
    txn_init(&k.txn);
    k.txn.status = TXN_IDLE;
    size_t last = strlen(words);
    while (words[last - 1] != ' ') last--;
    char before[200];
    snprintf(before, sizeof before, "%.*s", (int)last, words);
    if (!say(&k, before)) fail_msg("%s: surprised too early, after %s", words, k.seen);
    if (say(&k, words + last)) fail_msg("%s: not surprised", words);
    assert_true(k.txn.unsure);
    assert_false(txn_is_quiet(&k.txn));
    txn_fini(&k.txn);
}

/* ---- what servers say ----------------------------------------------------------------------- */

static void simple_queries(void **state)
{
    (void)state;
    expect("", "", CLEAN);
    expect(">Q", "", BUSY);
    expect(">Q <T <D <D <C", "TDDC", BUSY);
    expect(">Q <T <D <C <ZI", "TDCZ", CLEAN);
    expect(">Q <I <ZI", "IZ", CLEAN);
    expect(">Q <C <T <D <C <ZT", "CTDCZ", QUIET);
    expect(">Q <T <D <E <ZE", "TDEZ", QUIET);
    expect(">Q <E <ZI", "EZ", CLEAN);
    expect(">Q >Q >Q <C <ZI <E <ZI <C <ZI", "CZEZCZ", CLEAN);
}

static void extended_queries(void **state)
{
    (void)state;
    expect(">P >B >D >E >S <1 <2 <T <D <C <ZI", "12TDCZ", CLEAN);
    expect(">P >D >S <1 <t <n <ZI", "1tnZ", CLEAN);
    expect(">P >D >S <1 <t <T <ZT", "1tTZ", QUIET);
    expect(">C >S <3 <ZI", "3Z", CLEAN);
    expect(">B >E >E >E >S <2 <D <s <D <s <D <C <ZI", "2DsDsDCZ", CLEAN);
    expect(">B >E >S <2 <I <ZI", "2IZ", CLEAN);
    expect(">S >S >S <ZI <ZI", "ZZ", BUSY);
    expect(">S >S >S <ZI <ZI <ZI", "ZZZ", CLEAN);
    /* A constraint that is checked at the commit. */
    expect(">B >E >S <2 <C <E <ZI", "2CEZ", CLEAN);
}

/* Everything is answered, but the server is in the middle of a batch: not to be given away. */
static void flush_without_sync(void **state)
{
    (void)state;
    expect(">P >D >H <1 <t <n", "1tn", BUSY);
    expect(">P >D >H <1 <t <n >B >E >H <2 <C", "1tn2C", BUSY);
    expect(">P >D >H <1 <t <n >B >E >S <2 <C <ZI", "1tn2CZ", CLEAN);
    expect(">B >E >H <2 <s", "2s", BUSY);
    expect(">H", "", CLEAN);
    /* A Query ends the batch, as a Sync does. */
    expect(">P >B >E >Q <1 <2 <C <C <ZI", "12CCZ", CLEAN);
    expect(">P >H <1 >Q <C <ZT", "1CZ", QUIET);
}

static void errors_skip_to_the_sync(void **state)
{
    (void)state;
    expect(">P >B >D >E >S <E <ZI", "E-P-B-D-EZ", CLEAN);
    expect(">P >B >D >E >S <1 <E <ZI", "1E-B-D-EZ", CLEAN);
    expect(">P >B >D >E >S <1 <2 <E <ZI", "12E-D-EZ", CLEAN);
    expect(">P >B >D >E >S <1 <2 <T <D <E <ZI", "12TDE-EZ", CLEAN);
    /* Each batch fails for itself. */
    expect(">P >B >E >S >B >E >S <E <ZI <2 <C <ZI", "E-P-B-EZ2CZ", CLEAN);
    expect(">B >E >S >B >E >S <2 <C <ZT <E <ZE", "2CZE-B-EZ", QUIET);
    /* The Sync is not sent yet: all else is discarded, simple Query and FunctionCall too. */
    expect(">P <E", "E-P", BUSY);
    expect(">P <E >B >E", "E-P", BUSY);
    expect(">P <E >B >E >Q >F >C >D >S <ZI", "E-PZ", CLEAN);
    expect(">P >Q >F >S <E <ZI", "E-P-Q-FZ", CLEAN);
    expect(">P >B >Q >B >S <1 <E <ZI", "1E-B-Q-BZ", CLEAN);
    /* But a Query before the failing message is answered. */
    expect(">Q >P >S <C <ZI <E <ZI", "CZE-PZ", CLEAN);
}

static void function_calls(void **state)
{
    (void)state;
    expect(">F <V <ZI", "VZ", CLEAN);
    expect(">F >F <E <ZI <V <ZT", "EZVZ", QUIET);
}

static void copy_out(void **state)
{
    (void)state;
    expect(">Q <H <d <d <c <C <ZI", "HddcCZ", CLEAN);
    expect(">Q <H <d <E <ZI", "HdEZ", CLEAN);
    expect(">P >B >E >S <1 <2 <H <d <c <C <ZI", "12HdcCZ", CLEAN);
    expect(">P >B >E >S <1 <2 <H <d <E <ZI", "12HdE-EZ", CLEAN);
    expect(">Q <H <c <C <H <d <c <C <ZI", "HcCHdcCZ", CLEAN);
    /* What a confused client says meanwhile means nothing. */
    expect(">Q >c <H >f <d >d <c <C <ZI", "HdcCZ", CLEAN);
}

static void copy_in(void **state)
{
    (void)state;
    expect(">Q <G", "G", BUSY);
    expect(">Q <G >d >d >c <C <ZI", "GCZ", CLEAN);
    expect(">Q <G >d >f <E <ZI", "GEZ", CLEAN);
    expect(">Q <G >d <E >d >c <ZI", "GEZ", CLEAN);
    expect(">Q <G >d <E <ZI >d >c", "GEZ", CLEAN);
    expect(">Q <G >d >c <C <G >d >c <C <ZI", "GCGCZ", CLEAN);
    expect(">P >B >E <1 <2 <G >d >c >S <C <ZI", "12GCZ", CLEAN);
    expect(">P >B >E <1 <2 <G >d >c <C", "12GC", BUSY);
    /* Nothing answers Flush and Sync inside. */
    expect(">Q <G >H >S >d >S >c <C <ZI", "GCZ", CLEAN);
    /* An error leaves the rest of the data to be discarded, up to a Sync. */
    expect(">B >E <2 <G >d <E >d >c >S <ZI", "2GE-EZ", CLEAN);
    expect(">B >E <2 <G >d >c >S >B >E >S <E <ZI <2 <C <ZI", "2GE-EZ2CZ", CLEAN);
}

/* libpq sends a Sync with each extended query, before it can know that the query is a COPY. */
static void copy_in_swallows_the_sync(void **state)
{
    (void)state;
    expect(">P >B >D >E >S <1 <2 <n <G >d >c >S <C <ZI", "12nGCZ", CLEAN);
    /* Without a second one, the server waits in the middle of a batch. */
    expect(">P >B >D >E >S <1 <2 <n <G >d >c <C", "12nGC", BUSY);
    expect(">P >B >D >E >S >S <1 <2 <n <G >d >S >c <C >S <ZI", "12nGCZ", CLEAN);
}

/* All of it sent before the first answer: where the COPY ends is known from what was sent. */
static void copy_in_sent_blindly(void **state)
{
    (void)state;
    expect(">Q >d >c <G <C <ZI", "GCZ", CLEAN);
    expect(">P >B >E >d >c >S <1 <2 <G <C <ZI", "12GCZ", CLEAN);
    expect(">P >B >E >S >d >c >S <1 <2 <G <C <ZI", "12GCZ", CLEAN);
    expect(">P >B >E >S >d >c >S >Q <1 <2 <G <C <ZI <C <ZI", "12GCZCZ", CLEAN);
    expect(">Q >c >S >c >S <G <C <G <C <ZI <ZI", "GCGCZZ", CLEAN);
    expect(">Q >S >c >c >S <G <C <G <C <ZI <ZI", "GCGCZZ", CLEAN);
    /* It was no COPY at all: then the Syncs count, and the ends mean nothing. */
    expect(">Q >d >c >Q <C <ZI <C <ZI", "CZCZ", CLEAN);
    expect(">B >E >S >c >S <2 <C <ZI <ZI", "2CZZ", CLEAN);
    /* It failed before it began. */
    expect(">B >E >S >d >c >S <2 <E <ZI <ZI", "2E-EZZ", CLEAN);
}

/* Had the server read the first Sync when the COPY failed? Whichever it was, the bytes flow, and
 * the next answer tells. */
static void syncs_in_doubt(void **state)
{
    (void)state;
    expect(">B >E >S <2 <G >d <E >c >S <ZI", "2GE-EZ", DOUBTFUL);
    expect(">B >E >S <2 <G >d <E >c >S <ZI <ZI", "2GE-EZZ", CLEAN);
    expect(">B >E >S <2 <G >d <E >c >S <ZI >Q <C <ZI", "2GE-EZCZ", CLEAN);
    expect(">B >E >S <2 <G >d <E >c >S <ZI >Q <ZI <C <ZI", "2GE-EZZCZ", CLEAN);
    expect(">B >E >S <2 <G >d <E >c >S >B >E >S <ZI <ZI <2 <C <ZI", "2GE-EZZ2CZ", CLEAN);
    expect(">B >E >S <2 <G >d <E >c >S >B >E >S <ZI <2 <C <ZI", "2GE-EZ2CZ", CLEAN);
    expect(">Q <G >S >d <E <ZI", "GEZ", DOUBTFUL);
    expect(">Q <G >S >d <E <ZI >Q <E <ZI", "GEZEZ", CLEAN);
    expect(">Q <G >S >d <E >Q <ZI <ZI <C <ZI", "GEZZCZ", CLEAN);
}

/* What was sent behind such a Sync, without another one, may be discarded or not. */
static void messages_in_doubt(void **state)
{
    (void)state;
    expect(">B >E >S <2 <G >d >c >B >E <E <ZI", "2GE-E-B-EZ", UNSURE);
    expect(">B >E >S <2 <G >d <E >c >B <ZI", "2GE-EZ", UNSURE);
    expect(">B >E <2 <G >d <E >c >B >S <ZI", "2GE-EZ", CLEAN);
}

static void injected_answers_are_swallowed(void **state)
{
    (void)state;
    expect(">P* >B >E >S <1 <2 <C <ZI", "(1)2CZ", CLEAN);
    expect(">C* >P* >B >S <3 <1 <2 <ZI", "(3)(1)2Z", CLEAN);
    expect(">Q! >Q <C <ZI <T <D <C <ZI", "(C)(Z)TDCZ", CLEAN);
    expect(">Q! >Q <E <ZI <C <ZI", "(E)(Z)CZ", CLEAN);
    /* The client hears of the error of a statement that is prepared again for its Bind. */
    expect(">P* >B >E >S <E <ZI", "E-P-B-EZ", CLEAN);
    expect(">P! >S <E <ZI", "(E)-PZ", CLEAN);
    /* What injected statements bring about is not the client's, but notifications are. */
    expect(">Q! <N <S <A <C <ZI", "(N)(S)A(C)(Z)", CLEAN);
}

static void local_answers_in_their_turn(void **state)
{
    (void)state;
    expect("+x", "x", CLEAN);
    expect(">P +x >B >S <1 <2 <ZI", "1x2Z", CLEAN);
    expect(">Q +x +y <T <D <C <ZI", "TDCZxy", CLEAN);
    expect(">E +x >S <D <C <ZI", "DCxZ", CLEAN);
    expect(">Q >c +x <C <ZI", "CZx", CLEAN);
    /* Not if the batch fails. */
    expect(">P +x >B +y >S +z <E <ZI", "E-P-x-B-yZz", CLEAN);
    expect(">P <E +x >S +y <ZI", "E-P-xZy", CLEAN);
}

static void asynchronous_messages(void **state)
{
    (void)state;
    expect("<N <S <A", "NSA", CLEAN);
    expect(">P <N >B <S >S <1 <A <2 <ZI <N", "NS1A2ZN", CLEAN);
    /* The last word of a server that shuts down. */
    expect("<E", "E", CLEAN);
    /* statement_timeout between two messages of a batch: the batch has failed. */
    expect(">P >H <1 <E", "1E", BUSY);
    expect(">P >H <1 <E >B >E >S <ZI", "1EZ", CLEAN);
    struct talk k = { 0 };
    txn_init(&k.txn);
    assert_true(say(&k, ">Q <N"));
    assert_true(k.last.async);
    assert_true(say(&k, "<E"));
    assert_false(k.last.async);
    assert_true(k.last.failed);
    assert_true(say(&k, "<ZI <E"));
    assert_true(k.last.async);
    txn_fini(&k.txn);
}

static void surprises(void **state)
{
    (void)state;
    static const char *const talks[] = {
        ">Q <1",        ">Q <2",     ">Q <3",         ">Q <n",       ">Q <t",        ">Q <s",
        ">Q <V",        ">Q <d",     ">Q <c",         ">Q <K",       ">Q <R",        ">Q <v",
        ">Q <W <d <G",  ">Q <G <G",  ">Q <H <G",      ">Q <G >d <d", ">Q <ZX",       ">Q <E <C",
        ">P >S <2",     ">P >S <ZI", ">B >S <1",      ">E >S <1",    ">E >S <ZI",    ">D >S <C",
        ">D >S <D",     ">C >S <1",  ">S <C",         ">S <1",       ">F <C",        ">F <T",
        ">P >S <E <1",  ">P <E <ZI", ">Q <C <ZI <ZI", ">H <ZI",      ">P >H <1 <ZI", ">X <C",
        ">Q <C <ZI <D", ">S <ZI <1", ">S >P <1",
    };
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) expect_surprise(talks[i]);
    struct talk k = { 0 };
    txn_init(&k.txn);
    assert_false(say(&k, "<ZI"));
    /* For good, whatever comes. */
    assert_true(say(&k, ">Q <C <ZI"));
    assert_true(k.txn.unsure);
    txn_fini(&k.txn);
}

static void copy_both_cannot_be_given_away(void **state)
{
    (void)state;
    expect(">Q <W <d <c <C <ZI", "WdcCZ", UNSURE);
}

static void tags_and_serials_come_back(void **state)
{
    (void)state;
    struct txn t;
    struct txn_entry e;
    txn_init(&t);
    assert_true(txn_sent(&t, 'P', 0, 7, 70));
    assert_true(txn_sent(&t, 'P', TXN_SWALLOW, 8, 80));
    assert_true(txn_sent(&t, 'S', 0, 9, 90));
    struct txn_answer a;
    txn_received(&t, '1', 0, &a);
    assert_true(a.kind == TXN_PARSE && a.tag == 7 && a.serial == 70 && a.done && !a.swallow);
    txn_received(&t, 'E', 0, &a);
    assert_true(a.kind == TXN_PARSE && a.tag == 8 && a.failed && !a.done);
    assert_true(txn_take_dropped(&t, &e));
    assert_true(e.kind == TXN_PARSE && e.tag == 8 && e.serial == 80);
    assert_false(txn_take_dropped(&t, &e));
    txn_received(&t, 'Z', 'I', &a);
    assert_true(a.kind == TXN_SYNC && a.tag == 9 && a.done);
    txn_fini(&t);
}

static void a_million_answers_and_no_more(void **state)
{
    (void)state;
    struct txn t;
    txn_init(&t);
    uint32_t n = 0;
    while (n < 1u << 21 && txn_sent(&t, n % 3 ? 'B' : 'S', 0, n, 0)) n++;
    assert_int_equal(n, 1 << 20);
    for (uint32_t i = 0; i < n; i++) {
        struct txn_answer a;
        txn_received(&t, i % 3 ? '2' : 'Z', i % 3 ? 0 : 'I', &a);
        assert_true(a.expected && a.tag == i);
    }
    assert_true(t.count == 0 && t.owed_ready == 0);
    /* CopyDones cost nothing. */
    assert_true(txn_sent(&t, 'Q', 0, 0, 0));
    for (int i = 0; i < 100000; i++) assert_true(txn_sent(&t, i & 1 ? 'c' : 'f', 0, 0, 0));
    assert_int_equal(t.count, 2);
    txn_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_queries),
        cmocka_unit_test(extended_queries),
        cmocka_unit_test(flush_without_sync),
        cmocka_unit_test(errors_skip_to_the_sync),
        cmocka_unit_test(function_calls),
        cmocka_unit_test(copy_out),
        cmocka_unit_test(copy_in),
        cmocka_unit_test(copy_in_swallows_the_sync),
        cmocka_unit_test(copy_in_sent_blindly),
        cmocka_unit_test(syncs_in_doubt),
        cmocka_unit_test(messages_in_doubt),
        cmocka_unit_test(injected_answers_are_swallowed),
        cmocka_unit_test(local_answers_in_their_turn),
        cmocka_unit_test(asynchronous_messages),
        cmocka_unit_test(surprises),
        cmocka_unit_test(copy_both_cannot_be_given_away),
        cmocka_unit_test(tags_and_serials_come_back),
        cmocka_unit_test(a_million_answers_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
