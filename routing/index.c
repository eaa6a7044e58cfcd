#include "routing/index.h"

#include "routing/rule.h"

#include <stdlib.h>

enum {
    FEW = 8,          /* companions that are not worth another condition */
    COMBINATIONS = 64 /* places that a rule with lists may be filed in, beyond one condition */
};

/* ---- terms ------------------------------------------------------------------------------------
 */

/* Heads and tails are cut to one of these, so that a text has few to look up, whatever the
 * patterns. */
enum { CUTS = 8 };
static const uint8_t cut_bytes[CUTS] = { 1, 2, 4, 6, 8, 12, 16, 24 };
static const struct {
    uint8_t family, bits;
} cut_bits[CUTS] = { { FAMILY_V4, 8 },  { FAMILY_V4, 16 }, { FAMILY_V4, 24 }, { FAMILY_V4, 32 },
                     { FAMILY_V6, 16 }, { FAMILY_V6, 32 }, { FAMILY_V6, 48 }, { FAMILY_V6, 64 } };

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

static uint64_t mix_end(uint64_t h) { return h ? h : 1; /* 0 marks a free slot */ }

static uint64_t term_seed(enum route_condition c, int length)
{
    return mix(0, (uint64_t)c * TERM_LENGTHS + (uint64_t)length + 1);
}

/* Up to 24 bytes as three words, zeros behind their end. */
struct words {
    uint64_t at[3];
};

static struct words words_of(const void *bytes, size_t len)
{
    struct words w = { { 0 } };
    if (len) memcpy(w.at, bytes, len < sizeof w.at ? len : sizeof w.at);
    return w;
}

static uint64_t words_hash(enum route_condition c, int length, struct words w)
{
    uint64_t h = mix(term_seed(c, length), w.at[0]);
    if (w.at[1] | w.at[2]) h = mix(mix(h, w.at[1]), w.at[2]);
    return mix_end(h);
}

static uint64_t cut_hash(enum route_condition c, int length, const void *bytes, size_t len)
{
    return words_hash(c, length, words_of(bytes, len));
}

static uint64_t whole_hash(enum route_condition c, struct slice text)
{
    uint64_t h = mix(term_seed(c, TERM_WHOLE), text.len);
    size_t left = text.len;
    for (const char *at = text.at; left > 0;) {
        uint64_t word = 0;
        size_t n = left < 8 ? left : 8;
        memcpy(&word, at, n);
        h = mix(h, word);
        at += n;
        left -= n;
    }
    return mix_end(h);
}

static uint64_t flag_hash(bool flag)
{
    return mix_end(mix(term_seed(ROUTE_TLS, TERM_WHOLE), flag));
}

/* The longest cut that so many literal bytes reach; -1 when none. */
static int longest_cut(size_t literal)
{
    int n = CUTS - 1;
    while (n >= 0 && cut_bytes[n] > literal) n--;
    return n;
}

static int network_cut(const struct match_cidr *c)
{
    int best = -1;
    for (int n = 0; n < CUTS; n++)
        if (cut_bits[n].family == c->base.family && cut_bits[n].bits <= c->bits) best = n;
    return best;
}

static struct lexeme *lexeme_of(const struct lexicon *l, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & (l->cap - 1);; i = (i + 1) & (l->cap - 1))
        if (l->slots[i].hash == hash || l->slots[i].hash == 0) return &l->slots[i];
}

/* The term's number; a new one if need be; 0 when memory ran out. */
static uint32_t term_add(struct lexicon *l, uint64_t hash)
{
    if ((l->count + 1) * 2 > l->cap) {
        struct lexicon bigger = { .cap = l->cap ? l->cap * 2 : 64 };
        bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
        if (!bigger.slots) return 0;
        for (uint32_t i = 0; i < l->cap; i++)
            if (l->slots[i].hash) *lexeme_of(&bigger, l->slots[i].hash) = l->slots[i];
        free(l->slots);
        l->slots = bigger.slots;
        l->cap = bigger.cap;
    }
    struct lexeme *at = lexeme_of(l, hash);
    if (!at->hash) *at = (struct lexeme){ hash, ++l->count };
    return at->id;
}

