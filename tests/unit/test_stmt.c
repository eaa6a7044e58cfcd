/* stmt: the table, a client's book, a server's shelf; each by itself, then all of them under random
 * use beside a model that is nothing but arrays. */
#include "unit/unit.h"

#include "protocol/stmt.h"

#include <stdio.h>
#include <stdlib.h>

static const struct map_seed seed = { 1, 2 };

/* As in a Parse message: text, NUL, types. */
struct tail {
    char bytes[64];
    struct slice text, types;
};

static struct tail tail_of(const char *text, uint8_t n_types)
{
    struct tail t = { 0 };
    size_t len = strlen(text);
    memcpy(t.bytes, text, len + 1);
    t.bytes[len + 2] = (char)n_types;
    memset(t.bytes + len + 3, 7, 4u * n_types);
    t.text.len = len;
    t.types.len = 2 + 4u * n_types;
    return t;
}

static struct stmt *intern(struct stmt_table *table, const char *text, uint8_t n_types)
{
    struct tail t = tail_of(text, n_types);
    bool is_new;
    t.text.at = t.bytes;
    t.types.at = t.bytes + t.text.len + 1;
    struct stmt *s = stmt_intern(table, t.text, t.types, &is_new);
    assert_non_null(s);
    assert_int_equal(is_new, s->refs == 1);
    return s;
}

static void one_statement_for_the_same_text_and_types(void **state)
{
    (void)state;
    struct stmt_table table;
    char name[STMT_NAME_MAX];
    stmt_table_init(&table, seed);
    struct stmt *a = intern(&table, "select $1", 0), *b = intern(&table, "select $1", 0);
    struct stmt *c = intern(&table, "select $1", 1), *d = intern(&table, "select $2", 0);
    assert_ptr_equal(a, b);
    assert_true(a != c && a != d && c != d);
    assert_true(slice_is(a->text, "select $1") && a->refs == 2);
    assert_int_equal(a->tail.len, 12);
    assert_int_equal(c->tail.len, 16);
    assert_true(a->id != c->id && a->id != d->id && c->id != d->id);
    size_t len = stmt_name(a, name);
    assert_true(slice_starts(slice_of(name, len), "sluice_") && len < STMT_NAME_MAX);
    uint32_t last = d->id;
    stmt_unref(&table, a);
    stmt_unref(&table, b);
    stmt_unref(&table, c);
    stmt_unref(&table, d);
    assert_int_equal(table.by_tail.count, 0);
    /* An id is never used again: the name may still be known to some server. */
    a = intern(&table, "select $1", 0);
    assert_true(a->id > last);
    stmt_unref(&table, a);
    stmt_table_fini(&table);
}

static void the_longest_name_fits(void **state)
{
    (void)state;
    struct stmt s = { .id = UINT32_MAX };
    char name[STMT_NAME_MAX];
    assert_int_equal(stmt_name(&s, name), strlen("sluice_4294967295"));
    assert_string_equal(name, "sluice_4294967295");
}

static struct stmt_entry *enter(struct stmt_book *book, struct stmt_table *table, const char *name,
                                const char *text, uint32_t cap)
{
    struct stmt_entry *e =
        stmt_book_enter(book, table, slice_str(name), intern(table, text, 0), cap);
    assert_non_null(e);
    return e;
}

static void a_book_forgets_the_least_recently_used(void **state)
{
    (void)state;
    struct stmt_table table;
    stmt_table_init(&table, seed);
    struct stmt_book *book = stmt_book_new(seed);
    uint32_t serial = enter(book, &table, "a", "1", 3)->serial;
    enter(book, &table, "b", "2", 3);
    enter(book, &table, "c", "1", 3);
    assert_int_equal(table.by_tail.count, 2);
    assert_non_null(stmt_book_find(book, slice_str("a")));
    enter(book, &table, "d", "3", 3); /* b goes, for a was used */
    assert_null(stmt_book_find(book, slice_str("b")));
    assert_non_null(stmt_book_find(book, slice_str("a")));
    assert_int_equal(table.by_tail.count, 2);
    assert_ptr_equal(stmt_book_serial(book, serial), stmt_book_find(book, slice_str("a")));
    stmt_book_remove(book, &table, stmt_book_find(book, slice_str("a")));
    assert_null(stmt_book_serial(book, serial));
    /* The same name again is another entry. */
    assert_int_not_equal(enter(book, &table, "a", "1", 3)->serial, serial);
    assert_null(stmt_book_serial(book, serial));
    /* A cap of nothing still holds the one just entered. */
    enter(book, &table, "e", "9", 0);
    assert_int_equal(book->by_name.count, 1);
    stmt_book_free(book, &table);
    stmt_book_free(NULL, &table);
    assert_int_equal(table.by_tail.count, 0);
    stmt_table_fini(&table);
}

