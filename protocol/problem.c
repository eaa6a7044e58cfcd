#include "protocol/problem.h"

#include <stdlib.h>

enum { KEPT_MAX = 500 };

static void report(struct problems *p, uint32_t line, bool is_error, const char *format,
                   va_list args)
{
    *(is_error ? &p->errors : &p->warnings) += 1;
    if (p->count == KEPT_MAX) return;
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 16;
        struct problem *items = realloc(p->items, cap * sizeof *items);
        if (!items) return; /* the counter remembers that there was one */
        p->items = items;
        p->cap = cap;
    }
    struct buf text = { 0 };
    buf_vaddf(&text, format, args);
    buf_add_u8(&text, '\0');
    if (text.failed) {
        buf_fini(&text);
        return;
    }
    p->items[p->count++] = (struct problem){ line, is_error, text.at };
}

void problem_error(struct problems *p, uint32_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(p, line, true, format, args);
    va_end(args);
}

void problem_warning(struct problems *p, uint32_t line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    report(p, line, false, format, args);
    va_end(args);
}

/* Insertion sort: stable, short lists, and documents are checked nearly in order. */
void problems_sort(struct problems *p)
{
    for (size_t i = 1; i < p->count; i++) {
        struct problem one = p->items[i];
        size_t at = i;
        for (; at > 0 && p->items[at - 1].line > one.line; at--) p->items[at] = p->items[at - 1];
        p->items[at] = one;
    }
}

static void print_clean(struct buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            buf_addf(out, "\\x%02x", c);
        else
            buf_add_u8(out, c);
    }
}

void problems_print(const struct problems *p, const char *path, struct buf *out)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *one = &p->items[i];
        print_clean(out, path);
        buf_addf(out, ":%u: %s: ", one->line, one->is_error ? "error" : "warning");
        print_clean(out, one->text);
        buf_add_u8(out, '\n');
    }
    size_t silent = p->errors + p->warnings - p->count;
    if (silent > 0) {
        print_clean(out, path);
        buf_addf(out, ":0: %s: and %zu more problems\n", p->errors ? "error" : "warning", silent);
    }
}

void problems_fini(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) free(p->items[i].text);
    free(p->items);
    *p = (struct problems){ 0 };
}