void lexicon_fini(struct lexicon *l)
{
    free(l->slots);
    *l = (struct lexicon){ 0 };
}

/* ---- filing -----------------------------------------------------------------------------------
 */

/* One condition of a rule, as terms. */
struct side {
    enum route_condition name;
    uint32_t count, uses; /* uses: of its commonest term */
    uint32_t *terms;
};

struct filing {
    uint32_t rule;
    uint8_t count, depth;
    bool done;
    struct side sides[ROUTE_CONDITIONS]; /* rarest first */
};

/* Everything that lives only while an index is made. */
struct filer {
    struct lexicon *lexicon;
    struct arena scratch;
    struct filing *filings;
    uint32_t count;
    struct place { /* where one rule goes */
        uint64_t hash;
        uint32_t term;
    } * places;
    size_t place_count, place_cap;
    struct index_bucket *tally;
    uint32_t tally_used, tally_cap;
};

static bool side_add(struct filer *f, struct side *s, int length, uint64_t hash)
{
    uint32_t term = term_add(f->lexicon, hash);
    if (!term) return false;
    f->lexicon->lengths[s->name] |= 1u << length;
    s->terms[s->count++] = term;
    return true;
}

static int id_order(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* A glob goes by its head or its tail, whichever is longer. `*exact` false when it has neither. */
static bool side_add_glob(struct filer *f, struct side *s, struct slice glob, bool *exact)
{
    size_t head = glob_head_bytes(glob), tail = glob_tail_bytes(glob);
    int n = longest_cut(head >= tail ? head : tail);
    if (n < 0) {
        *exact = false;
        return true;
    }
    int length = (head >= tail ? TERM_HEAD : TERM_TAIL) + n;
    const char *at = head >= tail ? glob.at : glob.at + glob.len - cut_bytes[n];
    return side_add(f, s, length, cut_hash(s->name, length, at, cut_bytes[n]));
}

static bool side_add_set(struct filer *f, struct side *s, const struct match_set *set, bool *exact)
{
    for (uint32_t i = 0; i < set->glob_count; i++)
        if (!side_add_glob(f, s, set->globs[i], exact)) return false;
    for (uint32_t i = 0; i < set->name_count; i++)
        if (!side_add(f, s, TERM_WHOLE, whole_hash(s->name, set->names[i]))) return false;
    return true;
}

static bool side_add_networks(struct filer *f, struct side *s, const struct condition *c,
                              bool *exact)
{
    for (uint32_t i = 0; i < c->networks.count; i++) {
        const struct match_cidr *net = &c->networks.at[i];
        int n = network_cut(net);
        if (n < 0)
            *exact = false;
        else if (!side_add(f, s, TERM_HEAD + n,
                           cut_hash(s->name, TERM_HEAD + n, net->base.at, cut_bits[n].bits / 8)))
            return false;
    }
    return true;
}

/* Turns a condition into terms; none for one that has a value without. False: out of memory. */
static bool side_of(struct filer *f, struct side *s, const struct condition *c)
{
    enum condition_kind kind = condition_kind(c->name);
    uint32_t values = kind == FLAG                     ? 2
                      : kind == NAMES || kind == VERBS ? c->set.name_count + c->set.glob_count
                      : kind == NETWORKS               ? c->networks.count
                                                       : 0;
    *s = (struct side){ .name = c->name };
    if (values == 0) return true;
    s->terms = arena_array(&f->scratch, values, sizeof *s->terms);
    if (!s->terms) return false;
    bool ok = true, exact = true;
    if (kind == FLAG) {
        if (c->flags & FLAG_FALSE) ok = side_add(f, s, TERM_WHOLE, flag_hash(false));
        if (c->flags & FLAG_TRUE) ok = ok && side_add(f, s, TERM_WHOLE, flag_hash(true));
    } else if (kind == NETWORKS) {
        ok = side_add_networks(f, s, c, &exact);
    } else {
        ok = side_add_set(f, s, &c->set, &exact);
    }
    if (!ok) return false;
    if (!exact) s->count = 0;
    if (s->count < 2) return true;
    /* Two globs with the same head are one term. */
    qsort(s->terms, s->count, sizeof *s->terms, id_order);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < s->count; i++)
        if (s->terms[i] != s->terms[kept - 1]) s->terms[kept++] = s->terms[i];
    s->count = kept;
    return true;
}

