#include "auth/access.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* Every address is 16 bytes here: IPv4 is where IPv6 maps it (RFC 4291, section 2.5.5.2), so that
 * one comparison serves both and ::/0 is truly everybody. */
enum { ADDRESS_BYTES = 16, ADDRESS_BITS = 128, V4_BITS = 96, RULES_MAX = 4096, NAMES_MAX = 65536 };

struct network {
    uint8_t at[ADDRESS_BYTES];
    uint8_t bits;
};

static const struct network all_v4 = { { [10] = 0xff, [11] = 0xff }, V4_BITS };
/* What is given out of IPv6 (RFC 4291, section 2.4): reaching this is reaching everybody. */
static const struct network all_v6 = { { 0x20 }, 3 };

struct rule {
    struct rule *next;
    struct network *networks;
    struct slice *users;
    uint32_t network_count, user_count;
    enum access_tls tls;
    bool unix_sockets, unsafe;
    _Alignas(struct slice) char tail[]; /* the slices, the networks, the bytes of the names */
};

struct access {
    struct rule *first, **last;
    uint32_t count;
};

/* ---- networks ----------------------------------------------------------------------------- */

static bool bit_of(const uint8_t *at, unsigned bit) { return at[bit / 8] >> (7 - bit % 8) & 1; }

static bool network_has(const struct network *n, const uint8_t at[ADDRESS_BYTES])
{
    unsigned whole = n->bits / 8, rest = n->bits % 8;
    return memcmp(n->at, at, whole) == 0 &&
           (rest == 0 || (n->at[whole] ^ at[whole]) >> (8 - rest) == 0);
}

static bool network_covers(const struct network *outer, const struct network *inner)
{
    return outer->bits <= inner->bits && network_has(outer, inner->at);
}

/* Clears the bits beyond the prefix; true when there were any. */
static bool network_trim(struct network *n)
{
    bool trimmed = false;
    for (unsigned bit = n->bits; bit < ADDRESS_BITS; bit++) {
        if (!bit_of(n->at, bit)) continue;
        n->at[bit / 8] = (uint8_t)(n->at[bit / 8] & ~(0x80u >> bit % 8));
        trimmed = true;
    }
    return trimmed;
}

static const char *network_text(const struct network *n, char text[INET6_ADDRSTRLEN])
{
    bool is_v4 = network_covers(&all_v4, n);
    const char *done =
        inet_ntop(is_v4 ? AF_INET : AF_INET6, n->at + (is_v4 ? 12 : 0), text, INET6_ADDRSTRLEN);
    return done ? done : "?";
}

/* 0..max in decimal without sign or leading zeros. */
static bool prefix_parse(struct slice text, unsigned max, unsigned *bits)
{
    *bits = 0;
    if (text.len < 1 || text.len > 3 || (text.len > 1 && text.at[0] == '0')) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return false;
        *bits = *bits * 10 + (unsigned)(text.at[i] - '0');
    }
    return *bits <= max;
}

static bool network_parse(struct network *n, struct slice text, struct err *err)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = text.len ? memchr(text.at, '/', text.len) : NULL;
    size_t len = slash ? (size_t)(slash - text.at) : text.len;
    int shown = text.len > 60 ? 60 : (int)text.len;
    bool is_v4 = false;

    *n = (struct network){ .bits = ADDRESS_BITS };
    if (len > 0 && len < sizeof address && !memchr(text.at, '\0', len)) {
        memcpy(address, text.at, len);
        address[len] = '\0';
        is_v4 = inet_pton(AF_INET, address, n->at + 12) == 1;
        if (is_v4)
            n->at[10] = n->at[11] = 0xff;
        else if (inet_pton(AF_INET6, address, n->at) != 1)
            len = 0;
    } else {
        len = 0;
    }
    if (!len)
        return err_set(err, ERR_CONFIG, "\"%.*s\" is not an IPv4 or IPv6 network", shown, text.at);
    if (!slash) return true;

    unsigned bits, max = is_v4 ? 32 : ADDRESS_BITS;
    if (!prefix_parse(slice_after(text, len + 1), max, &bits))
        return err_set(err, ERR_CONFIG, "\"%.*s\": the prefix length is 0 to %u", shown, text.at,
                       max);
    n->bits = (uint8_t)(bits + (is_v4 ? V4_BITS : 0));
    if (network_trim(n)) {
        char base[INET6_ADDRSTRLEN];
        bool is_mapped = network_covers(&all_v4, n);
        return err_set(err, ERR_CONFIG,
                       "\"%.*s\" has bits set beyond its prefix; did you mean %s/%u?", shown,
                       text.at, network_text(n, base), n->bits - (is_mapped ? V4_BITS : 0u));
    }
    return true;
}

/* ---- rules -------------------------------------------------------------------------------- */

struct access *access_new(void)
{
    struct access *a = calloc(1, sizeof *a);
    if (a) a->last = &a->first;
    return a;
}

void access_free(struct access *a)
{
    if (!a) return;
    while (a->first) {
        struct rule *rule = a->first;
        a->first = rule->next;
        free(rule);
    }
    free(a);
}

