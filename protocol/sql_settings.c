#include "protocol/sql_settings.h"

#include "protocol/sql_setting.h"

#include <stdlib.h>

/* After the pairs come their bytes, "name\0raw\0" by name: the set's content, and its key in the
 * table. Neither part holds a NUL. */
struct settings {
    struct settings_table *table;
    uint32_t references, count;
    size_t len; /* of the bytes */
    struct settings_pair pairs[];
};

struct settings_table {
    struct map sets; /* by content; holds no references */
    struct settings *none;
};

/* ---- making sets --------------------------------------------------------------------------- */

static struct slice content(struct settings *s)
{
    return slice_of((char *)(s->pairs + s->count), s->len);
}

/* A copy of the pairs, which are sorted and fit; reference taken. */
static struct settings *make(struct settings_table *table, const struct settings_pair *pairs,
                             uint32_t count, size_t len)
{
    struct settings *s = malloc(sizeof *s + count * sizeof *pairs + len);
    if (!s) return NULL;
    *s = (struct settings){ .table = table, .references = 1, .count = count, .len = len };
    char *at = (char *)(s->pairs + count);
    for (uint32_t i = 0; i < count; i++) {
        struct slice parts[2] = { pairs[i].name, pairs[i].value };
        for (int p = 0; p < 2; p++) {
            if (parts[p].len) memcpy(at, parts[p].at, parts[p].len);
            at[parts[p].len] = 0;
            parts[p].at = at;
            at += parts[p].len + 1;
        }
        s->pairs[i] = (struct settings_pair){ parts[0], parts[1] };
    }
    return s;
}

/* The one set of the table with these pairs. */
static struct settings *intern(struct settings_table *table, const struct settings_pair *pairs,
                               uint32_t count, struct err *e)
{
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) len += pairs[i].name.len + pairs[i].value.len + 2;
    if (count == 0) return settings_ref(table->none);
    if (count > SETTINGS_MAX || len > SETTINGS_BYTES_MAX) {
        err_set(e, ERR_TOO_LARGE, "more session settings than %d, or than %d bytes", SETTINGS_MAX,
                SETTINGS_BYTES_MAX);
        return NULL;
    }
    struct settings *s = make(table, pairs, count, len);
    struct settings *same = s ? map_get(&table->sets, content(s)) : NULL;
    if (same) {
        free(s);
        return settings_ref(same);
    }
    if (!s || !map_put(&table->sets, content(s), s)) {
        free(s);
        err_set(e, ERR_OUT_OF_MEMORY, "");
        return NULL;
    }
    return s;
}

struct settings_table *settings_table_new(struct map_seed seed)
{
    struct settings_table *table = calloc(1, sizeof *table);
    if (!table) return NULL;
    map_init(&table->sets, seed);
    table->none = make(table, NULL, 0, 0);
    if (table->none) return table;
    free(table);
    return NULL;
}

void settings_table_free(struct settings_table *table)
{
    if (!table) return;
    map_fini(&table->sets);
    free(table->none);
    free(table);
}

struct settings *settings_none(struct settings_table *table) { return settings_ref(table->none); }

struct settings *settings_ref(struct settings *s)
{
    s->references++;
    return s;
}

void settings_unref(struct settings *s)
{
    if (!s || --s->references || s == s->table->none) return;
    map_remove(&s->table->sets, content(s));
    free(s);
}

/* ---- changing ------------------------------------------------------------------------------ */

