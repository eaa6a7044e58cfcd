#include "routing/build.h"

#include "routing/rule.h"

#include <stdlib.h>

/* Values of the rule being made, of whatever type; memory is reused from rule to rule. */
struct values {
    void *at;
    uint32_t count, cap;
};

struct named_zone {
    struct slice name;
    const struct zone *zone;
};

struct route_builder {
    struct route_table *table;
    struct map texts; /* every text once: clusters and roles repeat in thousands of rules */
    struct map_seed share_seed;
    struct values rules, zones;
    uint32_t expression_count; /* of all rules */
    bool failed;               /* memory ran out */

    /* the current rule */
    struct rule rule;
    uint8_t flags, weekdays;
    uint32_t share_ppm;
    bool has_share;
    struct values names[ROUTE_CONDITIONS], networks, hours, expressions, to, local_answers;
};

static void *values_add(struct route_builder *b, struct values *v, size_t size)
{
    if (v->count == v->cap) {
        uint32_t cap = v->cap ? v->cap * 2 : 8;
        void *at = realloc(v->at, cap * size);
        if (!at) {
            b->failed = true;
            return NULL;
        }
        v->at = at;
        v->cap = cap;
    }
    return (char *)v->at + size * v->count++;
}

static bool out_of_memory(struct route_builder *b, struct err *e)
{
    b->failed = true;
    return err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
}

/* The values as an array in the table; NULL when there are none. */
static void *keep(struct route_builder *b, const struct values *v, size_t size)
{
    if (v->count == 0) return NULL;
    void *at = arena_array(&b->table->arena, v->count, size);
    if (at) memcpy(at, v->at, v->count * size);
    return at;
}

static struct slice intern(struct route_builder *b, struct slice text)
{
    const struct slice *known = map_get(&b->texts, text);
    if (known) return *known;
    struct slice *copy = arena_alloc(&b->table->arena, sizeof *copy);
    if (copy) *copy = arena_copy(&b->table->arena, text);
    if (!copy || !copy->at || !map_put(&b->texts, *copy, copy)) {
        b->failed = true;
        return (struct slice){ 0 };
    }
    return *copy;
}

/* A rule means the same for as long as this hash stays: every value goes in, under its label. */
static void hash_in(struct route_builder *b, const char *label, struct slice value)
{
    struct map_seed seed = { b->rule.hash, 0 };
    seed.k1 = map_hash(seed, slice_str(label));
    b->rule.hash = map_hash(seed, value);
}

static bool text_check(struct slice text, struct err *e)
{
    if (text.len == 0) return err_set(e, ERR_INVALID_VALUE, "must not be empty");
    if (text.len > ROUTE_NAME_BYTES)
        return err_set(e, ERR_INVALID_VALUE, "is longer than %d bytes", ROUTE_NAME_BYTES);
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] < ' ' || text.at[i] == 0x7f)
            return err_set(e, ERR_INVALID_VALUE, "has a control character in it");
    return true;
}

struct route_builder *route_builder_new(struct map_seed share_seed)
{
    struct route_builder *b = calloc(1, sizeof *b);
    if (b) b->table = calloc(1, sizeof *b->table);
    if (!b || !b->table) {
        free(b);
        return NULL;
    }
    b->table->references = 1;
    b->share_seed = share_seed;
    /* Collisions here would need an admin who attacks his own proxy. */
    map_init(&b->texts, share_seed);
    return b;
}

static void drop_expressions(struct route_builder *b)
{
    struct expression *at = b->expressions.at;
    for (uint32_t i = 0; i < b->expressions.count; i++) regex_free(at[i].regex);
    b->expressions.count = 0;
}

void route_builder_free(struct route_builder *b)
{
    if (!b) return;
    drop_expressions(b);
    if (b->table) {
        b->table->rules = b->rules.at;
        b->table->count = b->rules.count;
        route_table_unref(b->table);
    }
    map_fini(&b->texts);
    free(b->rules.at);
    free(b->zones.at);
    free(b->networks.at);
    free(b->hours.at);
    free(b->expressions.at);
    free(b->to.at);
    free(b->local_answers.at);
    for (int c = 0; c < ROUTE_CONDITIONS; c++) free(b->names[c].at);
    free(b);
}

