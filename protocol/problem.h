/* problem: what is wrong with a document that a person wrote, all of it at once.
 *
 * Whoever checks a document collects problems, each with its line, and prints them
 * sorted as `FILE:LINE: error|warning: text`. Line 0 is the document as a whole.
 * Texts may quote the document; printing escapes what a terminal would act on. After
 * 500 problems the rest is only counted.
 */
#ifndef SLUICE_PROTOCOL_PROBLEM_H
#define SLUICE_PROTOCOL_PROBLEM_H

#include "protocol/buf.h"

struct problem {
    uint32_t line;
    bool is_error; /* otherwise a warning */
    char *text;
};

/* Zero-initialised: none. */
struct problems {
    struct problem *items;
    size_t count, cap;
    size_t errors, warnings; /* all that were reported, kept or not */
};

void problem_error(struct problems *p, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void problem_warning(struct problems *p, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* By line; those of one line stay in the order they were reported. */
void problems_sort(struct problems *p);

/* Appends them as lines; `path` is the document's name. */
void problems_print(const struct problems *p, const char *path, struct buf *out);

void problems_fini(struct problems *p);

#endif