static int side_order(const void *a, const void *b)
{
    const struct side *x = a, *y = b;
    if (x->uses != y->uses) return x->uses < y->uses ? -1 : 1;
    return x->name < y->name ? -1 : x->name > y->name;
}

/* The terms of all rules, and for each rule its conditions in order of rarity. */
static bool read_rules(struct filer *f, const struct rule *rules, uint32_t count, bool login)
{
    f->filings = arena_array(&f->scratch, count, sizeof *f->filings);
    if (!f->filings) return false;
    for (uint32_t i = 0; i < count; i++) {
        if (rules[i].is_login != login) continue;
        struct filing *filing = &f->filings[f->count++];
        filing->rule = i;
        for (uint32_t c = 0; c < rules[i].when_count; c++) {
            if (!side_of(f, &filing->sides[filing->count], &rules[i].when[c])) return false;
            if (filing->sides[filing->count].count > 0) filing->count++;
        }
    }
    uint32_t *uses = arena_array(&f->scratch, (size_t)f->lexicon->count + 1, sizeof *uses);
    if (!uses) return false;
    for (uint32_t i = 0; i < f->count; i++)
        for (unsigned s = 0; s < f->filings[i].count; s++)
            for (uint32_t t = 0; t < f->filings[i].sides[s].count; t++)
                uses[f->filings[i].sides[s].terms[t]]++;
    for (uint32_t i = 0; i < f->count; i++) {
        struct filing *filing = &f->filings[i];
        for (unsigned s = 0; s < filing->count; s++) {
            struct side *side = &filing->sides[s];
            for (uint32_t t = 0; t < side->count; t++)
                if (uses[side->terms[t]] > side->uses) side->uses = uses[side->terms[t]];
        }
        qsort(filing->sides, filing->count, sizeof *filing->sides, side_order);
    }
    return true;
}

/* Beyond the rarest condition, which are in play at this depth: the same mask and the same order
 * are found again when the index is asked. */
static struct index_group group_of(const struct filing *filing)
{
    struct index_group g = { .depth = filing->depth > 1 ? (uint8_t)(filing->depth - 1) : 0 };
    for (unsigned i = 1; i < filing->depth; i++) {
        g.mask |= (uint16_t)(1u << filing->sides[i].name);
        g.conditions[i - 1] = (uint8_t)filing->sides[i].name;
    }
    if (g.depth == 2 && g.conditions[0] > g.conditions[1]) {
        uint8_t swap = g.conditions[0];
        g.conditions[0] = g.conditions[1];
        g.conditions[1] = swap;
    }
    return g;
}

static uint64_t place_hash(uint32_t term, uint16_t mask) { return mix(mix(1, term), mask); }

static bool place_add(struct filer *f, uint64_t hash, uint32_t term)
{
    if (f->place_count == f->place_cap) {
        size_t cap = f->place_cap ? f->place_cap * 2 : 256;
        void *at = realloc(f->places, cap * sizeof *f->places);
        if (!at) return false;
        f->places = at;
        f->place_cap = cap;
    }
    f->places[f->place_count++] = (struct place){ mix_end(hash), term };
    return true;
}

