/* admin_rows: what a SHOW command answers, from cells to messages.
 *
 *   workers:  rows_text, rows_number ... --> rows      one for each worker, on its thread
 *   console:  rows ... --rows_join--> DataRow messages
 *
 * A row is its cells in the order of admin.def, extra ones included; a cell is text, a
 * number is its digits. Writing ten thousand rows must not hold a loop up, so there is
 * no printf in here.
 * Pure: no I/O, no clock. Ownership: rows own their bytes. Thread: one at a time.
 */
#ifndef SLUICE_PROXY_OPS_ADMIN_ROWS_H
#define SLUICE_PROXY_OPS_ADMIN_ROWS_H

#include "protocol/map.h"
#include "proxy/ops/admin.h"

/* Zero-initialised: none. */
struct rows {
    struct buf cells; /* each: length (big endian, ~0 for NULL), bytes: as in DataRow */
};

void rows_fini(struct rows *r);

void rows_text(struct rows *r, struct slice value);
void rows_null(struct rows *r);
void rows_number(struct rows *r, uint64_t value);
/* "2026-11-21 05:41:31 UTC"; `unix_s` since 1970. */
void rows_time(struct rows *r, uint64_t unix_s);
/* "0x2a": what PgBouncer prints a pointer for. We print an id. */
void rows_handle(struct rows *r, uint64_t id);

/* The shape of an answer. */
struct rows_shape {
    enum admin_id id;
    bool extended;
    uint64_t binary; /* bit n: column n is wanted in binary */
    bool json;       /* rows as arrays of JSON, with commas between; rows_describe: likewise */
};

/* RowDescription. */
void rows_describe(const struct rows_shape *shape, struct buf *out);

/* All rows of all parts, merged as admin.def says, as DataRow messages; returns their number.
 * `finish` (may be NULL) may change the numbers of a merged row before it is written. */
typedef void rows_finish(uint64_t *numbers, size_t columns, void *context);
uint64_t rows_join(const struct rows_shape *shape, const struct rows *parts, size_t n_parts,
                   struct map_seed seed, rows_finish *finish, void *context, struct buf *out);

/* Digits of `value`; returns how many. */
enum { ROWS_DIGITS = 20 };
size_t rows_digits(uint64_t value, char out[ROWS_DIGITS]);

#endif
