/* fuzz_glob: pattern and text, cut at the first byte 0xff, against the plainest matcher there is;
 * and what covers a pattern matches what it matches. */
#include "routing/match.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds) abort();
}

enum { LONGEST = 200 };

/* All pairs of ends, by the definition: quadratic, and too simple to be wrong. */
static bool matches(struct slice p, struct slice t)
{
    static bool table[LONGEST + 1][LONGEST + 1];
    for (size_t i = 0; i <= p.len; i++)
        for (size_t j = 0; j <= t.len; j++) {
            if (i == 0)
                table[i][j] = j == 0;
            else if (p.at[i - 1] == '*')
                table[i][j] = table[i - 1][j] || (j && table[i][j - 1]);
            else
                table[i][j] = j && p.at[i - 1] == t.at[j - 1] && table[i - 1][j - 1];
        }
    return table[p.len][t.len];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
    if (!cut) return 0;
    struct slice pattern = slice_of(data, (size_t)(cut - data));
    struct slice text = slice_of(cut + 1, size - pattern.len - 1);
    if (pattern.len > LONGEST || text.len > LONGEST) {
        glob_matches(pattern, text);
        return 0;
    }
    bool expected = matches(pattern, text);
    require(glob_matches(pattern, text) == expected);
    require(glob_head_bytes(pattern) <= pattern.len && glob_tail_bytes(pattern) <= pattern.len);
    /* The text read as a pattern: whatever it matches, what covers it must match. One such is the
     * text with its stars left out. */
    if (!glob_covers(pattern, text)) return 0;
    char bare[LONGEST];
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != '*') bare[n++] = text.at[i];
    require(glob_matches(pattern, slice_of(bare, n)));
    return 0;
}
