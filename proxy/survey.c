#include "proxy/survey.h"

#include "proxy/worker.h"

#include <stdlib.h>

struct survey *survey_new(const struct shared *shared)
{
    struct survey *s = calloc(1, sizeof *s + shared->n_workers * sizeof s->parts[0]);
    if (!s) return NULL;
    s->n_parts = shared->n_workers;
    s->seed = shared->seed;
    for (unsigned i = 0; i < s->n_parts; i++) s->parts[i].survey = s;
    return s;
}

void survey_free(struct survey *s)
{
    for (unsigned i = 0; i < s->n_parts; i++) rows_fini(&s->parts[i].rows);
    free(s);
}

static void deliver_answer(struct mail *mail, void *owner)
{
    struct survey *s = list_item(mail, struct survey, answer);
    (void)owner;
    s->done(s);
}

/* One part is filled, or never will be. */
static void answered(struct survey *s)
{
    if (atomic_fetch_sub(&s->pending, 1) != 1) return;
    s->answer.deliver = deliver_answer;
    if (!mailbox_post(s->home, &s->answer)) survey_free(s);
}

static void deliver_question(struct mail *mail, void *owner)
{
    struct survey_part *part = list_item(mail, struct survey_part, mail);
    part->survey->visit(owner, part);
    answered(part->survey);
}

void survey_start(struct survey *s, const struct shared *shared)
{
    /* One more than there are parts, so that none can be the last before all are asked. */
    atomic_init(&s->pending, s->n_parts + 1);
    for (unsigned i = 0; i < s->n_parts; i++) {
        s->parts[i].mail.deliver = deliver_question;
        if (!mailbox_post(&shared->workers[i]->mailbox, &s->parts[i].mail)) answered(s);
    }
    answered(s);
}

uint64_t survey_sum(const struct survey *s)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < s->n_parts; i++) sum += s->parts[i].number;
    return sum;
}

uint64_t survey_join(const struct survey *s, const struct rows_shape *shape, rows_finish *finish,
                     void *context, struct buf *out)
{
    struct rows *parts = calloc(s->n_parts, sizeof *parts);
    if (!parts) {
        out->failed = true;
        return 0;
    }
    for (unsigned i = 0; i < s->n_parts; i++) parts[i] = s->parts[i].rows;
    uint64_t n = rows_join(shape, parts, s->n_parts, s->seed, finish, context, out);
    free(parts);
    return n;
}
