/* doctor_redis: greets the routing cache as the proxy would: TLS, AUTH, SELECT. Blocks while the
 * loop runs, at most 3 s.
 */
#ifndef SLUICE_PROXY_COMMAND_DOCTOR_REDIS_H
#define SLUICE_PROXY_COMMAND_DOCTOR_REDIS_H

#include "proxy/command/doctor_advice.h"
#include "proxy/io/redis.h"

struct doctor_redis {
    bool ok;
    enum doctor_symptom symptom;
    double ms;
    char said[520];
};

void doctor_redis(struct stream_loop *streams, const struct redis_options *options,
                  struct doctor_redis *d);

#endif