static int compare(struct slice a, struct slice b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Where `name` stands or would stand. */
static uint32_t find(const struct settings *s, struct slice name, bool *found)
{
    uint32_t i = 0;
    int order = 1;
    while (i < s->count && (order = compare(s->pairs[i].name, name)) < 0) i++;
    *found = i < s->count && order == 0;
    return i;
}

/* `old` with the folded name's value replaced, added, or (value.at NULL) taken away. */
static struct settings *change(struct settings *old, struct slice name, struct slice value,
                               struct err *e)
{
    struct settings_pair pairs[SETTINGS_MAX + 1];
    bool found;
    uint32_t at = find(old, name, &found), count = 0;
    for (uint32_t i = 0; i < at; i++) pairs[count++] = old->pairs[i];
    if (value.at) pairs[count++] = (struct settings_pair){ name, value };
    for (uint32_t i = at + found; i < old->count; i++) pairs[count++] = old->pairs[i];
    return intern(old->table, pairs, count, e);
}

static bool fold(struct slice name, char out[SQL_SETTING_NAME_MAX], struct slice *folded,
                 struct err *e)
{
    *folded = slice_of(out, sql_setting_name(name, out));
    return folded->len || err_set(e, ERR_INVALID_VALUE, "not the name of a setting");
}

struct settings *settings_with(struct settings *old, struct slice name, struct slice raw,
                               struct err *e)
{
    char buffer[SQL_SETTING_NAME_MAX];
    struct slice folded;
    if (!fold(name, buffer, &folded, e)) return NULL;
    if (!sql_setting_is_constant(raw)) {
        err_set(e, ERR_INVALID_VALUE, "value of setting \"%.*s\" is not constant",
                SLICE_ARG(folded));
        return NULL;
    }
    return change(old, folded, raw, e);
}

struct settings *settings_with_text(struct settings *old, struct slice name, struct slice text,
                                    bool escapes, struct err *e)
{
    char buffer[SQL_SETTING_NAME_MAX];
    struct slice folded;
    struct buf raw = { 0 };
    struct settings *s = NULL;
    if (!fold(name, buffer, &folded, e)) return NULL;
    if (text.len > SETTINGS_BYTES_MAX)
        err_set(e, ERR_TOO_LARGE, "value of setting \"%.*s\" is too long", SLICE_ARG(folded));
    else if (!sql_setting_write_value(&raw, folded, text, escapes))
        err_set(e, ERR_INVALID_VALUE, "invalid value for setting \"%.*s\"", SLICE_ARG(folded));
    else if (raw.failed)
        err_set(e, ERR_OUT_OF_MEMORY, "");
    else
        s = change(old, folded, buf_slice(&raw), e);
    buf_fini(&raw);
    return s;
}

struct settings *settings_without(struct settings *old, struct slice name, struct err *e)
{
    char buffer[SQL_SETTING_NAME_MAX];
    struct slice folded;
    if (!fold(name, buffer, &folded, e)) return NULL;
    return change(old, folded, slice_of(NULL, 0), e);
}

/* What a plain literal says; the quotes around it stand. */
static struct settings *with_literal(struct settings *old, struct slice name, struct slice literal,
                                     bool escapes, struct err *e)
{
    struct buf text = { 0 };
    if (literal.len < 2 || literal.at[0] != '\'' || !sql_setting_is_constant(literal)) {
        err_set(e, ERR_INVALID_VALUE, "value of a setting is not a plain literal");
        return NULL;
    }
    for (size_t i = 1; i + 1 < literal.len; i++) {
        buf_add_u8(&text, (uint8_t)literal.at[i]);
        if (literal.at[i] == '\'') i++; /* it is doubled */
    }
    struct settings *s = NULL;
    if (text.failed)
        err_set(e, ERR_OUT_OF_MEMORY, "");
    else
        s = settings_with_text(old, name, buf_slice(&text), escapes, e);
    buf_fini(&text);
    return s;
}

static struct settings *reset(struct settings *old, struct settings *startup, struct slice name,
                              struct err *e)
{
    char buffer[SQL_SETTING_NAME_MAX];
    struct slice folded;
    if (!fold(name, buffer, &folded, e)) return NULL;
    return change(old, folded, settings_get(startup, folded), e);
}

struct settings *settings_after(struct settings *old, struct settings *startup,
                                const struct sql_act *act, bool escapes, struct err *e)
{
    if (act->local) return settings_ref(old);
    switch ((enum sql_act_kind)act->kind) {
    case SQL_ACT_SET: return settings_with(old, act->name, act->value, e);
    case SQL_ACT_SET_CONFIG: return with_literal(old, act->name, act->value, escapes, e);
    case SQL_ACT_RESET: return reset(old, startup, act->name, e);
    case SQL_ACT_RESET_ALL: return settings_ref(startup);
    case SQL_ACT_DISCARD: return settings_ref(slice_is_nocase(act->name, "all") ? startup : old);
    default: return settings_ref(old);
    }
}

struct settings *settings_from_startup(struct settings_table *table,
                                       const struct settings_pair *pairs, size_t count,
                                       bool escapes, struct err *e)
{
    struct settings *s = settings_none(table);
    for (size_t i = 0; i < count && s; i++) {
        struct settings *next = settings_with_text(s, pairs[i].name, pairs[i].value, escapes, e);
        settings_unref(s);
        s = next;
    }
    return s;
}

/* ---- reading ------------------------------------------------------------------------------- */

struct slice settings_get(const struct settings *s, struct slice name)
{
    bool found;
    uint32_t at = find(s, name, &found);
    return found ? s->pairs[at].value : slice_of(NULL, 0);
}

uint32_t settings_count(const struct settings *s) { return s->count; }

struct settings_pair settings_at(const struct settings *s, uint32_t i) { return s->pairs[i]; }

/* How to get from one value to another; `at` NULL: not set. */
static void write_step(struct buf *out, struct slice name, struct slice from, struct slice to)
{
    if (!to.at) {
        if (from.at) sql_setting_write_reset(out, name);
    } else if (!from.at || !slice_eq(from, to)) {
        sql_setting_write_set(out, name, to);
    }
}

void settings_diff_sql(const struct settings *from, const struct settings *to, struct buf *out)
{
    if (from == to) return;
    /* The text of the others is in the new encoding. */
    const struct slice encoding = slice_str("client_encoding");
    write_step(out, encoding, settings_get(from, encoding), settings_get(to, encoding));

    for (uint32_t f = 0, t = 0; f < from->count || t < to->count;) {
        int order = f == from->count ? 1
                    : t == to->count ? -1
                                     : compare(from->pairs[f].name, to->pairs[t].name);
        struct slice old = { 0 }, new = { 0 }, name;
        if (order >= 0) new = to->pairs[t].value;
        if (order <= 0) old = from->pairs[f].value;
        name = order >= 0 ? to->pairs[t].name : from->pairs[f].name;
        t += order >= 0;
        f += order <= 0;
        if (!slice_eq(name, encoding)) write_step(out, name, old, new);
    }
}
