/* aws_secrets: what the configuration's `ssm:` and `secretsmanager:` references stand for.
 *
 *      config --> every reference that only AWS can answer --> GetParameter, GetSecretValue
 *             <-- the references have their values (secret_resolve finds them) <--
 *
 * A configuration is filled before it is shared, and never changed afterwards: a later value makes
 * a new configuration (config_again). One call after the other; the same reference is asked for
 * once. All as the top level's `aws` identity, which is kept from one time to the next.
 *
 * Thread: the loop's; aws_secrets_load is for those who have none.
 */
#ifndef SLUICE_PROXY_AWS_SECRETS_H
#define SLUICE_PROXY_AWS_SECRETS_H

#include "protocol/problem.h"
#include "proxy/ops/config.h"

#include <uv.h>

struct aws_secrets;
struct http;

/* Whether the configuration has such references at all. */
bool aws_secrets_needed(struct config *config);

/* Whether the two stand for the same secrets, as far as they were fetched. */
bool aws_secrets_equal(struct config *a, struct config *b);

/* `http` must outlive it. close: no `done` comes any more; free: after the end of the loop. */
struct aws_secrets *aws_secrets_open(uv_loop_t *uv, struct http *http);
void aws_secrets_close(struct aws_secrets *s); /* NULL is fine, here and below */
void aws_secrets_free(struct aws_secrets *s);

/* `ok`: every reference has its value; else the problems say, with line and directive, which have
 * not and why. */
typedef void aws_secrets_done(void *owner, bool ok);

/* Fills `config` (held until then); `done` comes once, possibly before this returns. One at a
 * time. */
void aws_secrets_fetch(struct aws_secrets *s, struct config *config, struct problems *problems,
                       aws_secrets_done *done, void *owner);

/* The same, blocking, on a loop of its own. Without such references: true, and no network. */
bool aws_secrets_load(struct config *config, struct problems *problems);

#endif
