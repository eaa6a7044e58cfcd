#include "routing/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

enum { ITEM_STEPS = 8 };

struct regex {
    pcre2_code *code;
};

struct regex_scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
    size_t steps, at; /* left to take; where the last one was */
};

/* Called before each item of the pattern that is tried. What a repeat walked shows as distance. */
static int on_item(pcre2_callout_block *block, void *arg)
{
    struct regex_scratch *s = arg;
    size_t to = block->current_position;
    size_t cost = ITEM_STEPS + (to > s->at ? to - s->at : s->at - to);
    s->at = to;
    if (cost > s->steps) return PCRE2_ERROR_CALLOUT;
    s->steps -= cost;
    return 0;
}

struct regex_scratch *regex_scratch_new(void)
{
    struct regex_scratch *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->data = pcre2_match_data_create(1, NULL);
    s->limits = pcre2_match_context_create(NULL);
    if (!s->data || !s->limits) {
        regex_scratch_free(s);
        return NULL;
    }
    pcre2_set_callout(s->limits, on_item, s);
    pcre2_set_match_limit(s->limits, REGEX_STEPS / ITEM_STEPS);
    pcre2_set_depth_limit(s->limits, REGEX_DEPTH);
    pcre2_set_heap_limit(s->limits, REGEX_HEAP_KIB);
    return s;
}

void regex_scratch_free(struct regex_scratch *s)
{
    if (!s) return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->limits);
    free(s);
}

enum regex_result regex_run(const struct regex *r, struct regex_scratch *s, struct slice text)
{
    size_t len = text.len < REGEX_TEXT_BYTES ? text.len : REGEX_TEXT_BYTES;
    s->steps = REGEX_STEPS;
    s->at = 0;
    int rc = pcre2_match(r->code, (PCRE2_SPTR)(text.at ? text.at : ""), len, 0, PCRE2_NO_JIT,
                         s->data, s->limits);
    if (rc >= 0) return REGEX_YES;
    return rc == PCRE2_ERROR_NOMATCH ? REGEX_NO : REGEX_LIMIT;
}

/* Runs the expression over texts that send a careless one into exponential time: each of its own
 * letters many times over, then the expression itself, so that no letter which it insists on is
 * missing, then something that it did not ask for. */
static bool is_within_budget(const struct regex *r, struct slice pattern)
{
    enum { PROBE_BYTES = 256 };
    char probe[PROBE_BYTES + REGEX_PATTERN_BYTES + 1];
    struct regex_scratch *s = regex_scratch_new();
    if (!s) return false;
    bool seen[256] = { false }, ok = true;
    seen['a'] = seen['0'] = seen[' '] = true; /* stand for \w, \d and \s */
    for (size_t i = 0; i < pattern.len; i++) seen[(unsigned char)pattern.at[i]] = true;
    memcpy(probe + PROBE_BYTES, pattern.at, pattern.len);
    probe[PROBE_BYTES + pattern.len] = '\x01';
    for (int c = 1; ok && c < 128; c++) {
        if (!seen[c]) continue;
        memset(probe, c, PROBE_BYTES);
        ok = regex_run(r, s, slice_of(probe, PROBE_BYTES + pattern.len + 1)) != REGEX_LIMIT;
    }
    /* And its own text repeated: finds `(ab|a|b)*` and its like. */
    for (size_t i = 0; i < PROBE_BYTES; i++) probe[i] = pattern.at[i % pattern.len];
    ok = ok && regex_run(r, s, slice_of(probe, PROBE_BYTES + pattern.len + 1)) != REGEX_LIMIT;
    regex_scratch_free(s);
    return ok;
}

/* A repeat of one character walks up to its count before it is seen by the budget. */
static bool has_long_repeat(struct slice pattern)
{
    size_t digits = 0;
    bool in_braces = false;
    for (size_t i = 0; i < pattern.len; i++) {
        char c = pattern.at[i];
        bool digit = c >= '0' && c <= '9';
        if (c == '{')
            in_braces = true;
        else if (!digit && c != ',')
            in_braces = false;
        digits = digit ? digits + 1 : 0;
        if (in_braces && digits > 2) return true;
    }
    return false;
}

struct regex *regex_new(struct slice pattern, struct err *e)
{
    if (pattern.len == 0 || pattern.len > REGEX_PATTERN_BYTES) {
        err_set(e, ERR_INVALID_VALUE, "a regular expression has from 1 to %d bytes",
                REGEX_PATTERN_BYTES);
        return NULL;
    }
    struct regex *r = calloc(1, sizeof *r);
    if (!r) {
        err_set(e, ERR_OUT_OF_MEMORY, "out of memory");
        return NULL;
    }
    int code;
    size_t at, size = 0;
    uint32_t references = 0;
    /* Bytes, not characters: a statement may be in any encoding. */
    uint32_t options = PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF |
                       PCRE2_AUTO_CALLOUT;
    r->code = pcre2_compile((PCRE2_SPTR)pattern.at, pattern.len, options, &code, &at, NULL);
    if (!r->code) {
        PCRE2_UCHAR8 why[120];
        pcre2_get_error_message(code, why, sizeof why);
        err_set(e, ERR_INVALID_VALUE, "at character %zu: %s", at + 1, (const char *)why);
    } else if (pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size) != 0 ||
               size > REGEX_COMPILED_BYTES) {
        err_set(e, ERR_INVALID_VALUE, "over budget: compiles to more than %d bytes",
                REGEX_COMPILED_BYTES);
    } else if (pcre2_pattern_info(r->code, PCRE2_INFO_BACKREFMAX, &references) != 0 ||
               references > 0) {
        err_set(e, ERR_INVALID_VALUE,
                "back references are not supported: their cost is not bounded");
    } else if (has_long_repeat(pattern)) {
        err_set(e, ERR_INVALID_VALUE, "a repeat count has at most two digits");
    } else if (!is_within_budget(r, pattern)) {
        err_set(
            e, ERR_INVALID_VALUE,
            "over budget: needs more than %d steps for a few hundred characters (nested repeats?)",
            REGEX_STEPS);
    } else {
        return r;
    }
    regex_free(r);
    return NULL;
}

void regex_free(struct regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    free(r);
}
