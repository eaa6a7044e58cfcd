#include "auth/aws_script.h"

#include <stdlib.h>

struct entry {
    enum aws_ask_kind kind;
    struct aws_answer answer;
};

struct aws_script {
    struct entry *journal[AWS_SCRIPT_MAX_ANSWERS];
    size_t count, cursor;
    struct aws_ask ask; /* open when `pending` */
    bool pending, failed;
    int64_t start_ms, now_ms, asked_ms;
    struct map_seed seed;
};

struct aws_script *aws_script_new(int64_t now_ms, struct map_seed seed)
{
    struct aws_script *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->start_ms = s->now_ms = now_ms;
    s->seed = seed;
    return s;
}

static void close_ask(struct aws_script *s)
{
    aws_request_fini(&s->ask.request);
    buf_fini(&s->ask.path);
    buf_fini(&s->ask.content);
    s->pending = false;
}

void aws_script_free(struct aws_script *s)
{
    if (!s) return;
    if (s->pending) close_ask(s);
    for (size_t i = 0; i < s->count; i++) {
        buf_fini(&s->journal[i]->answer.text);
        free(s->journal[i]);
    }
    free(s);
}

void aws_script_rewind(struct aws_script *s)
{
    s->cursor = 0;
    s->now_ms = s->start_ms;
}

struct aws_ask *aws_script_ask(struct aws_script *s, enum aws_ask_kind kind)
{
    if (s->cursor < s->count) {
        if (s->journal[s->cursor]->kind != kind) s->failed = true;
        return NULL;
    }
    if (s->pending) return NULL;
    if (s->count == AWS_SCRIPT_MAX_ANSWERS) {
        s->failed = true;
        return NULL;
    }
    s->pending = true;
    s->asked_ms = s->now_ms;
    s->ask = (struct aws_ask){ .kind = kind, .content.secret = true };
    return &s->ask;
}

const struct aws_answer *aws_script_answer(struct aws_script *s)
{
    if (s->failed || s->cursor >= s->count) return NULL;
    const struct aws_answer *answer = &s->journal[s->cursor++]->answer;
    s->now_ms = answer->answered_ms;
    return answer;
}

int64_t aws_script_now_ms(const struct aws_script *s) { return s->now_ms; }

uint32_t aws_script_random(const struct aws_script *s)
{
    uint64_t at = s->cursor;
    return (uint32_t)map_hash(s->seed, slice_of(&at, sizeof at));
}

const struct aws_ask *aws_script_pending(const struct aws_script *s)
{
    return s->pending && !s->failed ? &s->ask : NULL;
}

void aws_script_fail(struct aws_script *s) { s->failed = true; }

bool aws_script_failed(const struct aws_script *s) { return s->failed; }

static struct aws_answer *book(struct aws_script *s, int64_t now_ms)
{
    if (!s->pending) return NULL;
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry) {
        s->failed = true;
        return NULL;
    }
    /* A clock that was set back in the meantime must not make time run backwards here. */
    int64_t answered_ms = now_ms < s->asked_ms ? s->asked_ms : now_ms;
    *entry = (struct entry){
        .kind = s->ask.kind,
        .answer = { .text.secret = true, .asked_ms = s->asked_ms, .answered_ms = answered_ms }
    };
    s->journal[s->count++] = entry;
    close_ask(s);
    return &entry->answer;
}

void aws_script_answer_outcome(struct aws_script *s, enum aws_outcome outcome, struct slice text,
                               int64_t now_ms)
{
    struct aws_answer *answer = book(s, now_ms);
    if (!answer) return;
    answer->outcome = outcome;
    buf_add_slice(&answer->text, text);
    s->failed |= answer->text.failed;
}

/* Names, values and body go into one buffer; the slices are taken once it has stopped moving. */
void aws_script_answer_http(struct aws_script *s, const struct aws_response *r, int64_t now_ms)
{
    struct aws_answer *answer = book(s, now_ms);
    if (!answer) return;
    size_t count =
        r->header_count < AWS_ANSWER_MAX_HEADERS ? r->header_count : AWS_ANSWER_MAX_HEADERS;
    for (size_t i = 0; i < count; i++) {
        buf_add_slice(&answer->text, r->headers[i].name);
        buf_add_slice(&answer->text, r->headers[i].value);
    }
    buf_add_slice(&answer->text, r->body);
    if (answer->text.failed) {
        s->failed = true;
        return;
    }
    struct slice rest = buf_slice(&answer->text);
    for (size_t i = 0; i < count; i++) {
        size_t name = r->headers[i].name.len, value = r->headers[i].value.len;
        answer->headers[i].name = slice_of(rest.at, name);
        answer->headers[i].value = slice_of(rest.at + name, value);
        rest = slice_after(rest, name + value);
    }
    answer->response = (struct aws_response){ r->failure, r->status, answer->headers, count, rest };
}
