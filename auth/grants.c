#include "auth/grants.h"
#include "auth/grants_role.h"

#include <stdlib.h>

/* ---- patterns ------------------------------------------------------------------------------ */

struct pattern {
    char text[GRANTS_PARTS][SQL_NAME_BYTES];
    size_t len[GRANTS_PARTS];
    bool wild[GRANTS_PARTS];
    unsigned count;
};

static bool bad(struct err *err, struct slice pattern, const char *why)
{
    return err_set(err, ERR_CONFIG, "\"%.*s\" is no pattern of objects: %s",
                   (int)(pattern.len > 100 ? 100 : pattern.len), pattern.at, why);
}

/* One part, from *at on, to its dot or the end. */
static const char *read_part(struct slice pattern, size_t *at, struct pattern *out)
{
    const unsigned n = out->count;
    const bool quoted = *at < pattern.len && pattern.at[*at] == '"';
    if (n == GRANTS_PARTS) return "it has too many parts";
    out->len[n] = 0;
    out->wild[n] = false;
    if (quoted) ++*at;
    for (;; ++*at) {
        if (*at == pattern.len) {
            if (quoted) return "a quote is not closed";
            break;
        }
        const char c = pattern.at[*at];
        if (c == '\0') return "it holds a NUL";
        if (quoted && c == '"') {
            if (*at + 1 == pattern.len || pattern.at[*at + 1] != '"') {
                ++*at;
                break;
            }
            ++*at;
        } else if (!quoted && c == '.') {
            break;
        } else if (!quoted && c == '*') {
            out->wild[n] = true;
        } else if (!quoted && c == '"') {
            return "a quote stands within a part";
        }
        if (out->len[n] == SQL_NAME_BYTES) return "a part is longer than 127 bytes";
        out->text[n][out->len[n]++] = c;
    }
    if (out->len[n] == 0) return "a part is empty";
    if (*at < pattern.len && pattern.at[*at] != '.') return "a quoted part goes on";
    out->count++;
    return NULL;
}

static bool read_pattern(struct slice pattern, struct pattern *out, struct err *err)
{
    size_t at = 0;
    out->count = 0;
    if (pattern.len == 0) return bad(err, pattern, "it is empty");
    for (;;) {
        const char *why = read_part(pattern, &at, out);
        if (why) return bad(err, pattern, why);
        if (at == pattern.len) return true;
        at++; /* the dot */
    }
}

static bool is_system_schema(struct slice schema)
{
    return slice_is(schema, "pg_catalog") || slice_is(schema, "information_schema") ||
           slice_is(schema, "pg_internal");
}

bool grants_check_pattern(struct slice pattern, struct err *err)
{
    struct pattern read;
    return read_pattern(pattern, &read, err);
}

const char *grants_why_never(struct slice pattern, uint32_t verbs, enum sql_case letters)
{
    struct pattern read;
    struct err ignored;
    if (slice_is(pattern, "*") || !read_pattern(pattern, &read, &ignored)) return NULL;
    for (unsigned i = 0; i < read.count && letters != SQL_CASE_KEEP; i++)
        for (size_t k = 0; k < read.len[i]; k++)
            if (read.text[i][k] >= 'A' && read.text[i][k] <= 'Z') return "names fold to lower case";
    /* A name of one part is looked for in the search_path; only temporary tables have no schema. */
    const uint32_t temp = 1U << SQL_VERB_CREATE_TEMP;
    if (read.count > 1) return verbs == temp ? "a temporary table's name has no schema" : NULL;
    const bool hash = read.text[0][0] == '#' || (read.wild[0] && read.text[0][0] == '*');
    return hash || (verbs & temp) ? NULL : "the schema is missing: write schema.table";
}

bool grants_glob(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, retry = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.at[p] == '*') {
            star = p++;
            retry = t;
        } else if (p < pattern.len && pattern.at[p] == text.at[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.at[p] == '*') p++;
    return p == pattern.len;
}

/* ---- compiling ----------------------------------------------------------------------------- */

static bool no_memory(struct err *err) { return err_set(err, ERR_OUT_OF_MEMORY, NULL); }

/* A copy of `text`, freed with the role. */
static struct grants_word *add_word(struct grants *g, struct slice text)
{
    struct grants_word *word = malloc(sizeof *word + text.len);
    if (!word) return NULL;
    char *copy = (char *)(word + 1);
    if (text.len) memcpy(copy, text.at, text.len);
    *word = (struct grants_word){ g->words, slice_of(copy, text.len), 0 };
    g->words = word;
    return word;
}

/* A word of a list that keeps its order; such words are on no other list. */
static bool append_word(struct grants_word **list, struct slice text)
{
    struct grants_word *word = malloc(sizeof *word + text.len);
    if (!word) return false;
    char *copy = (char *)(word + 1);
    if (text.len) memcpy(copy, text.at, text.len);
    *word = (struct grants_word){ NULL, slice_of(copy, text.len), 0 };
    while (*list) list = &(*list)->next;
    *list = word;
    return true;
}