/* All combinations of one term of each condition in play. */
static bool places_of(struct filer *f, const struct filing *filing)
{
    f->place_count = 0;
    if (filing->depth == 0) return place_add(f, 0, 0);
    struct index_group g = group_of(filing);
    const struct side *further[INDEX_DEPTH - 1] = { filing->sides, filing->sides };
    unsigned depth = g.depth < INDEX_DEPTH ? g.depth : INDEX_DEPTH - 1;
    for (unsigned d = 0; d < depth; d++)
        for (unsigned s = 1; s < filing->depth; s++)
            if (filing->sides[s].name == g.conditions[d]) further[d] = &filing->sides[s];
    for (uint32_t i = 0; i < filing->sides[0].count; i++) {
        uint32_t term = filing->sides[0].terms[i], at[INDEX_DEPTH - 1] = { 0 };
        unsigned d;
        do {
            uint64_t h = place_hash(term, g.mask);
            for (d = 0; d < depth; d++) h = mix(h, further[d]->terms[at[d]]);
            if (!place_add(f, h, term)) return false;
            for (d = 0; d < depth && ++at[d] == further[d]->count; d++) at[d] = 0;
        } while (d < depth);
    }
    return true;
}

static struct index_bucket *bucket_of(struct index_bucket *buckets, uint32_t cap, uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & (cap - 1);; i = (i + 1) & (cap - 1))
        if (buckets[i].hash == hash || buckets[i].hash == 0) return &buckets[i];
}

static bool tally_add(struct filer *f, uint64_t hash)
{
    if ((f->tally_used + 1) * 2 > f->tally_cap) {
        uint32_t cap = f->tally_cap ? f->tally_cap * 2 : 64;
        struct index_bucket *bigger = calloc(cap, sizeof *bigger);
        if (!bigger) return false;
        for (uint32_t i = 0; i < f->tally_cap; i++)
            if (f->tally[i].hash) *bucket_of(bigger, cap, f->tally[i].hash) = f->tally[i];
        free(f->tally);
        f->tally = bigger;
        f->tally_cap = cap;
    }
    struct index_bucket *b = bucket_of(f->tally, f->tally_cap, hash);
    f->tally_used += b->hash == 0;
    b->hash = hash;
    b->span.count++;
    return true;
}

static void tally_clear(struct filer *f)
{
    free(f->tally);
    f->tally = NULL;
    f->tally_used = f->tally_cap = 0;
}

static bool may_deepen(const struct filing *filing, unsigned depth)
{
    if (depth > filing->count) return false;
    uint64_t product = 1;
    for (unsigned i = 0; i < depth && product <= COMBINATIONS; i++)
        product *= filing->sides[i].count;
    return depth == 1 || product <= COMBINATIONS;
}

/* Gives each rule the least depth at which its fullest place holds few. */
static bool choose_depths(struct filer *f)
{
    for (unsigned depth = 1; depth <= INDEX_DEPTH; depth++) {
        for (uint32_t i = 0; i < f->count; i++) {
            struct filing *filing = &f->filings[i];
            filing->done = filing->done || !may_deepen(filing, depth);
            if (filing->done) continue;
            filing->depth = (uint8_t)depth;
            if (!places_of(f, filing)) return false;
            for (size_t p = 0; p < f->place_count; p++)
                if (!tally_add(f, f->places[p].hash)) return false;
        }
        for (uint32_t i = 0; i < f->count; i++) {
            struct filing *filing = &f->filings[i];
            if (filing->done) continue;
            if (!places_of(f, filing)) return false;
            uint32_t most = 0;
            for (size_t p = 0; p < f->place_count; p++) {
                uint32_t n = bucket_of(f->tally, f->tally_cap, f->places[p].hash)->span.count;
                if (n > most) most = n;
            }
            filing->done = most <= FEW;
        }
        tally_clear(f);
    }
    return true;
}

/* Which further conditions each term's rules are filed under. */
struct pair {
    uint32_t term;
    struct index_group group;
};

