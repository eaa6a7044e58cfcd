/* access: from where, as whom, over what may anybody come in.
 *
 *     access_new -> access_add ... -> access_seal -> access_admits, access_allows
 *
 * Ordered rules over IPv4 and IPv6 networks; the first that fits decides, and it
 * lets in; when none fits the answer is no. An IPv4 address that arrives as
 * ::ffff:a.b.c.d is the IPv4 address. Unix sockets have no address: the word
 * "unix" stands for them. Rules that together reach every address of the
 * internet must say "unsafe".
 * Two questions: before a client has said anything, whether anybody at all could
 * come in from there, so that a refusal costs nothing; and then, with the user.
 *
 * Owner: whoever called access_new. Thread: one builder, then any number of readers.
 */
#ifndef SLUICE_AUTH_ACCESS_H
#define SLUICE_AUTH_ACCESS_H

#include "protocol/err.h"
#include "protocol/slice.h"

enum access_family { ACCESS_UNIX, ACCESS_V4, ACCESS_V6 };

enum access_tls { ACCESS_TLS_ANY, ACCESS_TLS_ONLY, ACCESS_TLS_NEVER };

/* One rule, as the config has it; everything is copied. */
struct access_setup {
    const struct slice *from; /* "10.0.0.0/8", "2001:db8::/32", an address alone, or "unix" */
    uint32_t from_count;
    const struct slice *users; /* names; `*` stands for any run of characters */
    uint32_t user_count;
    enum access_tls tls;
    bool unsafe;
};

struct access_question {
    uint8_t family;       /* enum access_family */
    const uint8_t *bytes; /* 4 or 16, network order */
    struct slice user;    /* not looked at by access_admits */
    bool tls;
};

struct access;

/* NULL: no memory. */
struct access *access_new(void);
void access_free(struct access *a); /* NULL is fine */

/* Adds a rule behind the others. False sets err (ERR_CONFIG); the rules are as before then. */
bool access_add(struct access *a, const struct access_setup *setup, struct err *err);

/* Ends the building. False sets err: the rules that are not "unsafe" reach the whole internet when
 * taken together. */
bool access_seal(const struct access *a, struct err *err);

/* Whether any user could come in so. A connection that may still ask for TLS could become either:
 * ask twice. */
bool access_admits(const struct access *a, const struct access_question *question);

/* Whether this user may come in so. */
bool access_allows(const struct access *a, const struct access_question *question);

/* The rule that decided, counted from 0 as added; -1: none, refused. */
int access_rule(const struct access *a, const struct access_question *question);

#endif
