/* random: bytes nobody can guess, from the kernel. */
#ifndef SLUICE_PROXY_RANDOM_H
#define SLUICE_PROXY_RANDOM_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

/* Never fails for small amounts once the system is up; if it does, going on would be worse. */
static inline void random_bytes(void *to, size_t n)
{
    char *at = to;
    while (n) {
        ssize_t got = getrandom(at, n, 0);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        } else if (got == 0) {
            abort();
        }
    }
}

static inline uint32_t random_u32(void)
{
    uint32_t v;
    random_bytes(&v, sizeof v);
    return v;
}

static inline uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof v);
    return v;
}

#endif
