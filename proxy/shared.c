#include "proxy/shared.h"

#include "auth/throttle.h"
#include "proxy/ops/config.h"
#include "proxy/random.h"

#include <stdlib.h>
#include <string.h>

struct shared *shared_new(void)
{
    struct shared *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->before = -1;
    s->seed = (struct map_seed){ random_u64(), random_u64() };
    s->throttle = throttle_new(s->seed);
    if (!s->throttle) {
        free(s);
        return NULL;
    }
    pthread_mutex_init(&s->lock, NULL);
    rate_init(&s->login_rate, s->seed);
    budgets_init(&s->budgets);
    healths_init(&s->healths);
    random_bytes(s->user_key, sizeof s->user_key);
    return s;
}

void shared_free(struct shared *s)
{
    if (!s) return;
    budgets_fini(&s->budgets);
    healths_fini(&s->healths);
    route_stats_fini(&s->route_stats);
    throttle_free(s->throttle);
    rate_fini(&s->login_rate);
    pthread_mutex_destroy(&s->lock);
    explicit_bzero(s, sizeof *s);
    free(s);
}

static struct slice address_bytes(const struct address *a)
{
    static const size_t sizes[] = { [ADDRESS_UNIX] = 0, [ADDRESS_V4] = 4, [ADDRESS_V6] = 16 };
    return slice_of(a->bytes, sizes[a->family]);
}

bool shared_may_log_in(struct shared *s, const struct address *from, struct slice user,
                       const struct config_limits *limits, uint64_t now_ms, struct err *err)
{
    struct slice address = address_bytes(from);
    pthread_mutex_lock(&s->lock);
    bool refused = throttle_refuses(s->throttle, address, user, now_ms);
    bool hurries =
        !refused && !rate_take(&s->login_rate, address, limits->logins_per_second, (int64_t)now_ms);
    pthread_mutex_unlock(&s->lock);
    if (refused) return err_set(err, ERR_TOO_MANY_LOGINS, "");
    if (!hurries) return true;
    err_set(err, ERR_TOO_MANY_LOGINS, "too many logins from this address within a second");
    err_hint(err, "keep connections open between statements, or raise limits.logins_per_second");
    return false;
}

uint32_t shared_login_failed(struct shared *s, const struct address *from, struct slice user,
                             const struct config_limits *limits, uint64_t now_ms)
{
    struct throttle_rule rule = { limits->failed_logins, limits->failed_login_window_ms };
    pthread_mutex_lock(&s->lock);
    throttle_failed(s->throttle, &rule, address_bytes(from), user, now_ms);
    uint32_t delay_ms = throttle_delay_ms(s->throttle, &rule, address_bytes(from), now_ms);
    pthread_mutex_unlock(&s->lock);
    return delay_ms;
}

void shared_login_succeeded(struct shared *s, const struct address *from, struct slice user)
{
    pthread_mutex_lock(&s->lock);
    throttle_succeeded(s->throttle, address_bytes(from), user);
    pthread_mutex_unlock(&s->lock);
}