bool route_builder_rule(struct route_builder *b, struct slice id, uint32_t line, struct err *e)
{
    drop_expressions(b);
    b->rule = (struct rule){ .line = line, .is_login = true };
    b->flags = b->weekdays = 0;
    b->has_share = false;
    b->share_ppm = 0;
    b->networks.count = b->hours.count = b->to.count = b->local_answers.count = 0;
    for (int c = 0; c < ROUTE_CONDITIONS; c++) b->names[c].count = 0;
    if (b->rules.count == ROUTE_RULES_MAX)
        return err_set(e, ERR_INVALID_VALUE, "more than %d rules", ROUTE_RULES_MAX);
    if (!text_check(id, e)) return false;
    b->rule.id = intern(b, id);
    hash_in(b, "id", id);
    return !b->failed || out_of_memory(b, e);
}

/* ---- conditions -------------------------------------------------------------------------------
 */

static bool when_name(struct route_builder *b, enum route_condition c, struct slice value,
                      struct err *e)
{
    char folded[ROUTE_NAME_BYTES];
    bool verb = condition_kind(c) == VERBS;
    /* A client may well have no application_name: an empty name is a name. */
    if (value.len && !text_check(value, e)) return false;
    if (value.len == 0 && (verb || c == ROUTE_TABLES))
        return err_set(e, ERR_INVALID_VALUE, "must not be empty");
    for (size_t i = 0; (verb || c == ROUTE_TABLES) && i < value.len; i++) {
        char lower = ascii_lower(value.at[i]);
        bool letter = lower >= 'a' && lower <= 'z';
        if (verb && !letter && lower != ' ' && lower != '_')
            return err_set(e, ERR_INVALID_VALUE, "a statement is named by its verb, as SELECT");
        folded[i] = verb && letter ? (char)(lower - ('a' - 'A')) : lower;
    }
    if (verb || c == ROUTE_TABLES) value.at = folded;
    struct slice *at = values_add(b, &b->names[c], sizeof *at);
    if (!at) return out_of_memory(b, e);
    *at = intern(b, value);
    return !b->failed || out_of_memory(b, e);
}

static bool when_expression(struct route_builder *b, struct slice value, struct err *e)
{
    if (b->expression_count == ROUTE_EXPRESSIONS_MAX)
        return err_set(e, ERR_INVALID_VALUE, "more than %d regular expressions in all",
                       ROUTE_EXPRESSIONS_MAX);
    struct regex *r = regex_new(value, e);
    if (!r) return false;
    struct expression *at = values_add(b, &b->expressions, sizeof *at);
    if (!at) {
        regex_free(r);
        return out_of_memory(b, e);
    }
    *at = (struct expression){ r, intern(b, value) };
    b->expression_count++;
    return !b->failed || out_of_memory(b, e);
}

static bool when_typed(struct route_builder *b, enum route_condition c, struct slice value,
                       struct err *e)
{
    switch (condition_kind(c)) {
    case FLAG:
        if (!slice_is(value, "true") && !slice_is(value, "false"))
            return err_set(e, ERR_INVALID_VALUE, "must be true or false");
        b->flags |= slice_is(value, "true") ? FLAG_TRUE : FLAG_FALSE;
        return true;
    case NAMES:
    case VERBS: return when_name(b, c, value, e);
    case NETWORKS: {
        struct match_cidr parsed, *at;
        if (!cidr_parse(value, &parsed, e)) return false;
        if (!(at = values_add(b, &b->networks, sizeof *at))) return out_of_memory(b, e);
        *at = parsed;
        return true;
    }
    case WEEKDAYS: {
        uint8_t days;
        if (!weekdays_parse(value, &days, e)) return false;
        b->weekdays |= days;
        return true;
    }
    case HOURS: {
        struct match_hours parsed, *at;
        if (!hours_parse(value, &parsed, e)) return false;
        if (!(at = values_add(b, &b->hours, sizeof *at))) return out_of_memory(b, e);
        *at = parsed;
        return true;
    }
    case SHARE: {
        uint32_t ppm;
        if (!share_parse(value, &ppm, e)) return false;
        b->has_share = true;
        if (ppm > b->share_ppm) b->share_ppm = ppm;
        return true;
    }
    case EXPRESSIONS: return when_expression(b, value, e);
    }
    return false;
}

bool route_builder_when(struct route_builder *b, enum route_condition c, struct slice value,
                        struct err *e)
{
    if (route_condition_is_statement(c)) b->rule.is_login = false;
    if (!when_typed(b, c, value, e)) return false;
    hash_in(b, route_condition_key(c), value);
    return true;
}

