/* iam_once: which tokens have opened a door, so that they open none again.
 *
 * A token is claimed after it was found good and before its bearer is let in; the first claim wins.
 * Remembered until the token would have expired anyway, by its hash alone. Bounded: when there is
 * no room for one more, nobody can say whether it is the first, and it must not be let in.
 *
 * In a fleet (routes.cache) all proxies ask Redis, by that hash, and nobody is let in while it
 * does not answer: what one proxy alone remembers would let a stolen token in at another one. Who
 * would rather have logins than that sets iam.single_use to false. Without a fleet, each process
 * is on its own.
 * Thread: the control thread's.
 */
#ifndef SLUICE_PROXY_IAM_ONCE_H
#define SLUICE_PROXY_IAM_ONCE_H

#include "auth/sha.h"
#include "protocol/map.h"
#include "proxy/io/wheel.h"

enum { IAM_ONCE_MAX = 262144 };

struct fleet;
struct fleet_claim;

enum iam_claim { IAM_CLAIM_FIRST, IAM_CLAIM_USED, IAM_CLAIM_UNSURE };

struct iam_once {
    struct wheel *wheel;
    struct map used;            /* by hash */
    struct fleet *const *fleet; /* the control's, which comes later than this; NULL: none */
};

struct iam_claiming {
    void (*claimed)(struct iam_claiming *c, enum iam_claim claim);
    /* iam_once's own. */
    struct iam_once *once;
    struct fleet_claim *asked; /* while the fleet is asked */
    char hash[SHA256_HEX_BYTES];
    int64_t until_ms;
};

void iam_once_init(struct iam_once *o, struct wheel *wheel, struct map_seed seed,
                   struct fleet *const *fleet);
void iam_once_fini(struct iam_once *o);

/* Whether it is known here already that it was used. */
bool iam_once_knows(const struct iam_once *o, const char hash[SHA256_HEX_BYTES]);

/* `claimed` comes once, perhaps from within, unless cancel comes first. */
void iam_once_claim(struct iam_once *o, const char hash[SHA256_HEX_BYTES], int64_t until_ms,
                    struct iam_claiming *c);
void iam_once_cancel(struct iam_claiming *c);

#endif
