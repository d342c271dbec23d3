/* Products of 16-bit integers for processors that add beside multiplying. A word holds two channels; of two words

       (a1 + b2) (a2 + b1) = a1 b1 + a2 b2 + a1 a2 + b1 b2,

   in both halves at once, a being of a tile and b weights. a1 a2 is the same for all outputs and is summed here, once for
   a piece; b1 b2 is the same for all tiles, and Python packs its sums. The sums begin with what both take off. So two
   words cost one instruction of two products, and two additions. Additions of integers use all four of AMD's units,
   products two of them: where every third word is multiplied as ever, all four are busy.

   Everything is exact: values are at most WINO_MOST and weights fill what that leaves of 16 bits (`packing.py`), so no
   addition of halves leaves them; sums are counted modulo 2^32, and what they end as lies within.
   Source: S. Winograd, "A new algorithm for inner product", IEEE Trans. Computers C-17, 1968. */
#ifndef NK_WINO_PAIRS_H
#define NK_WINO_PAIRS_H

#include "gemm_half.h"
#include "wino_plan.h"

/* Words of a tile that are multiplied in pairs, the first ones. Python packs by the same rule, and puts the weights of each
   pair and of one word from behind them next to each other, for memory is read best in one stream. */
NK_INLINE int paired_words(int words) { return (words + 1) / 3 * 2; }

typedef void nk_pairs(const int32_t *values, size_t stride, const int32_t *off, const int32_t *weights, int words,
                      int32_t *out, size_t pitch);

#if defined(NK_AVX512)

NK_INLINE vi vadd16(vi a, vi b) { return (vi)_mm512_add_epi16((__m512i)a, (__m512i)b); }

/* out[i] = minus the sum of all lanes of v[i]. */
NK_INLINE void minus_each(const __m256i v[NK_ROWS], int32_t out[NK_ROWS]) {
    __m256i s[4], u[2];
    NK_UNROLL for (int i = 0; i < 4; i++)
        s[i] = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2 * i], v[2 * i + 1]), _mm256_unpackhi_epi32(v[2 * i], v[2 * i + 1]));
    NK_UNROLL for (int i = 0; i < 2; i++)
        u[i] = _mm256_add_epi32(_mm256_unpacklo_epi64(s[2 * i], s[2 * i + 1]), _mm256_unpackhi_epi64(s[2 * i], s[2 * i + 1]));
    const __m256i low = _mm256_permute2x128_si256(u[0], u[1], 0x20), high = _mm256_permute2x128_si256(u[0], u[1], 0x31);
    _mm256_storeu_si256((__m256i *)out, _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_add_epi32(low, high)));
}

/* What the pairs of a position put into the sums of NK_ROWS tiles, negative. values: of that position. */
NK_INLINE void pairs_off(const int32_t *values, size_t stride, int words, int32_t off[NK_ROWS]) {
    const int paired = paired_words(words);
    __m256i sums[NK_ROWS];
    NK_UNROLL for (int i = 0; i < NK_ROWS; i++) sums[i] = _mm256_setzero_si256();
    for (int k = 0; k < paired; k += 8, values += 8) {
        const __mmask8 even = (__mmask8)(0x55 & (paired - k < 8 ? (1 << (paired - k)) - 1 : 0xff));
        NK_UNROLL for (int i = 0; i < NK_ROWS; i++) {
            const __m256i v = _mm256_loadu_si256((const __m256i *)(values + i * stride));
            sums[i] = _mm256_dpwssd_epi32(sums[i], v, _mm256_maskz_shuffle_epi32(even, v, 0xb1));
        }
    }
    minus_each(sums, off);
}