static int pair_order(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->term != y->term) return x->term < y->term ? -1 : 1;
    return x->group.mask < y->group.mask ? -1 : x->group.mask > y->group.mask;
}

static bool make_groups(struct filer *f, struct index *ix, struct index_node *nodes,
                        struct arena *a)
{
    size_t most = 0, count = 0, kept = 0;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->filings[i].depth > 1) most += f->filings[i].sides[0].count;
    struct pair *pairs = arena_array(&f->scratch, most, sizeof *pairs);
    if (!pairs) return false;
    for (uint32_t i = 0; i < f->count; i++)
        if (f->filings[i].depth > 1)
            for (uint32_t t = 0; t < f->filings[i].sides[0].count; t++)
                pairs[count++] =
                    (struct pair){ f->filings[i].sides[0].terms[t], group_of(&f->filings[i]) };
    qsort(pairs, count, sizeof *pairs, pair_order);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || pair_order(&pairs[i], &pairs[kept - 1]) != 0) pairs[kept++] = pairs[i];
    struct index_group *groups = arena_array(a, kept, sizeof *groups);
    if (!groups) return false;
    for (size_t i = 0; i < kept; i++) {
        struct index_node *node = &nodes[pairs[i].term];
        groups[i] = pairs[i].group;
        if (node->group_count++ == 0) node->group_from = (uint32_t)i;
    }
    ix->groups = groups;
    return true;
}

/* Gives each span its room, then each rule its places; rules come in order, so spans are in order.
 */
static bool fill(struct filer *f, struct index *ix, struct arena *a, bool is_login)
{
    struct index_node *nodes = arena_array(a, (size_t)f->lexicon->count + 1, sizeof *nodes);
    if (!nodes || !make_groups(f, ix, nodes, a)) return false;
    size_t entries = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct filing *filing = &f->filings[i];
        if (!places_of(f, filing)) return false;
        entries += f->place_count;
        for (size_t p = 0; p < f->place_count; p++) {
            if (filing->depth == 0)
                ix->termless.count++;
            else if (filing->depth == 1)
                nodes[f->places[p].term].alone.count++;
            else if (!tally_add(f, f->places[p].hash))
                return false;
        }
    }
    uint32_t *rules = entries > UINT32_MAX ? NULL : arena_array(a, entries, sizeof *rules),
             from = 0;
    struct index_bucket *buckets = arena_array(a, f->tally_cap, sizeof *buckets);
    if (!rules || !buckets) return false;
    if (f->tally_cap) memcpy(buckets, f->tally, f->tally_cap * sizeof *buckets);
    from += ix->termless.count;
    ix->termless.count = 0;
    for (uint32_t i = 0; i <= f->lexicon->count + f->tally_cap; i++) {
        struct index_span *span =
            i <= f->lexicon->count ? &nodes[i].alone : &buckets[i - f->lexicon->count - 1].span;
        span->from = from;
        from += span->count;
        span->count = 0;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const struct filing *filing = &f->filings[i];
        if (!places_of(f, filing)) return false;
        for (size_t p = 0; p < f->place_count; p++) {
            struct index_span *span =
                filing->depth == 0   ? &ix->termless
                : filing->depth == 1 ? &nodes[f->places[p].term].alone
                                     : &bucket_of(buckets, f->tally_cap, f->places[p].hash)->span;
            rules[span->from + span->count++] = filing->rule;
        }
    }
    ix->nodes = nodes;
    ix->node_count = f->lexicon->count + 1;
    ix->buckets = buckets;
    ix->bucket_mask = f->tally_cap ? f->tally_cap - 1 : 0;
    ix->rules = rules;
    ix->rule_count = f->count;
    /* Of login rules these are hours and shares, and often match; of the others, expressions. */
    ix->is_termless_cheap = f->count && is_login;
    return true;
}