/* A name that is entered again stands for the new statement; nothing of the old one is left. */
static void a_name_entered_twice(void **state)
{
    (void)state;
    struct stmt_table table;
    stmt_table_init(&table, seed);
    struct stmt_book *book = stmt_book_new(seed);
    uint32_t serial = enter(book, &table, "a", "1", 9)->serial;
    struct stmt_entry *e = enter(book, &table, "a", "2", 9);
    assert_ptr_equal(stmt_book_find(book, slice_str("a")), e);
    assert_null(stmt_book_serial(book, serial));
    assert_int_equal(table.by_tail.count, 1);
    stmt_book_remove(book, &table, e);
    assert_null(stmt_book_find(book, slice_str("a")));
    stmt_book_free(book, &table);
    stmt_table_fini(&table);
}

static void a_shelf(void **state)
{
    (void)state;
    struct stmt_table table;
    struct stmt_shelf shelf;
    stmt_table_init(&table, seed);
    stmt_shelf_init(&shelf, seed);
    struct stmt *a = intern(&table, "a", 0), *b = intern(&table, "b", 0);
    assert_null(stmt_shelf_find(&shelf, a));
    assert_int_equal(stmt_shelf_add(&shelf, a)->place, STMT_SENT);
    struct stmt_copy *copy = stmt_shelf_add(&shelf, b);
    copy->place = STMT_THERE;
    assert_ptr_equal(stmt_shelf_id(&shelf, b->id), copy);
    assert_null(stmt_shelf_surplus(&shelf, 2));
    assert_ptr_equal(stmt_shelf_surplus(&shelf, 1)->stmt, a);
    assert_ptr_equal(stmt_shelf_find(&shelf, a)->stmt, a);
    assert_ptr_equal(stmt_shelf_surplus(&shelf, 1), copy);
    shelf.unnamed_serial = 5;
    /* What is under way comes after whatever swept the shelf. */
    stmt_shelf_doubt(&shelf);
    assert_int_equal(copy->place, STMT_DOUBTFUL);
    assert_int_equal(stmt_shelf_id(&shelf, a->id)->place, STMT_SENT);
    assert_int_equal(shelf.unnamed_serial, 0);
    stmt_unref(&table, a);
    stmt_unref(&table, b);
    assert_int_equal(table.by_tail.count, 2);
    stmt_shelf_clear(&shelf, &table);
    assert_int_equal(table.by_tail.count, 0);
    stmt_shelf_fini(&shelf, &table);
    stmt_shelf_fini(&(struct stmt_shelf){ 0 }, &table);
    stmt_table_fini(&table);
}

/* ---- beside a model ------------------------------------------------------------------------- */

enum { TEXTS = 12, NAMES = 8, BOOKS = 3, SHELVES = 3, STEPS = 200000, BOOK_CAP = 5, SHELF_CAP = 4 };

/* A list of small numbers, least recently used first. */
struct recent {
    int n, at[TEXTS];
};

static int recent_find(const struct recent *r, int what)
{
    for (int i = 0; i < r->n; i++)
        if (r->at[i] == what) return i;
    return -1;
}

static bool recent_remove(struct recent *r, int what)
{
    int i = recent_find(r, what);
    if (i < 0) return false;
    memmove(r->at + i, r->at + i + 1, sizeof r->at[0] * (size_t)(--r->n - i));
    return true;
}

static void recent_add(struct recent *r, int what) { r->at[r->n++] = what; }

struct model {
    struct recent names[BOOKS], texts[SHELVES];
    int text_of[BOOKS][NAMES];
    uint32_t serial_of[BOOKS][NAMES];
};

static uint32_t dice(uint64_t *random, uint32_t sides)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33) % sides;
}

static const char *digits(uint32_t n)
{
    static const char *const words[] = {
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"
    };
    return words[n];
}

