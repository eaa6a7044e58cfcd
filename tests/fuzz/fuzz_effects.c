/* fuzz_effects: sql_effects and sql_skim on anything, whole and cut. */
#include "protocol/sql_effects.h"
#include "protocol/sql_setting.h"
#include "protocol/sql_skim.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

static bool is_inside(struct slice inner, const char *at, size_t len)
{
    if (inner.len == 0) return true;
    return inner.at >= at && inner.len <= len && (size_t)(inner.at - at) <= len - inner.len;
}

/* Alone in memory, so that a byte too many is seen. */
static void feed(struct sql_skim *k, const char *at, size_t len)
{
    char *alone = malloc(len + 1);
    memcpy(alone, at, len);
    sql_skim_feed(k, slice_of(alone, len));
    free(alone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) return 0;
    size_t step = 1 + data[0] % 16, len = size - 2;
    char *text = malloc(len);
    memcpy(text, data + 2, len);
    size_t head = data[1] * len / 255;

    struct sql_effects whole, begun;
    sql_effects(slice_of(text, len), false, &whole);
    sql_effects(slice_of(text, head), true, &begun);
    for (uint32_t i = 0; i < whole.act_count; i++) {
        const struct sql_act *a = &whole.acts[i];
        require(a->statement < whole.statements);
        /* a constant of ours, or part of the text */
        if (a->kind != SQL_ACT_SET && a->kind != SQL_ACT_RESET)
            require(is_inside(a->name, text, len));
        if (a->kind != SQL_ACT_SET) require(is_inside(a->value, text, len));
        if (a->kind == SQL_ACT_SET) require(sql_setting_is_constant(a->value));
    }

    struct sql_skim once, cut;
    sql_skim_begin(&once, slice_of(text, head));
    cut = once;
    feed(&once, text + head, len - head);
    for (size_t at = head; at < len; at += step)
        feed(&cut, text + at, len - at < step ? len - at : step);
    uint32_t rest = sql_skim_end(&once);
    require(rest == sql_skim_end(&cut));
    uint32_t together = begun.effects | rest;
    require(together & SQL_EFFECT_UNREAD || (whole.effects & ~together) == 0);
    free(text);
    return 0;
}
