/* regex: a rule's regular expression over a statement's normalised text, in bounded time.
 *
 * PCRE2 behind a wall of limits, without its JIT. Its own match limit starts anew at
 * every position of the text, so it bounds little; here each item of the pattern that
 * is tried, and each byte that is walked, is counted for the whole text (by PCRE2's
 * automatic callouts). What would need more steps, depth or memory than its budget is
 * no match, and says so, to be counted. Of a text, REGEX_TEXT_BYTES are looked at.
 * A compiled expression is immutable and may be shared by threads; the scratch it
 * runs on belongs to one thread.
 */
#ifndef SLUICE_ROUTING_REGEX_H
#define SLUICE_ROUTING_REGEX_H

#include "protocol/err.h"
#include "protocol/slice.h"

struct regex;
struct regex_scratch;

enum {
    REGEX_PATTERN_BYTES = 512, /* the longest expression accepted */
    REGEX_COMPILED_BYTES = 64 * 1024,
    REGEX_TEXT_BYTES = 4096, /* what of a statement's text is looked at */
    REGEX_STEPS = 2000000,   /* bytes walked, an item tried counting eight: some milliseconds */
    REGEX_DEPTH = 5000,
    REGEX_HEAP_KIB = 2048,
};

enum regex_result { REGEX_NO, REGEX_YES, REGEX_LIMIT };

/* Perl's syntax, but for what cannot be bounded: back references, and repeat counts of more than
 * two digits. Letters match either case, a dot matches line breaks, bytes are characters. NULL and
 * an error (with the place in the pattern) for what cannot be compiled, is too large, or runs over
 * its budget on texts made to provoke it. */
struct regex *regex_new(struct slice pattern, struct err *e);
void regex_free(struct regex *r);

/* NULL when memory ran out. */
struct regex_scratch *regex_scratch_new(void);
void regex_scratch_free(struct regex_scratch *s);

/* Allocates nothing once the scratch is warm. */
enum regex_result regex_run(const struct regex *r, struct regex_scratch *s, struct slice text);

#endif