bool route_builder_zone(struct route_builder *b, struct slice name, struct slice tzif,
                        struct err *e)
{
    struct named_zone *known = b->zones.at;
    const struct zone *zone = NULL;
    for (uint32_t i = 0; i < b->zones.count && !zone; i++)
        if (slice_eq(known[i].name, name)) zone = known[i].zone;
    if (!zone) {
        if (!text_check(name, e)) return false;
        zone = tzif.at ? zone_from_tzif(&b->table->arena, tzif, e)
                       : zone_fixed(&b->table->arena, name);
        if (!zone && tzif.at) return false;
        if (!zone && b->table->arena.failed) return out_of_memory(b, e);
        if (!zone) return err_set(e, ERR_INVALID_VALUE, "unknown time zone");
        struct named_zone *at = values_add(b, &b->zones, sizeof *at);
        if (!at) return out_of_memory(b, e);
        *at = (struct named_zone){ intern(b, name), zone };
    }
    b->rule.zone = zone;
    b->rule.zone_name = intern(b, name);
    hash_in(b, "timezone", name);
    return !b->failed || out_of_memory(b, e);
}

/* ---- actions ----------------------------------------------------------------------------------
 */

bool route_builder_to(struct route_builder *b, struct slice cluster, struct err *e)
{
    if (!text_check(cluster, e)) return false;
    const struct slice *to = b->to.at;
    for (uint32_t i = 0; i < b->to.count; i++)
        if (slice_eq(to[i], cluster))
            return err_set(e, ERR_INVALID_VALUE,
                           "stands twice: the fallbacks would go in a circle");
    struct slice *at = values_add(b, &b->to, sizeof *at);
    if (!at) return out_of_memory(b, e);
    *at = intern(b, cluster);
    hash_in(b, "to", cluster);
    return !b->failed || out_of_memory(b, e);
}

bool route_builder_text(struct route_builder *b, enum route_text which, struct slice value,
                        struct err *e)
{
    static const char *const labels[] = { "db_user", "database", "query_group", "deny" };
    struct slice *const fields[] = { &b->rule.db_user, &b->rule.database, &b->rule.query_group,
                                     &b->rule.deny };
    if (!text_check(value, e)) return false;
    *fields[which] = intern(b, value);
    hash_in(b, labels[which], value);
    return !b->failed || out_of_memory(b, e);
}

bool route_builder_pool(struct route_builder *b, struct slice json, struct err *e)
{
    if (json.len > ROUTE_POOL_BYTES)
        return err_set(e, ERR_INVALID_VALUE, "is longer than %d bytes", ROUTE_POOL_BYTES);
    b->rule.pool = intern(b, json);
    hash_in(b, "pool", json);
    return !b->failed || out_of_memory(b, e);
}

bool route_builder_local_answer(struct route_builder *b, struct slice name, struct err *e)
{
    if (!text_check(name, e)) return false;
    struct slice *at = values_add(b, &b->local_answers, sizeof *at);
    if (!at) return out_of_memory(b, e);
    *at = intern(b, name);
    hash_in(b, "local_answers", name);
    return !b->failed || out_of_memory(b, e);
}

/* ---- closing a rule ---------------------------------------------------------------------------
 */

static bool actions_check(const struct route_builder *b, struct err *e)
{
    const struct rule *r = &b->rule;
    bool to = b->to.count > 0, deny = r->deny.len > 0;
    const char *at_login_only = r->db_user.len           ? "db_user"
                                : r->database.len        ? "database"
                                : r->pool.len            ? "pool"
                                : deny                   ? "deny"
                                : b->local_answers.count ? "local_answers"
                                                         : NULL;
    if (!r->is_login && at_login_only)
        return err_set(
            e, ERR_CONFIG,
            "\"%s\" is decided at login: a rule with statement, tables or query may only "
            "change \"to\" and \"query_group\"",
            at_login_only);
    if (!r->is_login && !to && !r->query_group.len)
        return err_set(e, ERR_CONFIG, "does nothing: give it \"to\" or \"query_group\"");
    if (r->is_login && !to && !deny)
        return err_set(e, ERR_CONFIG, "leads nowhere: give it \"to\" or \"deny\"");
    if (deny && (to || r->db_user.len || r->database.len || r->pool.len || r->query_group.len ||
                 b->local_answers.count))
        return err_set(e, ERR_CONFIG, "\"deny\" excludes every other action");
    return true;
}