/* Parts joined by NUL, which no name holds. */
static struct slice join(const struct pattern *p, char out[static GRANTS_PARTS * 128])
{
    size_t n = 0;
    for (unsigned i = 0; i < p->count; i++) {
        if (i > 0) out[n++] = '\0';
        memcpy(out + n, p->text[i], p->len[i]);
        n += p->len[i];
    }
    return slice_of(out, n);
}

static bool add_exact(struct grants *g, struct map *map, const struct pattern *p, uint32_t verbs)
{
    char key[GRANTS_PARTS * 128];
    const struct slice joined = join(p, key);
    struct grants_word *word = map_get(map, joined);
    if (!word) {
        word = add_word(g, joined);
        if (!word || !map_put(map, word->text, word)) return false;
    }
    word->verbs |= verbs;
    return true;
}

static bool add_glob(struct grants *g, const struct pattern *p, uint32_t verbs)
{
    size_t size = 0;
    for (unsigned i = 0; i < p->count; i++) size += p->len[i];
    struct grants_glob *glob = malloc(sizeof *glob + size);
    if (!glob) return false;
    char *copy = (char *)(glob + 1);
    *glob = (struct grants_glob){ .next = g->globs, .count = p->count, .verbs = verbs };
    for (unsigned i = 0; i < p->count; i++) {
        memcpy(copy, p->text[i], p->len[i]);
        glob->part[i] = slice_of(copy, p->len[i]);
        glob->wild[i] = p->wild[i];
        copy += p->len[i];
    }
    g->globs = glob;
    return true;
}

static bool add_rule(struct grants *g, const struct grants_rule *rule, struct err *err)
{
    struct pattern p;
    if (!read_pattern(rule->pattern, &p, err)) return false;
    g->anywhere |= rule->verbs;
    if (slice_is(rule->pattern, "*")) {
        g->every |= rule->verbs;
        return true;
    }
    bool wild = false;
    for (unsigned i = 0; i < p.count; i++) wild |= p.wild[i];
    const bool ok =
        wild ? add_glob(g, &p, rule->verbs) : add_exact(g, &g->objects, &p, rule->verbs);
    return ok || no_memory(err);
}

/* The schemas of a search_path. A name there is unquoted and folded, or quoted. */
static bool add_path(struct grants *g, struct slice path, struct err *err)
{
    while (path.len > 0) {
        const char *comma = memchr(path.at, ',', path.len);
        struct slice one = slice_of(path.at, comma ? (size_t)(comma - path.at) : path.len);
        path = slice_after(path, one.len + 1);
        while (one.len > 0 && (*one.at == ' ' || *one.at == '\t')) one = slice_after(one, 1);
        while (one.len > 0 && (one.at[one.len - 1] == ' ' || one.at[one.len - 1] == '\t'))
            one.len--;
        if (one.len == 0) continue;
        char schema[SQL_NAME_BYTES];
        const struct sql_name name = { .part = { one }, .count = 1 };
        const size_t len = sql_name_part(&name, 0, SQL_CASE_KEEP, schema, sizeof schema);
        if (len == 0) return err_set(err, ERR_CONFIG, "search_path names a schema that cannot be");
        if (!append_word(&g->path, slice_of(schema, len))) return no_memory(err);
    }
    return true;
}

static bool add_functions(struct grants *g, const struct grants_options *options, struct err *err)
{
    static const char *const built_in[] = {
#define FUNCTION(name) name,
#include "auth/grants_function.def"
#undef FUNCTION
    };
    static const char *const of_catalog[] = {
#define CATALOG_FUNCTION(name) name,
#include "auth/grants_catalog.def"
    };
    struct pattern p;
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (!read_pattern(slice_str(built_in[i]), &p, err) || !add_exact(g, &g->functions, &p, 1))
            return no_memory(err);
    for (size_t i = 0; options->catalog && i < sizeof of_catalog / sizeof *of_catalog; i++)
        if (!read_pattern(slice_str(of_catalog[i]), &p, err) || !add_exact(g, &g->functions, &p, 1))
            return no_memory(err);
    for (size_t i = 0; i < options->functions.count; i++) {
        if (!read_pattern(options->functions.at[i], &p, err)) return false;
        if (!add_exact(g, &g->functions, &p, 1)) return no_memory(err);
    }
    return true;
}

static bool add_catalog(struct grants *g, struct err *err)
{
    static const char *const relations[] = {
#define CATALOG(schema, relation) schema "." relation,
#include "auth/grants_catalog.def"
    };
    struct pattern p;
    for (size_t i = 0; i < sizeof relations / sizeof *relations; i++)
        if (!read_pattern(slice_str(relations[i]), &p, err) || !add_exact(g, &g->catalog, &p, 1))
            return no_memory(err);
    return true;
}

static bool add_lists(struct grants *g, const struct grants_options *options, struct err *err)
{
    for (size_t i = 0; i < options->copy_from.count; i++)
        if (!append_word(&g->copy_from, options->copy_from.at[i])) return no_memory(err);
    for (size_t i = 0; i < options->copy_roles.count; i++)
        if (!append_word(&g->copy_roles, options->copy_roles.at[i])) return no_memory(err);
    return true;
}