bool index_build(struct index *ix, struct lexicon *l, struct arena *a, const struct rule *rules,
                 uint32_t count, bool login)
{
    struct filer f = { .lexicon = l };
    *ix = (struct index){ 0 };
    bool ok = read_rules(&f, rules, count, login) && choose_depths(&f) && fill(&f, ix, a, login);
    free(f.places);
    free(f.tally);
    arena_fini(&f.scratch);
    return ok;
}

/* ---- asking -----------------------------------------------------------------------------------
 */

static void keys_begin(struct keys *k, enum route_condition c)
{
    k->from[c] = k->used;
    k->count[c] = 0;
}

static void keys_add(struct keys *k, const struct lexicon *l, enum route_condition c, uint64_t hash)
{
    uint32_t id = lexeme_of(l, hash)->id;
    if (!id) return;
    for (unsigned i = k->from[c]; i < k->used; i++)
        if (k->ids[i] == id) return;
    if (k->used == KEYS_MAX) {
        k->is_full = true;
        return;
    }
    k->ids[k->used++] = id;
    k->count[c]++;
}

/* Of a text of which `head` bytes at its start and `tail` at its end are certain. */
static void keys_add_cuts(struct keys *k, const struct lexicon *l, enum route_condition c,
                          struct slice text, size_t head, size_t tail)
{
    unsigned heads = l->lengths[c] >> TERM_HEAD & 0xffu, tails = l->lengths[c] >> TERM_TAIL;
    for (int n = 0; heads >> n && n < CUTS && cut_bytes[n] <= head; n++)
        if (heads >> n & 1) keys_add(k, l, c, cut_hash(c, TERM_HEAD + n, text.at, cut_bytes[n]));
    for (int n = 0; tails >> n && n < CUTS && cut_bytes[n] <= tail; n++)
        if (tails >> n & 1)
            keys_add(k, l, c,
                     cut_hash(c, TERM_TAIL + n, text.at + text.len - cut_bytes[n], cut_bytes[n]));
}

static void keys_add_name(struct keys *k, const struct lexicon *l, enum route_condition c,
                          struct slice text)
{
    if (l->lengths[c] & 1u << TERM_WHOLE) keys_add(k, l, c, whole_hash(c, text));
    if (l->lengths[c] >> TERM_HEAD) keys_add_cuts(k, l, c, text, text.len, text.len);
}

static void keys_add_network(struct keys *k, const struct lexicon *l, const struct match_address *a,
                             unsigned bits)
{
    for (int n = 0; n < CUTS; n++)
        if (l->lengths[ROUTE_CLIENT] >> (TERM_HEAD + n) & 1 && cut_bits[n].family == a->family &&
            cut_bits[n].bits <= bits)
            keys_add(k, l, ROUTE_CLIENT,
                     cut_hash(ROUTE_CLIENT, TERM_HEAD + n, a->at, cut_bits[n].bits / 8));
}

static void keys_clear(struct keys *k)
{
    memset(k->count, 0, sizeof k->count);
    k->used = 0;
    k->is_full = false;
}

static void keys_of_text(struct keys *k, const struct lexicon *l, enum route_condition c,
                         struct slice text)
{
    keys_begin(k, c);
    keys_add_name(k, l, c, text);
}

void keys_of_session(struct keys *k, const struct lexicon *l, const struct route_facts *f)
{
    keys_clear(k);
    if (l->count == 0) return;
    if (l->lengths[ROUTE_TLS]) {
        keys_begin(k, ROUTE_TLS);
        keys_add(k, l, ROUTE_TLS, flag_hash(f->tls));
    }
    keys_of_text(k, l, ROUTE_USER, f->user);
    keys_of_text(k, l, ROUTE_ROLE, f->role);
    keys_of_text(k, l, ROUTE_DATABASE, f->database);
    keys_of_text(k, l, ROUTE_APPLICATION, f->application);
    keys_of_text(k, l, ROUTE_QUERY_GROUP, f->query_group);
    keys_begin(k, ROUTE_CLIENT);
    keys_add_network(k, l, &f->client, 128);
}