/* Names apart from globs, each once. */
static bool set_make(struct route_builder *b, struct match_set *set, const struct values *v)
{
    const struct slice *values = v->at;
    struct slice *names = arena_array(&b->table->arena, v->count, sizeof *names);
    if (!names) return false;
    uint32_t name_count = 0, glob_at = v->count;
    for (uint32_t i = 0; i < v->count; i++) {
        if (glob_is_pattern(values[i]))
            names[--glob_at] = values[i];
        else
            names[name_count++] = values[i];
    }
    set->globs = names + glob_at;
    set->glob_count = v->count - glob_at;
    qsort(names, name_count, sizeof *names, name_order);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < name_count; i++)
        if (i == 0 || !slice_eq(names[i], names[kept - 1])) names[kept++] = names[i];
    set->names = names;
    set->name_count = kept;
    return true;
}

/* The seed of a rule's share hangs on its id: rules draw their users independently. */
static struct map_seed share_seed_of(const struct route_builder *b)
{
    uint64_t own = map_hash(b->share_seed, b->rule.id);
    return (struct map_seed){ b->share_seed.k0 ^ own, b->share_seed.k1 + own };
}

static bool condition_make(struct route_builder *b, enum route_condition name, struct condition *c)
{
    *c = (struct condition){ .name = name };
    switch (condition_kind(name)) {
    case FLAG: c->flags = b->flags; return b->flags != 0;
    case NAMES:
    case VERBS: return b->names[name].count && set_make(b, &c->set, &b->names[name]);
    case NETWORKS:
        c->networks.at = keep(b, &b->networks, sizeof(struct match_cidr));
        c->networks.count = b->networks.count;
        return c->networks.at != NULL;
    case WEEKDAYS: c->weekdays = b->weekdays; return b->weekdays != 0;
    case HOURS:
        c->hours.at = keep(b, &b->hours, sizeof(struct match_hours));
        c->hours.count = b->hours.count;
        return c->hours.at != NULL;
    case SHARE:
        c->share.seed = share_seed_of(b);
        c->share.ppm = b->share_ppm;
        return b->has_share;
    case EXPRESSIONS:
        c->expressions.at = keep(b, &b->expressions, sizeof(struct expression));
        c->expressions.count = b->expressions.count;
        return c->expressions.at != NULL;
    }
    return false;
}

bool route_builder_end(struct route_builder *b, struct err *e)
{
    struct condition when[ROUTE_CONDITIONS];
    struct rule *r = &b->rule;
    if (!actions_check(b, e)) return false;
    if (!r->zone && !route_builder_zone(b, slice_str("UTC"), (struct slice){ 0 }, e)) return false;
    uint32_t n = 0;
    for (int c = 0; c < ROUTE_CONDITIONS; c++)
        n += condition_make(b, (enum route_condition)c, &when[n]);
    struct condition *kept = arena_array(&b->table->arena, n, sizeof *kept);
    if (kept) memcpy(kept, when, n * sizeof *when);
    r->when = kept;
    r->when_count = n;
    r->to = keep(b, &b->to, sizeof(struct slice));
    r->to_count = b->to.count;
    r->local_answers = keep(b, &b->local_answers, sizeof(struct slice));
    r->local_answer_count = b->local_answers.count;
    if (b->failed || b->table->arena.failed) return out_of_memory(b, e);
    struct rule *at = values_add(b, &b->rules, sizeof *at);
    if (!at) return out_of_memory(b, e);
    *at = *r;
    b->expressions.count = 0; /* the rule owns them now */
    return true;
}

struct route_table *route_builder_finish(struct route_builder *b, uint64_t version, struct err *e)
{
    struct route_table *t = b->table;
    struct rule *rules = arena_array(&t->arena, b->rules.count, sizeof *rules);
    if (b->failed || t->arena.failed) {
        route_builder_free(b);
        err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    if (b->rules.count) memcpy(rules, b->rules.at, b->rules.count * sizeof *rules);
    t->rules = rules;
    t->count = b->rules.count;
    t->version = version;
    bool ok = index_build(&t->login, &t->lexicon, &t->arena, t->rules, t->count, true) &&
              index_build(&t->statement, &t->lexicon, &t->arena, t->rules, t->count, false);
    b->table = NULL;
    route_builder_free(b);
    if (ok) return t;
    route_table_unref(t);
    err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
    return NULL;
}