/* NULL: no memory. */
static struct rule *rule_new(const struct access_setup *setup)
{
    size_t names = 0;
    for (uint32_t i = 0; i < setup->user_count; i++) names += setup->users[i].len;
    struct rule *rule = calloc(1, sizeof *rule + setup->user_count * sizeof(struct slice) +
                                      setup->from_count * sizeof(struct network) + names);
    if (!rule) return NULL;
    rule->users = (struct slice *)(void *)rule->tail;
    rule->networks = (struct network *)(void *)(rule->users + setup->user_count);
    rule->tls = setup->tls;
    rule->unsafe = setup->unsafe;
    char *at = (char *)(rule->networks + setup->from_count);
    for (uint32_t i = 0; i < setup->user_count; i++) {
        struct slice name = setup->users[i];
        if (name.len) memcpy(at, name.at, name.len);
        rule->users[rule->user_count++] = slice_of(at, name.len);
        at += name.len;
    }
    return rule;
}
_Static_assert(offsetof(struct rule, tail) % _Alignof(struct slice) == 0, "slices start aligned");

static bool rule_networks(struct rule *rule, const struct access_setup *setup, struct err *err)
{
    for (uint32_t i = 0; i < setup->from_count; i++) {
        struct slice text = setup->from[i];
        struct network *n = &rule->networks[rule->network_count];
        if (slice_is(text, "unix")) {
            rule->unix_sockets = true;
            continue;
        }
        if (!network_parse(n, text, err)) return false;
        if (!rule->unsafe && (network_covers(n, &all_v4) || network_covers(n, &all_v6)))
            return err_set(err, ERR_CONFIG,
                           "\"%.*s\" is the whole internet; say \"unsafe\": true "
                           "if that is meant",
                           SLICE_ARG(text));
        rule->network_count++;
    }
    return true;
}

bool access_add(struct access *a, const struct access_setup *setup, struct err *err)
{
    if (!setup->from_count)
        return err_set(err, ERR_CONFIG, "the access rule names no network in \"from\"");
    if (!setup->user_count)
        return err_set(err, ERR_CONFIG, "the access rule names nobody in \"users\"");
    if (a->count >= RULES_MAX || setup->from_count > NAMES_MAX || setup->user_count > NAMES_MAX)
        return err_set(err, ERR_CONFIG, "too many access rules, or too much in one");
    struct rule *rule = rule_new(setup);
    if (!rule) return err_set(err, ERR_OUT_OF_MEMORY, "");
    if (!rule_networks(rule, setup, err)) {
        free(rule);
        return false;
    }
    *a->last = rule;
    a->last = &rule->next;
    a->count++;
    return true;
}

/* Whether the rules reach all of `n`: one does, or both halves are reached. Only halves in which a
 * rule lies are looked into, so the depth is at most 128 and the work is linear in the networks. */
static bool is_covered(const struct access *a, const struct network *n)
{
    bool has_inner = false;
    for (const struct rule *rule = a->first; rule; rule = rule->next) {
        for (uint32_t i = 0; !rule->unsafe && i < rule->network_count; i++) {
            if (network_covers(&rule->networks[i], n)) return true;
            has_inner |= network_covers(n, &rule->networks[i]);
        }
    }
    if (!has_inner || n->bits == ADDRESS_BITS) return false;
    struct network low = *n, high = *n;
    high.at[n->bits / 8] = (uint8_t)(high.at[n->bits / 8] | 0x80u >> n->bits % 8);
    low.bits = high.bits = (uint8_t)(n->bits + 1);
    return is_covered(a, &low) && is_covered(a, &high);
}

bool access_seal(const struct access *a, struct err *err)
{
    if (!is_covered(a, &all_v4) && !is_covered(a, &all_v6)) return true;
    return err_set(err, ERR_CONFIG,
                   "the access rules together are the whole internet; say "
                   "\"unsafe\": true in them if that is meant");
}

/* ---- questions ---------------------------------------------------------------------------- */

/* `*` stands for any run of bytes. Each star keeps only the place of the last one, so the work is
 * at most pattern x name. */
static bool name_fits(struct slice pattern, struct slice name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, resume = 0;
    while (n < name.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            star = p++;
            resume = n;
        } else if (p < pattern.len && pattern.at[p] == name.at[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*') p++;
    return p == pattern.len;
}

static bool rule_has_user(const struct rule *rule, struct slice user)
{
    for (uint32_t i = 0; i < rule->user_count; i++)
        if (name_fits(rule->users[i], user)) return true;
    return false;
}

/* The address as 16 bytes; false for a unix socket. */
static bool address_of(const struct access_question *q, uint8_t at[ADDRESS_BYTES])
{
    memset(at, 0, ADDRESS_BYTES);
    switch (q->family) {
    case ACCESS_V4:
        at[10] = at[11] = 0xff;
        memcpy(at + 12, q->bytes, 4);
        return true;
    case ACCESS_V6: memcpy(at, q->bytes, ADDRESS_BYTES); return true;
    default: return false;
    }
}

static bool rule_fits(const struct rule *rule, const struct access_question *q)
{
    uint8_t at[ADDRESS_BYTES];
    if (rule->tls == ACCESS_TLS_ONLY && !q->tls) return false;
    if (rule->tls == ACCESS_TLS_NEVER && q->tls) return false;
    if (q->family == ACCESS_UNIX) return rule->unix_sockets;
    if (!address_of(q, at)) return false;
    for (uint32_t i = 0; i < rule->network_count; i++)
        if (network_has(&rule->networks[i], at)) return true;
    return false;
}

bool access_admits(const struct access *a, const struct access_question *question)
{
    for (const struct rule *rule = a->first; rule; rule = rule->next)
        if (rule_fits(rule, question)) return true;
    return false;
}

int access_rule(const struct access *a, const struct access_question *question)
{
    int index = 0;
    for (const struct rule *rule = a->first; rule; rule = rule->next, index++)
        if (rule_fits(rule, question) && rule_has_user(rule, question->user)) return index;
    return -1;
}

bool access_allows(const struct access *a, const struct access_question *question)
{
    return access_rule(a, question) >= 0;
}
