#include "protocol/sql_block.h"

#if defined(__x86_64__)

#include <immintrin.h>

/* The sets of bytes that are not for us, by high and low half of the byte: a byte is in one of them
 * when both rows have its bit. (Those from 0x80 on are found by their sign.)
 *      1: NUL   2: " $ - /   4: ;   8: A to O, a to o   16: P to Z, _   32: p to z */
#define HIGH_HALF 1, 0, 2, 4, 8, 16, 8, 32, 0, 0, 0, 0, 0, 0, 0, 0
#define LOW_HALF  49, 56, 58, 56, 58, 56, 56, 56, 56, 56, 56, 12, 8, 10, 8, 26

#define WIDE      __attribute__((target("avx2,pclmul")))

WIDE static uint64_t signs(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high)
                                                     << 32;
}

/* The sign of each byte that is not for us, outside of literals. */
WIDE static __m256i stops(__m256i bytes)
{
    const __m256i high_half = _mm256_setr_epi8(HIGH_HALF, HIGH_HALF);
    const __m256i low_half = _mm256_setr_epi8(LOW_HALF, LOW_HALF);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
    const __m256i sets = _mm256_and_si256(_mm256_shuffle_epi8(high_half, high),
                                          _mm256_shuffle_epi8(low_half, bytes));
    return _mm256_or_si256(bytes, _mm256_sub_epi8(_mm256_setzero_si256(), sets));
}

WIDE static uint64_t equals(__m256i low, __m256i high, char c)
{
    const __m256i all = _mm256_set1_epi8(c);
    return signs(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all));
}

WIDE static bool has(__m256i low, __m256i high, char c)
{
    const __m256i all = _mm256_set1_epi8(c);
    const __m256i any = _mm256_or_si256(_mm256_cmpeq_epi8(low, all), _mm256_cmpeq_epi8(high, all));
    return !_mm256_testz_si256(any, any);
}

/* Each bit becomes the sum of it and all below: set from an opening quote to before its closing
 * one. A doubled quote closes and opens, with nothing between. */
WIDE static uint64_t sums(uint64_t bits)
{
    return (uint64_t)_mm_cvtsi128_si64(
        _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)bits), _mm_set1_epi8((char)0xff), 0));
}

WIDE static size_t pass(const char *text, size_t len, bool *in_literal)
{
    size_t at = 0;
    bool filled = false;
    uint64_t inside = 0; /* all ones: the block before has ended in a literal */
    for (; len - at >= SQL_BLOCK_BYTES; at += SQL_BLOCK_BYTES) {
        const __m256i low = _mm256_loadu_si256((const __m256i_u *)(text + at));
        const __m256i high = _mm256_loadu_si256((const __m256i_u *)(text + at + 32));
        const uint64_t quotes = equals(low, high, '\'');
        /* A literal that fills two blocks is a long one: memchr is faster still. */
        const bool fills = inside && quotes == 0;
        if (fills && filled) break;
        filled = fills;
        const uint64_t literal = sums(quotes) ^ inside;
        uint64_t stop = signs(stops(low), stops(high)) & ~literal;
        if (has(low, high, '\\')) stop |= equals(low, high, '\\') & literal;
        if (stop) {
            const unsigned n = (unsigned)__builtin_ctzll(stop);
            *in_literal = literal >> n & 1;
            return at + n;
        }
        inside = literal >> 63 ? UINT64_MAX : 0;
    }
    *in_literal = inside != 0;
    return at;
}

static bool is_wide(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul");
}

size_t sql_block_pass(struct slice text, bool *in_literal)
{
    *in_literal = false;
    return text.len >= SQL_BLOCK_BYTES && is_wide() ? pass(text.at, text.len, in_literal) : 0;
}

#else

size_t sql_block_pass(struct slice text, bool *in_literal)
{
    (void)text;
    *in_literal = false;
    return 0;
}

#endif
