/* Maps of 16-bit integers between convolutions with 16-bit products, and Winograd's transform of them in 16 bits: twice as
   many channels in a vector as of floats, and half the memory.

   A value is counted in units of its channel, such that twice the calibrated maximum can be stored and, of what the
   transform down makes of a tile, and the one across, twice the maximum fits as well (`narrow.py`). The second divides by
   4. Beyond that sums stay at the ends of 16 bits, and what comes out within WINO_MOST. Factors are a 2^15th part short,
   so that what lies between two integers goes to the nearer to 0: half of all would go up, and add up over channels. */
#ifndef NK_NARROW_H
#define NK_NARROW_H

#include "wino_plan.h"

/* Twice NK_LANES of them, or `vh`: NK_LANES. */
typedef int16_t vw __attribute__((vector_size(4 * NK_LANES)));
typedef int16_t vw_any __attribute__((vector_size(4 * NK_LANES), aligned(2), may_alias));

/* Sums and differences that stay at the ends of 16 bits, bounds, and x * by / 2^15, rounded. */
#if defined(NK_AVX512)
NK_INLINE vw vw_add(vw x, vw y) { return (vw)_mm512_adds_epi16((__m512i)x, (__m512i)y); }
NK_INLINE vw vw_sub(vw x, vw y) { return (vw)_mm512_subs_epi16((__m512i)x, (__m512i)y); }
NK_INLINE vh vh_add(vh x, vh y) { return (vh)_mm256_adds_epi16((__m256i)x, (__m256i)y); }
NK_INLINE vh vh_sub(vh x, vh y) { return (vh)_mm256_subs_epi16((__m256i)x, (__m256i)y); }
NK_INLINE vw vw_most(vw x, vw most) { return (vw)_mm512_min_epi16((__m512i)x, (__m512i)most); }
NK_INLINE vw vw_least(vw x, vw least) { return (vw)_mm512_max_epi16((__m512i)x, (__m512i)least); }
NK_INLINE vh vh_most(vh x, vh most) { return (vh)_mm256_min_epi16((__m256i)x, (__m256i)most); }
NK_INLINE vh vh_least(vh x, vh least) { return (vh)_mm256_max_epi16((__m256i)x, (__m256i)least); }
NK_INLINE vw vw_part(vw x, int16_t by) { return (vw)_mm512_mulhrs_epi16((__m512i)x, _mm512_set1_epi16(by)); }
NK_INLINE vh vh_part(vh x, int16_t by) { return (vh)_mm256_mulhrs_epi16((__m256i)x, _mm256_set1_epi16(by)); }
#elif defined(NK_AVX2)
NK_INLINE vw vw_add(vw x, vw y) { return (vw)_mm256_adds_epi16((__m256i)x, (__m256i)y); }
NK_INLINE vw vw_sub(vw x, vw y) { return (vw)_mm256_subs_epi16((__m256i)x, (__m256i)y); }
NK_INLINE vh vh_add(vh x, vh y) { return (vh)_mm_adds_epi16((__m128i)x, (__m128i)y); }
NK_INLINE vh vh_sub(vh x, vh y) { return (vh)_mm_subs_epi16((__m128i)x, (__m128i)y); }
NK_INLINE vw vw_most(vw x, vw most) { return (vw)_mm256_min_epi16((__m256i)x, (__m256i)most); }
NK_INLINE vw vw_least(vw x, vw least) { return (vw)_mm256_max_epi16((__m256i)x, (__m256i)least); }
NK_INLINE vh vh_most(vh x, vh most) { return (vh)_mm_min_epi16((__m128i)x, (__m128i)most); }
NK_INLINE vh vh_least(vh x, vh least) { return (vh)_mm_max_epi16((__m128i)x, (__m128i)least); }
NK_INLINE vw vw_part(vw x, int16_t by) { return (vw)_mm256_mulhrs_epi16((__m256i)x, _mm256_set1_epi16(by)); }
NK_INLINE vh vh_part(vh x, int16_t by) { return (vh)_mm_mulhrs_epi16((__m128i)x, _mm_set1_epi16(by)); }
#else
typedef int32_t vw_wide __attribute__((vector_size(8 * NK_LANES)));
#define WITHIN(type, wide, x)                                                                                          \
    const wide most = (x) - (x) + INT16_MAX, over = (x) > most, under = (x) < -most - 1;                               \
    return __builtin_convertvector(((x) & ~over & ~under) | (most & over) | ((-most - 1) & under), type)
