#include "proxy/command/doctor_redis.h"

#include <stdio.h>
#include <string.h>

struct asking {
    struct doctor_redis *d;
    bool over, closed;
};

static void on_ready(void *owner)
{
    struct asking *a = owner;
    a->over = a->d->ok = true;
    snprintf(a->d->said, sizeof a->d->said, "greeted and logged in");
}

static void on_lost(void *owner, const struct err *why)
{
    struct asking *a = owner;
    static const char *const denials[] = { "NOAUTH", "WRONGPASS", "NOPERM" };
    a->over = true;
    a->d->symptom = DOCTOR_FAILED;
    for (size_t i = 0; i < sizeof denials / sizeof *denials; i++)
        if (strstr(why->message, denials[i])) a->d->symptom = DOCTOR_DENIED;
    if (strstr(why->message, "TLS") || strstr(why->message, "certificate"))
        a->d->symptom = DOCTOR_NO_TLS;
    snprintf(a->d->said, sizeof a->d->said, "%s%s%s", why->message, why->hint[0] ? "; " : "",
             why->hint);
}

static void on_message(void *owner, struct slice payload)
{
    (void)owner;
    (void)payload;
}

static void on_closed(void *owner) { ((struct asking *)owner)->closed = true; }

static const struct redis_events events = {
    .on_ready = on_ready,
    .on_lost = on_lost,
    .on_message = on_message,
};

void doctor_redis(struct stream_loop *streams, const struct redis_options *options,
                  struct doctor_redis *d)
{
    struct asking a = { .d = d };
    uint64_t begun = uv_hrtime();
    *d = (struct doctor_redis){ .symptom = DOCTOR_FAILED, .said = "out of memory" };
    struct redis *r = redis_open(streams, options, &events, &a);
    if (!r) return;
    while (!a.over) uv_run(streams->uv, UV_RUN_ONCE);
    d->ms = (double)(uv_hrtime() - begun) / 1e6;
    redis_close(r, on_closed, &a);
    while (!a.closed) uv_run(streams->uv, UV_RUN_ONCE);
}