void keys_add_statement(struct keys *k, const struct lexicon *l, const struct route_statement *s)
{
    if (l->count == 0) return;
    keys_of_text(k, l, ROUTE_QUERY_GROUP, s->query_group); /* instead of the login's */
    keys_of_text(k, l, ROUTE_STATEMENT, s->verb);
    keys_begin(k, ROUTE_TABLES);
    for (uint32_t i = 0; i < s->table_count && !k->is_full; i++)
        keys_add_name(k, l, ROUTE_TABLES, s->tables[i]);
}

void keys_of_rule(struct keys *k, const struct lexicon *l, const struct rule *r)
{
    keys_clear(k);
    for (uint32_t i = 0; i < r->when_count && l->count; i++) {
        const struct condition *c = &r->when[i];
        enum condition_kind kind = condition_kind(c->name);
        keys_begin(k, c->name);
        if (kind == FLAG) {
            keys_add(k, l, c->name, flag_hash(!(c->flags & FLAG_FALSE)));
        } else if (kind == NAMES || kind == VERBS) {
            if (c->set.name_count) {
                keys_add_name(k, l, c->name, c->set.names[0]);
            } else {
                struct slice glob = c->set.globs[0];
                keys_add_cuts(k, l, c->name, glob, glob_head_bytes(glob), glob_tail_bytes(glob));
            }
        } else if (kind == NETWORKS) {
            keys_add_network(k, l, &c->networks.at[0].base, c->networks.at[0].bits);
        }
    }
}

/* One question put to the index, and the best answer so far. */
struct search {
    const struct index *index;
    const struct keys *keys;
    bool (*accept)(void *arg, uint32_t rule);
    void *arg;
    uint32_t best;
};

static void search_span(struct search *s, struct index_span span)
{
    const uint32_t *rules = s->index->rules + span.from;
    for (uint32_t i = 0; i < span.count && rules[i] < s->best; i++)
        if (s->accept(s->arg, rules[i])) s->best = rules[i];
}

static void search_group(struct search *s, uint32_t term, const struct index_group *g)
{
    const struct keys *k = s->keys;
    const uint32_t *ids[INDEX_DEPTH - 1];
    unsigned at[INDEX_DEPTH - 1] = { 0 }, d;
    for (d = 0; d < g->depth; d++) {
        if (k->count[g->conditions[d]] == 0) return;
        ids[d] = k->ids + k->from[g->conditions[d]];
    }
    do {
        uint64_t h = place_hash(term, g->mask);
        for (d = 0; d < g->depth; d++) h = mix(h, ids[d][at[d]]);
        h = mix_end(h);
        const struct index_bucket *buckets = s->index->buckets;
        uint32_t mask = s->index->bucket_mask, i = (uint32_t)h & mask;
        while (buckets[i].hash != h && buckets[i].hash != 0) i = (i + 1) & mask;
        search_span(s, buckets[i].span);
        for (d = 0; d < g->depth && ++at[d] == k->count[g->conditions[d]]; d++) at[d] = 0;
    } while (d < g->depth);
}

uint32_t index_first(const struct index *ix, const struct keys *k, uint32_t before,
                     bool (*accept)(void *arg, uint32_t rule), void *arg)
{
    struct search s = { ix, k, accept, arg, before };
    if (ix->is_termless_cheap) search_span(&s, ix->termless);
    for (unsigned c = 0; c < ROUTE_CONDITIONS; c++)
        for (unsigned i = 0; i < k->count[c]; i++) {
            uint32_t term = k->ids[k->from[c] + i];
            if (term >= ix->node_count) continue; /* a term of the other kind of rules only */
            const struct index_node *node = &ix->nodes[term];
            search_span(&s, node->alone);
            for (uint32_t g = 0; g < node->group_count; g++)
                search_group(&s, term, &ix->groups[node->group_from + g]);
        }
    if (!ix->is_termless_cheap) search_span(&s, ix->termless);
    return s.best;
}
