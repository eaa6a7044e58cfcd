#include "proxy/ops/admin_rows.h"

#include "protocol/backend.h"
#include "protocol/json.h"
#include "protocol/wire.h"

#include <stdlib.h>

enum { CELL_NULL = 0xffffffff };

void rows_fini(struct rows *r) { buf_fini(&r->cells); }

/* ---- cells ---------------------------------------------------------------------------------- */

void rows_text(struct rows *r, struct slice value)
{
    if (!value.at) value.at = "";
    backend_row_text(&r->cells, value);
}

void rows_null(struct rows *r) { backend_row_text(&r->cells, (struct slice){ 0 }); }

size_t rows_digits(uint64_t value, char out[ROWS_DIGITS])
{
    char reversed[ROWS_DIGITS];
    size_t n = 0;
    do reversed[n++] = (char)('0' + value % 10);
    while (value /= 10);
    for (size_t i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
    return n;
}

void rows_number(struct rows *r, uint64_t value)
{
    char digits[ROWS_DIGITS];
    size_t n = rows_digits(value, digits);
    backend_row_text(&r->cells, slice_of(digits, n));
}

static char *two(char *at, unsigned value)
{
    *at++ = (char)('0' + value / 10 % 10);
    *at++ = (char)('0' + value % 10);
    return at;
}

/* Days since 1970 to a date of the Gregorian calendar (H. Hinnant, "chrono-compatible low-level
 * date algorithms", civil_from_days). */
static void date_of(uint64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    days += 719468; /* from 0000-03-01 */
    uint64_t era = days / 146097, of_era = days % 146097;
    uint64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    uint64_t march = (5 * of_year + 2) / 153;
    *day = (unsigned)(of_year - (153 * march + 2) / 5 + 1);
    *month = (unsigned)(march < 10 ? march + 3 : march - 9);
    *year = (unsigned)(years + era * 400 + (*month <= 2));
}

void rows_time(struct rows *r, uint64_t unix_s)
{
    char text[] = "0000-00-00 00:00:00 UTC";
    unsigned year, month, day, second = (unsigned)(unix_s % 86400);
    date_of(unix_s / 86400, &year, &month, &day);
    char *at = two(two(text, year / 100), year % 100) + 1;
    at = two(two(at, month) + 1, day) + 1;
    two(two(two(at, second / 3600) + 1, second / 60 % 60) + 1, second % 60);
    backend_row_text(&r->cells, slice_of(text, sizeof text - 1));
}

void rows_handle(struct rows *r, uint64_t id)
{
    char text[18], reversed[16];
    size_t n = 0, len = 2;
    do reversed[n++] = "0123456789abcdef"[id % 16];
    while (id /= 16);
    memcpy(text, "0x", 2);
    while (n) text[len++] = reversed[--n];
    backend_row_text(&r->cells, slice_of(text, len));
}

/* ---- description ---------------------------------------------------------------------------- */

void rows_describe(const struct rows_shape *shape, struct buf *out)
{
    /* pg_type: text, int4, int8, numeric */
    static const struct {
        uint32_t oid;
        uint16_t bytes;
    } types[] = { { 25, 0xffff }, { 23, 4 }, { 20, 8 }, { 1700, 0xffff } };
    size_t n;
    const struct admin_column *c = admin_columns(shape->id, shape->extended, &n);
    struct backend_column described[ADMIN_COLUMNS_MAX];
    for (size_t i = 0; shape->json && i < n; i++) {
        buf_add_u8(out, i ? ',' : '[');
        json_quote(out, slice_str(c[i].name));
    }
    if (shape->json) {
        buf_add_u8(out, ']');
        return;
    }
    for (size_t i = 0; i < n; i++)
        described[i] = (struct backend_column){ c[i].name, types[c[i].type].oid,
                                                types[c[i].type].bytes, shape->binary >> i & 1 };
    backend_row_description(out, described, n);
}

/* ---- merging -------------------------------------------------------------------------------- */

struct cell {
    struct slice text; /* into the part's bytes; at == NULL: NULL */
    uint64_t number;
};

struct merged {
    struct merged *next;
    struct cell cells[ADMIN_COLUMNS_MAX];
    struct buf key;
};

static uint64_t number_of(struct slice text)
{
    uint64_t n = 0;
    for (size_t i = 0; i < text.len; i++) n = n * 10 + (uint64_t)(text.at[i] - '0');
    return n;
}

/* The next row's cells; false at the end. */
static bool read_row(struct wire *in, const struct admin_column *c, size_t all, struct cell *cells)
{
    if (wire_left(in) == 0) return false;
    for (size_t i = 0; i < all; i++) {
        uint32_t len = wire_u32(in);
        cells[i] = (struct cell){ 0 };
        if (len == CELL_NULL) continue;
        cells[i].text = wire_bytes(in, len);
        if (c[i].type != ADMIN_TEXT) cells[i].number = number_of(cells[i].text);
    }
    return !in->bad;
}

static void merge(const struct admin_column *c, size_t all, struct cell *into,
                  const struct cell *from)
{
    bool larger = false, equal = false;
    for (size_t i = 0; i < all; i++) {
        switch (c[i].merge) {
        case MERGE_ANY:
        case MERGE_KEY: break;
        case MERGE_SUM: into[i].number += from[i].number; break;
        case MERGE_MAX:
            larger = from[i].number > into[i].number;
            equal = from[i].number == into[i].number;
            if (larger) into[i].number = from[i].number;
            break;
        case MERGE_WITH:
            if (larger || (equal && from[i].number > into[i].number))
                into[i].number = from[i].number;
            break;
        }
    }
}

static void key_of(const struct admin_column *c, size_t count, const struct cell *cells,
                   struct buf *key)
{
    for (size_t i = 0; i < count; i++) {
        if (c[i].merge != MERGE_KEY) continue;
        buf_add_u32(key, (uint32_t)cells[i].text.len);
        buf_add_slice(key, cells[i].text);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

/* numeric's binary form: digits of base 10000, the most significant first.
 * (PostgreSQL, src/backend/utils/adt/numeric.c, numeric_send) */
static void write_numeric(struct buf *out, uint64_t value)
{
    uint16_t digits[5];
    uint16_t n = 0;
    for (; value; value /= 10000) digits[n++] = (uint16_t)(value % 10000);
    buf_add_u32(out, 8 + 2u * n);
    buf_add_u16(out, n);
    buf_add_u16(out, n ? (uint16_t)(n - 1) : 0); /* weight of the first digit */
    buf_add_u16(out, 0);                         /* positive */
    buf_add_u16(out, 0);                         /* no decimals */
    while (n) buf_add_u16(out, digits[--n]);
}

static void write_number(struct buf *out, enum admin_type type, uint64_t value, bool binary)
{
    char digits[ROWS_DIGITS];
    if (!binary) {
        size_t n = rows_digits(value, digits);
        backend_row_text(out, slice_of(digits, n));
        return;
    }
    switch (type) {
    case ADMIN_INT:
        buf_add_u32(out, 4);
        buf_add_u32(out, (uint32_t)value);
        break;
    case ADMIN_BIGINT:
        buf_add_u32(out, 8);
        buf_add_u32(out, (uint32_t)(value >> 32));
        buf_add_u32(out, (uint32_t)value);
        break;
    default: write_numeric(out, value);
    }
}

/* Numbers are exact in JSON up to 2^53; ours stay below. */
static void write_json(const struct admin_column *c, size_t n, const struct cell *cells,
                       struct buf *out)
{
    char digits[ROWS_DIGITS];
    for (size_t i = 0; i < n; i++) {
        buf_add_u8(out, i ? ',' : '[');
        if (!cells[i].text.at)
            buf_add_str(out, "null");
        else if (c[i].type == ADMIN_TEXT)
            json_quote(out, cells[i].text);
        else
            buf_add(out, digits, rows_digits(cells[i].number, digits));
    }
    buf_add_u8(out, ']');
}

static void write_row(const struct rows_shape *shape, const struct admin_column *c, size_t n,
                      const struct cell *cells, struct buf *out)
{
    uint32_t begun;
    if (shape->json) {
        if (out->len && out->at[out->len - 1] == ']') buf_add_u8(out, ',');
        write_json(c, n, cells, out);
        return;
    }
    backend_row_begin(out, n, &begun);
    for (size_t i = 0; i < n; i++) {
        if (!cells[i].text.at || c[i].type == ADMIN_TEXT)
            backend_row_text(out, cells[i].text);
        else
            write_number(out, c[i].type, cells[i].number, shape->binary >> i & 1);
    }
    backend_row_end(out, begun);
}

/* ---- joining -------------------------------------------------------------------------------- */

struct joining {
    const struct rows_shape *shape;
    const struct admin_column *columns;
    size_t count, all;
    struct map by_key;
    struct merged *first, **last;
};

static bool is_merged(const struct joining *j)
{
    for (size_t i = 0; i < j->count; i++)
        if (j->columns[i].merge == MERGE_KEY) return true;
    return false;
}

static bool add_merged(struct joining *j, const struct cell *cells)
{
    struct merged *m = calloc(1, sizeof *m);
    if (!m) return false;
    key_of(j->columns, j->count, cells, &m->key);
    struct merged *known = m->key.failed ? NULL : map_get(&j->by_key, buf_slice(&m->key));
    if (known) {
        merge(j->columns, j->all, known->cells, cells);
    } else if (!m->key.failed && map_put(&j->by_key, buf_slice(&m->key), m)) {
        memcpy(m->cells, cells, j->all * sizeof *cells);
        *j->last = m;
        j->last = &m->next;
        return true;
    }
    buf_fini(&m->key);
    free(m);
    return known != NULL;
}

static void finish_row(const struct joining *j, struct cell *cells, rows_finish *finish,
                       void *context)
{
    uint64_t numbers[ADMIN_COLUMNS_MAX];
    for (size_t i = 0; i < j->all; i++) numbers[i] = cells[i].number;
    finish(numbers, j->all, context);
    for (size_t i = 0; i < j->all; i++) cells[i].number = numbers[i];
}

static uint64_t write_merged(struct joining *j, rows_finish *finish, void *context, struct buf *out)
{
    uint64_t written = 0;
    for (struct merged *m = j->first, *next; m; m = next) {
        next = m->next;
        if (finish) finish_row(j, m->cells, finish, context);
        write_row(j->shape, j->columns, j->count, m->cells, out);
        written++;
        buf_fini(&m->key);
        free(m);
    }
    map_fini(&j->by_key);
    return written;
}

uint64_t rows_join(const struct rows_shape *shape, const struct rows *parts, size_t n_parts,
                   struct map_seed seed, rows_finish *finish, void *context, struct buf *out)
{
    struct joining j = { .shape = shape };
    struct cell cells[ADMIN_COLUMNS_MAX] = { 0 };
    uint64_t written = 0;
    j.columns = admin_columns(shape->id, true, &j.all);
    admin_columns(shape->id, shape->extended, &j.count);
    j.last = &j.first;
    map_init(&j.by_key, seed);
    bool merges = is_merged(&j);
    for (size_t i = 0; i < n_parts; i++) {
        struct wire in = wire_of(buf_slice(&parts[i].cells));
        if (parts[i].cells.failed) out->failed = true;
        while (read_row(&in, j.columns, j.all, cells)) {
            if (merges) {
                if (!add_merged(&j, cells)) out->failed = true;
                continue;
            }
            if (finish) finish_row(&j, cells, finish, context);
            write_row(shape, j.columns, j.count, cells, out);
            written++;
        }
    }
    return written + write_merged(&j, finish, context, out);
}
