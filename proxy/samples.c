#include "proxy/samples.h"

#include "proxy/totals.h"
#include "proxy/worker.h"

#include <pthread.h>
#include <time.h>

static uint64_t count_all(const struct shared *shared, enum histogram_name h)
{
    uint64_t n = 0;
    for (unsigned b = 0; b <= HISTOGRAM_BOUNDS; b++) n += totals_bucket(shared, h, b);
    return n;
}

/* A worker that has ended has no clock any more: its time is then missing from the sum. */
static uint64_t busy_us(const struct shared *shared)
{
    uint64_t us = 0;
    for (unsigned i = 0; i < shared->n_workers; i++) {
        clockid_t clock;
        struct timespec t;
        if (!shared->workers[i]->started ||
            pthread_getcpuclockid(shared->workers[i]->thread, &clock) != 0 ||
            clock_gettime(clock, &t) != 0)
            continue;
        us += (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    }
    return us;
}

void samples_take(struct samples *s, const struct shared *shared, uint64_t now_ms)
{
    s->ring[s->count++ % SAMPLES_KEPT] = sample_now(shared, now_ms);
}

struct sample sample_now(const struct shared *shared, uint64_t now_ms)
{
    return (struct sample){
        .at_ms = now_ms,
        .at_s = (uint64_t)time(NULL),
        .clients = totals_metric(shared, METRIC_clients),
        .waiting = totals_metric(shared, METRIC_clients_waiting),
        .servers = totals_metric(shared, METRIC_servers),
        .idle = totals_metric(shared, METRIC_servers_idle),
        .requests = totals_metric(shared, METRIC_requests),
        .denied = totals_metric(shared, METRIC_denied) + totals_metric(shared, METRIC_route_none),
        .logins = totals_metric(shared, METRIC_logins),
        .failed = totals_metric(shared, METRIC_logins_failed),
        .busy_us = busy_us(shared),
        .received_bytes = totals_metric(shared, METRIC_client_bytes_received),
        .sent_bytes = totals_metric(shared, METRIC_client_bytes_sent),
        .queries = count_all(shared, HISTOGRAM_query_seconds),
        .query_ms = totals_sum_ms(shared, HISTOGRAM_query_seconds),
        .waits = count_all(shared, HISTOGRAM_wait_seconds),
        .wait_ms = totals_sum_ms(shared, HISTOGRAM_wait_seconds),
    };
}

const struct sample *samples_at(const struct samples *s, uint64_t back)
{
    if (back >= s->count || back >= SAMPLES_KEPT) return NULL;
    return &s->ring[(s->count - 1 - back) % SAMPLES_KEPT];
}