#define WIDE_SUM(name, type, wide, operation)                                                                          \
    NK_INLINE type name(type x, type y) {                                                                              \
        const wide sum = __builtin_convertvector(x, wide) operation __builtin_convertvector(y, wide);                  \
        WITHIN(type, wide, sum);                                                                                       \
    }
WIDE_SUM(vw_add, vw, vw_wide, +)
WIDE_SUM(vw_sub, vw, vw_wide, -)
WIDE_SUM(vh_add, vh, vi, +)
WIDE_SUM(vh_sub, vh, vi, -)
NK_INLINE vw vw_most(vw x, vw most) { return (x & (x < most)) | (most & ~(x < most)); }
NK_INLINE vw vw_least(vw x, vw least) { return (x & (x > least)) | (least & ~(x > least)); }
NK_INLINE vh vh_most(vh x, vh most) { return (x & (x < most)) | (most & ~(x < most)); }
NK_INLINE vh vh_least(vh x, vh least) { return (x & (x > least)) | (least & ~(x > least)); }
NK_INLINE vw vw_part(vw x, int16_t by) {
    return __builtin_convertvector((__builtin_convertvector(x, vw_wide) * by + (1 << 14)) >> 15, vw);
}
NK_INLINE vh vh_part(vh x, int16_t by) {
    return __builtin_convertvector((__builtin_convertvector(x, vi) * by + (1 << 14)) >> 15, vh);
}
#endif

/* The first n lanes, the others 0. */
NK_INLINE vw vw_load(const int16_t *p, int n) {
    if (n >= 2 * NK_LANES) return *(const vw_any *)p;
#if defined(NK_AVX512)
    return (vw)_mm512_maskz_loadu_epi16((1u << n) - 1, p);
#else
    vw v = {0};
    memcpy(&v, p, sizeof(int16_t) * (size_t)n);
    return v;
#endif
}
NK_INLINE vh vh_load(const int16_t *p, int n) {
    if (n >= NK_LANES) return *(const vh_any *)p;
#if defined(NK_AVX512)
    return (vh)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), p);
#else
    vh v = {0};
    memcpy(&v, p, sizeof(int16_t) * (size_t)n);
    return v;
#endif
}

/* What emulates these operations is long, and compiled once. */
#if defined(NK_AVX512) || defined(NK_AVX2)
#define NARROW_TRANSFORM NK_INLINE void
#else
#define NARROW_TRANSFORM static __attribute__((noinline)) void
#endif