static void step_book(struct model *m, struct stmt_table *table, struct stmt_book *book, uint32_t b,
                      uint64_t *random)
{
    uint32_t name = dice(random, NAMES), text = dice(random, TEXTS);
    struct recent *names = &m->names[b];
    struct stmt_entry *e = stmt_book_find(book, slice_str(digits(name)));
    bool known = recent_remove(names, (int)name);
    if (known) recent_add(names, (int)name);
    assert_int_equal(e != NULL, known);
    if (e) {
        assert_true(slice_is(e->stmt->text, digits((uint32_t)m->text_of[b][name])));
        assert_ptr_equal(stmt_book_serial(book, m->serial_of[b][name]), e);
    }
    if (e && dice(random, 2)) {
        stmt_book_remove(book, table, e);
        recent_remove(names, (int)name);
        assert_null(stmt_book_serial(book, m->serial_of[b][name]));
    } else if (dice(random, 300) == 0) {
        stmt_book_clear(book, table);
        names->n = 0;
    } else {
        uint32_t before = book->last_serial;
        recent_remove(names, (int)name);
        recent_add(names, (int)name);
        m->text_of[b][name] = (int)text;
        m->serial_of[b][name] = enter(book, table, digits(name), digits(text), BOOK_CAP)->serial;
        assert_int_equal(m->serial_of[b][name], before + 1);
        if (names->n > BOOK_CAP) recent_remove(names, names->at[0]);
    }
    assert_int_equal(book->by_name.count, names->n);
}

static void step_shelf(struct model *m, struct stmt_table *table, struct stmt_shelf *shelf,
                       uint32_t at, uint64_t *random)
{
    uint32_t text = dice(random, TEXTS);
    struct recent *texts = &m->texts[at];
    struct stmt *s = intern(table, digits(text), 0);
    struct stmt_copy *c = stmt_shelf_find(shelf, s);
    bool known = recent_remove(texts, (int)text);
    if (known) recent_add(texts, (int)text);
    assert_int_equal(c != NULL, known);
    if (!c) {
        assert_non_null(stmt_shelf_add(shelf, s));
        recent_add(texts, (int)text);
    } else if (dice(random, 3) == 0) {
        stmt_shelf_remove(shelf, table, c);
        recent_remove(texts, (int)text);
    }
    stmt_unref(table, s);
    while ((c = stmt_shelf_surplus(shelf, SHELF_CAP))) {
        assert_true(slice_is(c->stmt->text, digits((uint32_t)texts->at[0])));
        recent_remove(texts, texts->at[0]);
        stmt_shelf_remove(shelf, table, c);
    }
    if (dice(random, 300) == 0) {
        stmt_shelf_clear(shelf, table);
        texts->n = 0;
    }
    assert_int_equal(shelf->by_id.count, texts->n);
}

/* How many books and shelves hold each text: that many references, and no statement without. */
static void check_references(const struct model *m, struct stmt_table *table)
{
    uint32_t alive = 0;
    for (uint32_t text = 0; text < TEXTS; text++) {
        uint32_t refs = 0;
        for (int b = 0; b < BOOKS; b++)
            for (int i = 0; i < m->names[b].n; i++)
                refs += (uint32_t)m->text_of[b][m->names[b].at[i]] == text;
        for (int s = 0; s < SHELVES; s++) refs += recent_find(&m->texts[s], (int)text) >= 0;
        alive += refs > 0;
        struct stmt *s = intern(table, digits(text), 0);
        assert_int_equal(s->refs, refs + 1);
        stmt_unref(table, s);
    }
    assert_int_equal(table->by_tail.count, alive);
}

static void random_use(void **state)
{
    (void)state;
    struct model m = { 0 };
    struct stmt_table table;
    struct stmt_book *books[BOOKS];
    struct stmt_shelf shelves[SHELVES];
    uint64_t random = 20261121;
    stmt_table_init(&table, seed);
    for (int i = 0; i < BOOKS; i++) books[i] = stmt_book_new(seed);
    for (int i = 0; i < SHELVES; i++) stmt_shelf_init(&shelves[i], seed);
    for (int step = 0; step < STEPS; step++) {
        uint32_t which = dice(&random, BOOKS + SHELVES);
        if (which < BOOKS)
            step_book(&m, &table, books[which], which, &random);
        else
            step_shelf(&m, &table, &shelves[which - BOOKS], which - BOOKS, &random);
        if (step % 50 == 0) check_references(&m, &table);
    }
    for (int i = 0; i < BOOKS; i++) stmt_book_free(books[i], &table);
    for (int i = 0; i < SHELVES; i++) stmt_shelf_fini(&shelves[i], &table);
    assert_int_equal(table.by_tail.count, 0);
    stmt_table_fini(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_statement_for_the_same_text_and_types),
        cmocka_unit_test(the_longest_name_fits),
        cmocka_unit_test(a_book_forgets_the_least_recently_used),
        cmocka_unit_test(a_name_entered_twice),
        cmocka_unit_test(a_shelf),
        cmocka_unit_test(random_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