/* Add the products of two words. Sums take most registers, so the weights of the last of three vectors stay in memory. */
NK_INLINE void add_pair(vi c[NK_ROWS][NK_PANEL], const int32_t *values, size_t stride, const int32_t *weights,
                        const int rows, const int wide) {
    const int kept = wide < 3 ? wide : 2;
    vi b1[NK_PANEL], b2[NK_PANEL];
    NK_UNROLL for (int j = 0; j < wide; j++) {
        __builtin_prefetch((const char *)(weights + j * NK_LANES) + AHEAD);
        __builtin_prefetch((const char *)(weights + (wide + j) * NK_LANES) + AHEAD);
    }
    NK_UNROLL for (int j = 0; j < kept; j++) {
        b1[j] = *(const vi_any *)(weights + j * NK_LANES), b2[j] = *(const vi_any *)(weights + (wide + j) * NK_LANES);
        NK_KEEP(b1[j]);
        NK_KEEP(b2[j]);
    }
    NK_UNROLL for (int i = 0; i < rows; i++) {
        vi a1 = (vi){0} + values[i * stride], a2 = (vi){0} + values[i * stride + 1];
        const int32_t *last = weights + kept * NK_LANES;
        NK_KEEP(a1);
        NK_KEEP(a2);
        NK_UNKNOWN(last);
        NK_UNROLL for (int j = 0; j < kept; j++) c[i][j] = vdot16(c[i][j], vadd16(a1, b2[j]), vadd16(a2, b1[j]));
        NK_UNROLL for (int j = kept; j < wide; j++)
            c[i][j] = vdot16(c[i][j], vadd16(a1, *(const vi_any *)(last + wide * NK_LANES)), vadd16(a2, *(const vi_any *)last));
    }
}

/* Add those of one word. */
NK_INLINE void add_word(vi c[NK_ROWS][NK_PANEL], const int32_t *values, size_t stride, const int32_t *weights,
                        const int rows, const int wide) {
    vi b[NK_PANEL];
    NK_UNROLL for (int j = 0; j < wide; j++) {
        b[j] = *(const vi_any *)(weights + j * NK_LANES);
        __builtin_prefetch((const char *)(weights + j * NK_LANES) + AHEAD);
    }
    NK_UNROLL for (int i = 0; i < rows; i++) {
        vi a = (vi){0} + values[i * stride];
        NK_KEEP(a);
        NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] = vdot16(c[i][j], a, b[j]);
    }
}

/* As `product16`, of weights behind a row of what their pairs take off. */
NK_INLINE void product_pairs(const int32_t *values, size_t stride, const int32_t *off, const int32_t *weights, int words,
                             int32_t *out, size_t pitch, const int rows, const int wide) {
    const int paired = paired_words(words), step = wide * NK_LANES;
    vi c[NK_ROWS][NK_PANEL];
    NK_UNROLL for (int i = 0; i < rows; i++)
        NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] = *(const vi_any *)(weights + j * NK_LANES) + off[i];
    weights += step;
    const int32_t *last = values + paired;
    for (int k = 0; k < words / 3; k++, values += 2, last++, weights += 3 * step) {
        add_pair(c, values, stride, weights, rows, wide);
        add_word(c, last, stride, weights + 2 * step, rows, wide);
    }
    if (words % 3 == 1) add_word(c, last, stride, weights, rows, wide);
    if (words % 3 == 2) add_pair(c, values, stride, weights, rows, wide);
    NK_UNROLL for (int i = 0; i < rows; i++)
        NK_UNROLL for (int j = 0; j < wide; j++) *(vi_any *)(out + i * pitch + j * NK_LANES) = c[i][j];
}

#define PAIRED(rows, wide)                                                                                            \
    static __attribute__((noinline)) void paired_##rows##x##wide(const int32_t *values, size_t stride,                \
                                                                 const int32_t *off, const int32_t *weights,          \
                                                                 int words, int32_t *out, size_t pitch) {             \
        product_pairs(values, stride, off, weights, words, out, pitch, rows, wide);                                   \
    }
#define ALL_PAIRED(rows) PAIRED(rows, 2) PAIRED(rows, 3)

ALL_PAIRED(2)
ALL_PAIRED(4)
ALL_PAIRED(6)
ALL_PAIRED(8)
static nk_pairs *const PAIRS[][NK_PANEL - 1] = {
    {paired_2x2, paired_2x3}, {paired_4x2, paired_4x3}, {paired_6x2, paired_6x3}, {paired_8x2, paired_8x3}};

/* The products in pairs of up to 2 (rows + 1) rows by `count` vectors; NULL for one, where they save nothing. */
NK_INLINE nk_pairs *pairs_of(int rows, int count) { return count < 2 ? NULL : PAIRS[rows][count - 2]; }

#else

/* Python asks for no pairs here. */
NK_INLINE void pairs_off(const int32_t *values, size_t stride, int words, int32_t off[NK_ROWS]) {
    (void)values, (void)stride, (void)words, (void)off;
}

NK_INLINE nk_pairs *pairs_of(int rows, int count) { return (void)rows, (void)count, NULL; }

#endif
#endif
