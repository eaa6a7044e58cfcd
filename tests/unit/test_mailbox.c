/* io/mailbox: order, answers, and closing while others send. Also run under TSan. */
#include "unit/unit.h"

#include "proxy/io/mailbox.h"

#include <stdlib.h>

enum { SENDERS = 4, MAILS = 20000 };

struct office {
    uv_loop_t uv;
    struct mailbox box;
    unsigned got, closed;
    int last[SENDERS]; /* per sender, the last number that came */
    unsigned close_after;
};

struct letter {
    struct mail mail;
    int sender, number;
};

static void on_closed(struct mailbox *m) { ((struct office *)m->owner)->closed++; }

static void deliver(struct mail *mail, void *owner)
{
    struct letter *letter = (struct letter *)mail;
    struct office *office = owner;
    assert_int_equal(office->closed, 0);
    assert_true(letter->number > office->last[letter->sender]);
    office->last[letter->sender] = letter->number;
    free(letter);
    if (++office->got == office->close_after) mailbox_close(&office->box, on_closed);
}

static void office_open(struct office *o)
{
    memset(o, 0, sizeof *o);
    uv_loop_init(&o->uv);
    assert_true(mailbox_open(&o->box, &o->uv, o));
}

struct sender {
    struct office *office;
    int id;
    unsigned accepted;
};

static void send_all(void *argument)
{
    struct sender *s = argument;
    for (int i = 1; i <= MAILS; i++) {
        struct letter *letter = malloc(sizeof *letter);
        *letter = (struct letter){ { NULL, deliver }, s->id, i };
        if (mailbox_post(&s->office->box, &letter->mail))
            s->accepted++;
        else
            free(letter);
    }
}

/* Runs all senders against one owner; returns how many mails were accepted. */
static unsigned exchange(struct office *office, unsigned close_after)
{
    uv_thread_t threads[SENDERS];
    struct sender senders[SENDERS];
    unsigned accepted = 0;
    office_open(office);
    office->close_after = close_after;
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){ office, i, 0 };
        assert_int_equal(uv_thread_create(&threads[i], send_all, &senders[i]), 0);
    }
    uv_run(&office->uv, UV_RUN_DEFAULT); /* until the mailbox is closed */
    for (int i = 0; i < SENDERS; i++) {
        uv_thread_join(&threads[i]);
        accepted += senders[i].accepted;
    }
    assert_int_equal(uv_loop_close(&office->uv), 0);
    return accepted;
}

static void all_arrive_in_order(void **state)
{
    (void)state;
    struct office office;
    unsigned accepted = exchange(&office, SENDERS * MAILS);
    assert_int_equal(accepted, SENDERS * MAILS);
    assert_int_equal(office.got, accepted);
    assert_int_equal(office.closed, 1);
}

/* Closed in the midst: every mail is either delivered or still its sender's. */
static void closing_loses_nothing(void **state)
{
    (void)state;
    for (unsigned close_after = 1; close_after < SENDERS * MAILS; close_after *= 9) {
        struct office office;
        unsigned accepted = exchange(&office, close_after);
        assert_int_equal(office.got, accepted);
        assert_int_equal(office.closed, 1);
    }
}

static void closed_is_closed(void **state)
{
    (void)state;
    struct office office;
    struct letter *letter = malloc(sizeof *letter);
    *letter = (struct letter){ { NULL, deliver }, 0, 1 };
    office_open(&office);
    assert_true(mailbox_post(&office.box, &letter->mail));
    mailbox_close(&office.box, on_closed);
    mailbox_close(&office.box, on_closed);
    struct letter late = { { NULL, deliver }, 0, 2 };
    assert_false(mailbox_post(&office.box, &late.mail));
    assert_int_equal(office.got, 0); /* not from within our calls */
    uv_run(&office.uv, UV_RUN_DEFAULT);
    assert_int_equal(office.got, 1);
    assert_int_equal(office.closed, 1);
    assert_false(mailbox_post(&office.box, &late.mail));
    assert_int_equal(uv_loop_close(&office.uv), 0);
}

/* ---- two threads that answer each other with the same mail ---- */

struct ball {
    struct mail mail;
    struct office *here, *there;
    int left;
};

static void bounce(struct mail *mail, void *owner)
{
    struct ball *ball = (struct ball *)mail;
    struct office *to = ball->there;
    assert_ptr_equal(owner, ball->here);
    ball->there = ball->here;
    ball->here = to;
    bool last = --ball->left <= 0;
    if (last) mailbox_close(&((struct office *)owner)->box, on_closed);
    if (!last || ball->left == 0) assert_true(mailbox_post(&to->box, mail));
}

static void run_office(void *office) { uv_run(&((struct office *)office)->uv, UV_RUN_DEFAULT); }

static void there_and_back(void **state)
{
    (void)state;
    struct office a, b;
    uv_thread_t thread;
    office_open(&a);
    office_open(&b);
    struct ball ball = { { NULL, bounce }, &a, &b, 2001 };
    assert_true(mailbox_post(&a.box, &ball.mail));
    uv_thread_create(&thread, run_office, &b);
    uv_run(&a.uv, UV_RUN_DEFAULT);
    uv_thread_join(&thread);
    assert_int_equal(ball.left, -1);
    assert_int_equal(a.closed + b.closed, 2);
    uv_loop_close(&a.uv);
    uv_loop_close(&b.uv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_arrive_in_order),
        cmocka_unit_test(closing_loses_nothing),
        cmocka_unit_test(closed_is_closed),
        cmocka_unit_test(there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