/* Winograd's transform (`winograd.h`) divided by 2^shift, and that of a tile of 8 x 8 pixels, of vectors of type `type`. */
#define NARROW(type)                                                                                                   \
    NK_INLINE type type##_once(type x, int by) {                                                                       \
        if (by == 1 << 15) return x;                                                                                   \
        if (by < 1 << 15) return type##_part(x, (int16_t)(by - 1));                                                    \
        return type##_add(x, type##_part(x, (int16_t)(by - (1 << 15) - 1)));                                           \
    }                                                                                                                  \
    NK_INLINE type type##_times(type x, int by) {                                                                      \
        if (by < 1 << 16) return type##_once(x, by);                                                                   \
        const type twice = type##_add(x, x);                                                                           \
        if (by < 1 << 17) return by == 1 << 16 ? twice : type##_add(twice, type##_once(x, by - (1 << 16)));            \
        const type four = type##_add(twice, twice);                                                                    \
        return by == 1 << 17 ? four : type##_add(four, type##_once(x, by - (1 << 17)));                                \
    }                                                                                                                  \
    NARROW_TRANSFORM type##_transform(const type d[POINTS], type o[POINTS], const int shift) {                         \
        const int one = (1 << 15) >> shift;                                                                            \
        const type far2 = type##_sub(d[2], d[4]), far6 = type##_sub(d[6], d[4]);                                       \
        const type far1 = type##_sub(d[1], d[3]), far5 = type##_sub(d[5], d[3]);                                       \
        const type six = type##_times(far6, one);                                                                      \
        type a = type##_sub(type##_times(type##_add(far2, far6), one), type##_times(d[4], one * 9 / 4));               \
        type b = type##_sub(type##_times(type##_add(far1, far5), one), type##_times(d[3], one * 9 / 4));               \
        o[0] = type##_sub(type##_times(type##_sub(d[0], d[6]), one), type##_times(far2, one * 21 / 4));                \
        o[1] = type##_add(a, b), o[2] = type##_sub(a, b);                                                              \
        a = type##_add(six, type##_times(far2, one / 4));                                                              \
        b = type##_add(type##_times(far1, one / 2), type##_times(far5, one * 2));                                      \
        o[3] = type##_add(a, b), o[4] = type##_sub(a, b);                                                              \
        a = type##_add(six, type##_times(far2, one * 4));                                                              \
        b = type##_add(type##_times(far1, one * 2), type##_times(far5, one / 2));                                      \
        o[5] = type##_add(a, b), o[6] = type##_sub(a, b);                                                              \
        o[7] = type##_sub(type##_times(type##_sub(d[7], d[1]), one), type##_times(far5, one * 21 / 4));                \
    }                                                                                                                  \
    static __attribute__((noinline)) void type##_tile(const nk_op *op, const int16_t *const *rows, size_t step,        \
                                                      size_t behind, int x0, int n, int16_t *to, size_t value_step) {  \
        const type most = (type){0} + (int16_t)WINO_MOST;                                                           \
        type grid[POINTS][POINTS], line[POINTS], turned[POINTS];                                                       \
        int inside = x0 >= 0 && x0 + POINTS <= op->width;                                                              \
        for (int r = 0; r < POINTS; r++) inside &= rows[r] != NULL;                                                    \
        for (int c = 0; c < POINTS; c++) {                                                                             \
            const int x = x0 + c;                                                                                      \
            const ptrdiff_t at = (ptrdiff_t)x * (ptrdiff_t)step;                                                       \
            if (inside) {                                                                                              \
                NK_UNROLL for (int r = 0; r < POINTS; r++) line[r] = type##_load(rows[r] + at, n);                     \
                if (c >= 2) NK_UNROLL for (int r = 0; r < POINTS; r++) __builtin_prefetch(rows[r] + at + behind, 0, 2);\
            } else {                                                                                                   \
                NK_UNROLL for (int r = 0; r < POINTS; r++)                                                             \
                    line[r] = rows[r] && x >= 0 && x < op->width ? type##_load(rows[r] + at, n) : (type){0};           \
            }                                                                                                          \
            type##_transform(line, turned, 0);                                                                         \
            NK_UNROLL for (int r = 0; r < POINTS; r++) grid[r][c] = turned[r];                                         \
        }                                                                                                              \
        for (int r = 0; r < POINTS; r++) {                                                                             \
            type##_transform(grid[r], line, 2);                                                                        \
            NK_UNROLL for (int c = 0; c < POINTS; c++, to += value_step)                                               \
                *(type##_any *)to = type##_least(type##_most(line[c], most), -most);                                   \
        }                                                                                                              \
    }

NARROW(vw)
NARROW(vh)

/* The transform of all channels of a source of one tile, down and across. to: its first channel at position 0. */
static void narrow_input(const nk_op *op, const nk_plan *p, const nk_source *source, int x0, int16_t *to) {
    const size_t behind = (size_t)p->wide * source->step;
    for (int c = 0, n; c < source->channels; c += n > NK_LANES ? 2 * NK_LANES : NK_LANES) {
        const int16_t *rows[POINTS];
        n = source->channels - c;
        for (int r = 0; r < POINTS; r++) rows[r] = source->rows[r] ? (const int16_t *)(const void *)source->rows[r] + c : NULL;
        if (n > NK_LANES) vw_tile(op, rows, source->step, behind, x0, n, to + c, p->value_step);
        else vh_tile(op, rows, source->step, behind, x0, n, to + c, p->value_step);
    }
}

/* The first n integers of a narrow map as floats. */
NK_INLINE vf vwiden(const int16_t *p, int n) { return vtofloat(__builtin_convertvector(vh_load(p, n), vi)); }

#endif