static bool compile(struct grants *g, const struct grants_options *options, struct err *err)
{
    struct grants_word *name = add_word(g, options->name);
    if (!name) return no_memory(err);
    g->name = name->text;
    for (size_t i = 0; i < options->rule_count; i++)
        if (!add_rule(g, &options->rules[i], err)) return false;
    g->unrestricted = (g->every & SQL_VERBS_ALL) == SQL_VERBS_ALL;
    return add_path(g, options->search_path, err) && add_functions(g, options, err) &&
           (!options->catalog || add_catalog(g, err)) && add_lists(g, options, err);
}

struct grants *grants_new(const struct grants_options *options, struct err *err)
{
    struct grants *g = malloc(sizeof *g);
    if (!g) {
        no_memory(err);
        return NULL;
    }
    *g = (struct grants){ .letters = options->letters,
                          .no_access_keys = options->no_access_keys,
                          .generation = options->generation,
                          .statement_bytes = options->statement_bytes ? options->statement_bytes
                                                                      : GRANTS_STATEMENT_BYTES };
    map_init(&g->objects, options->seed);
    map_init(&g->functions, options->seed);
    map_init(&g->catalog, options->seed);
    if (compile(g, options, err)) return g;
    grants_free(g);
    return NULL;
}

static void free_words(struct grants_word *word)
{
    while (word) {
        struct grants_word *next = word->next;
        free(word);
        word = next;
    }
}

void grants_free(struct grants *g)
{
    if (!g) return;
    map_fini(&g->objects);
    map_fini(&g->functions);
    map_fini(&g->catalog);
    while (g->globs) {
        struct grants_glob *next = g->globs->next;
        free(g->globs);
        g->globs = next;
    }
    free_words(g->words);
    free_words(g->path);
    free_words(g->copy_from);
    free_words(g->copy_roles);
    free(g);
}

bool grants_is_unrestricted(const struct grants *g) { return g->unrestricted; }
uint64_t grants_generation(const struct grants *g) { return g->generation; }
struct slice grants_name(const struct grants *g) { return g->name; }

/* ---- matching ------------------------------------------------------------------------------ */

static bool glob_matches(const struct grants_glob *glob, const struct slice *parts, unsigned count)
{
    if (glob->count != count) return false;
    /* A star for the schema is never one of the server's own (rule N7). */
    if (count >= 2 && glob->wild[count - 2] && is_system_schema(parts[count - 2])) return false;
    for (unsigned i = 0; i < count; i++)
        if (glob->wild[i] ? !grants_glob(glob->part[i], parts[i])
                          : !slice_eq(glob->part[i], parts[i]))
            return false;
    return true;
}

/* Is one of the verbs granted on exactly this name? */
static bool is_granted(const struct grants *g, uint32_t verbs, const struct slice *parts,
                       unsigned count)
{
    SCRATCH char key[GRANTS_PARTS * 128];
    size_t n = 0;
    if (count <= 2 && (g->every & verbs)) return true;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].len > SQL_NAME_BYTES) return false;
        if (i > 0) key[n++] = '\0';
        memcpy(key + n, parts[i].at, parts[i].len);
        n += parts[i].len;
    }
    const struct slice joined = slice_of(key, n);
    const struct grants_word *word = map_get(&g->objects, joined);
    if (word && (word->verbs & verbs)) return true;
    for (const struct grants_glob *glob = g->globs; glob; glob = glob->next)
        if ((glob->verbs & verbs) && glob_matches(glob, parts, count)) return true;
    return (verbs & 1U << SQL_VERB_SELECT) && map_get(&g->catalog, joined);
}

/* A name without a schema that means the system's, whatever the path says. */
static bool is_system_name(struct slice name)
{
    static const char *const prefixes[] = { "pg_",  "stl_",  "stv_", "svl_",
                                            "svv_", "svcs_", "sys_", "padb_" };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (slice_starts(name, prefixes[i])) return true;
    return false;
}

enum grants_reason grants_allow(const struct grants *g, enum sql_verb verb,
                                const struct slice *parts, unsigned count, bool temp)
{
    uint32_t verbs = 1U << verb;
    if (verb == SQL_VERB_COPY) verbs |= 1U << SQL_VERB_INSERT; /* INSERT implies COPY */
    const enum grants_reason no = verb == SQL_VERB_SELECT ? GRANTS_READ
                                  : g->anywhere & verbs   ? GRANTS_TABLE
                                                          : GRANTS_VERB;
    if (count != 1 || temp || verb == SQL_VERB_CREATE_TEMP)
        return is_granted(g, verbs, parts, count) ? GRANTS_ALLOWED : no;

    struct slice qualified[2] = { slice_str("pg_catalog"), parts[0] };
    if (is_system_name(parts[0])) return is_granted(g, verbs, qualified, 2) ? GRANTS_ALLOWED : no;
    if (!g->path) return g->anywhere & verbs ? GRANTS_QUALIFY : no;
    for (const struct grants_word *schema = g->path; schema; schema = schema->next) {
        qualified[0] = schema->text;
        if (!is_granted(g, verbs, qualified, 2)) return no;
    }
    return GRANTS_ALLOWED;
}
