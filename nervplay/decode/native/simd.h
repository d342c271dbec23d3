/* Vectors of NK_LANES floats in GCC's vector extension, which GCC and Clang turn into AVX-512, AVX2, NEON or scalar
   code; what the extension lacks stands here once per instruction set. Fused multiply-adds come from -ffp-contract. */
#ifndef NK_SIMD_H
#define NK_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(NK_AVX512) || defined(NK_AVX2)
#include <immintrin.h>
#endif

#if defined(NK_AVX512)
#define NK_LANES 16
#define NK_ROWS 8  /* register block: rows x NK_PANEL vectors of accumulators */
#elif defined(NK_AVX2)
#define NK_LANES 8
#define NK_ROWS 4
#define NK_BATCH 16 /* rows that are multiplied by the same weights one block after the other, while these are in the first-level cache */
#elif defined(__ARM_NEON)
#define NK_LANES 4
#define NK_ROWS 8
#else
#define NK_LANES 4
#define NK_ROWS 4
#endif
#if !defined(NK_BATCH)
#define NK_BATCH NK_ROWS
#endif
#define NK_PANEL 3
#define NK_COLUMNS (NK_PANEL * NK_LANES)

#define NK_INLINE static inline __attribute__((always_inline))
#define NK_UNROLL _Pragma("GCC unroll 16")

typedef float vf __attribute__((vector_size(4 * NK_LANES)));
typedef int32_t vi __attribute__((vector_size(4 * NK_LANES)));
typedef int16_t vh __attribute__((vector_size(2 * NK_LANES)));
typedef float vf_any __attribute__((vector_size(4 * NK_LANES), aligned(4), may_alias));
typedef int32_t vi_any __attribute__((vector_size(4 * NK_LANES), aligned(4), may_alias));
typedef int16_t vh_any __attribute__((vector_size(2 * NK_LANES), aligned(2), may_alias));

/* Keep a value in a register: compilers fold a load into each of its uses, which costs a load per use. (An emulated AVX-512,
   as in tools/test_emulated.sh, has no register that would take it.) */
#if defined(NK_AVX512) && !defined(__AVX512F__)
#define NK_KEEP(v) ((void)0)
#elif defined(__x86_64__)
#define NK_KEEP(v) __asm__("" : "+v"(v))
#elif defined(__ARM_NEON)
#define NK_KEEP(v) __asm__("" : "+w"(v))
#else
#define NK_KEEP(v) ((void)0)
#endif

/* Keep the compiler from loading before a loop what a pointer points to: where it has no registers left, it would store it
   again. */
#define NK_UNKNOWN(pointer) __asm__("" : "+r"(pointer))

NK_INLINE vf vload(const float *p) { return *(const vf_any *)p; }
NK_INLINE void vstore(float *p, vf v) { *(vf_any *)p = v; }
/* x - 0, which compilers drop; they would keep 0 + x, for x might be -0. */
NK_INLINE vf vset(float x) { return x - (vf){0}; }
NK_INLINE int up_to(int n, int step) { return (n + step - 1) / step * step; }

/* Which lanes are read: the first n, n >= 1; the others are 0 and their memory is not touched. */
#if defined(NK_AVX512)
typedef __mmask16 vlanes;
NK_INLINE vlanes first_lanes(int n) { return (__mmask16)(n >= NK_LANES ? 0xffff : (1u << n) - 1); }
NK_INLINE vf vload_lanes(const float *p, vlanes lanes) { return (vf)_mm512_maskz_loadu_ps(lanes, p); }
NK_INLINE vf vload_n(const float *p, int n) { return n >= NK_LANES ? vload(p) : vload_lanes(p, first_lanes(n)); }
#elif defined(NK_AVX2)
static const int32_t FIRST_LANES[2 * NK_LANES] = {-1, -1, -1, -1, -1, -1, -1, -1};
typedef vi vlanes;
NK_INLINE vlanes first_lanes(int n) { return *(const vi_any *)(FIRST_LANES + (n >= NK_LANES ? 0 : NK_LANES - n)); }
NK_INLINE vf vload_lanes(const float *p, vlanes lanes) { return (vf)_mm256_maskload_ps(p, (__m256i)lanes); }
NK_INLINE vf vload_n(const float *p, int n) { return n >= NK_LANES ? vload(p) : vload_lanes(p, first_lanes(n)); }
#else
typedef int vlanes;
NK_INLINE vf vload_n(const float *p, int n) {
    if (n >= NK_LANES) return vload(p);
    vf v = {0};
    memcpy(&v, p, sizeof(float) * (size_t)n);
    return v;
}
NK_INLINE vlanes first_lanes(int n) { return n; }
NK_INLINE vf vload_lanes(const float *p, vlanes lanes) { return vload_n(p, lanes); }
#endif

/* Store lanes [first, first + n) to p. */
NK_INLINE void vstore_part(float *p, vf v, int first, int n) {
#if defined(NK_AVX512)
    _mm512_mask_storeu_ps(p - first, (__mmask16)(((1u << n) - 1) << first), (__m512)v);
#elif defined(NK_AVX2) /* whose masked stores are slow on AMD */
    if (n == NK_LANES) {
        vstore(p, v);
        return;
    }
    const __m256 front = _mm256_permutevar8x32_ps((__m256)v, (__m256i)(first + (vi){0, 1, 2, 3, 4, 5, 6, 7}));
    __m128 four = _mm256_castps256_ps128(front);
    if (n & 4) _mm_storeu_ps(p, four), p += 4, four = _mm256_extractf128_ps(front, 1);
    if (n & 2) _mm_storel_pi((__m64 *)(void *)p, four), p += 2, four = _mm_movehl_ps(four, four);
    if (n & 1) _mm_store_ss(p, four);
#else
    float lanes[NK_LANES];
    vstore(lanes, v);
    memcpy(p, lanes + first, sizeof(float) * (size_t)n);
#endif
}

/* The same of 16-bit integers. */
NK_INLINE void vhstore_part(int16_t *p, vh v, int first, int n) {
#if defined(NK_AVX512)
    _mm256_mask_storeu_epi16(p - first, (__mmask16)(((1u << n) - 1) << first), (__m256i)v);
#elif defined(NK_AVX2)
    if (n == NK_LANES) {
        *(vh_any *)p = v;
        return;
    }
    const __m128i order = _mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m128i part = _mm_shuffle_epi8((__m128i)v, _mm_add_epi8(order, _mm_set1_epi8((char)(2 * first))));
    if (n & 4) _mm_storel_epi64((__m128i *)(void *)p, part), p += 4, part = _mm_unpackhi_epi64(part, part);
    if (n & 2) memcpy(p, &part, 4), p += 2, part = _mm_srli_epi64(part, 32);
    if (n & 1) memcpy(p, &part, 2);
#else
    int16_t lanes[NK_LANES];
    memcpy(lanes, &v, sizeof v);
    memcpy(p, lanes + first, sizeof(int16_t) * (size_t)n);
#endif
}

NK_INLINE vf vabs(vf x) { return (vf)((vi)x & 0x7fffffff); }
NK_INLINE vf vpick(vi mask, vf yes, vf no) { return (vf)(((vi)yes & mask) | ((vi)no & ~mask)); }
NK_INLINE vf vtofloat(vi x) { return __builtin_convertvector(x, vf); }

#if defined(NK_AVX512)
NK_INLINE vf vmax(vf a, vf b) { return (vf)_mm512_max_ps((__m512)a, (__m512)b); }
NK_INLINE vf vmin(vf a, vf b) { return (vf)_mm512_min_ps((__m512)a, (__m512)b); }
NK_INLINE vi vround(vf x) { return (vi)_mm512_cvtps_epi32((__m512)x); }
NK_INLINE vh vshort(vf x) { return (vh)_mm512_cvtsepi32_epi16(_mm512_cvtps_epi32((__m512)x)); }
NK_INLINE vh vwithin(vf x, const int most) {
    const __m256i whole = _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32((__m512)x)), top = _mm256_set1_epi16((int16_t)most);
    return (vh)_mm256_max_epi16(_mm256_min_epi16(whole, top), _mm256_set1_epi16((int16_t)-most));
}
NK_INLINE vf vrecip(vf x) {
    vf r = (vf)_mm512_rcp14_ps((__m512)x);
    return r * (2.0f - x * r); /* one Newton step: 2^-28 */
}
#elif defined(NK_AVX2)
NK_INLINE vf vmax(vf a, vf b) { return (vf)_mm256_max_ps((__m256)a, (__m256)b); }
NK_INLINE vf vmin(vf a, vf b) { return (vf)_mm256_min_ps((__m256)a, (__m256)b); }
NK_INLINE vi vround(vf x) { return (vi)_mm256_cvtps_epi32((__m256)x); }
NK_INLINE vf vrecip(vf x) { return 1.0f / x; }
#else
NK_INLINE vf vmax(vf a, vf b) { return vpick(a > b, a, b); }
NK_INLINE vf vmin(vf a, vf b) { return vpick(a < b, a, b); }
NK_INLINE vi vround(vf x) { /* half to even, |x| < 2^22: the mantissa of x + 1.5 * 2^23 */
    const vf big = vset(12582912.0f);
    return (vi)(x + big) - (vi)big;
}
NK_INLINE vf vrecip(vf x) { return 1.0f / x; }
#endif

/* Rounded to 16-bit integers; what lies beyond them, or beyond -most and most, becomes the nearest. */
#if defined(NK_AVX2)
NK_INLINE __m128i vrounded(vf x, const int most) { /* what cannot be rounded would turn around */
    const __m256i whole = (__m256i)vround(vmin(vset((float)most), x));
    return _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
}
NK_INLINE vh vshort(vf x) { return (vh)vrounded(x, INT16_MAX); }
NK_INLINE vh vwithin(vf x, const int most) {
    return (vh)_mm_max_epi16(vrounded(x, most), _mm_set1_epi16((int16_t)-most));
}
#elif !defined(NK_AVX512)
NK_INLINE vh vshort(vf x) {
    return __builtin_convertvector(vround(vmax(vset(-32768.0f), vmin(vset(32767.0f), x))), vh);
}
NK_INLINE vh vwithin(vf x, const int most) {
    return __builtin_convertvector(vround(vmax(vset((float)-most), vmin(vset((float)most), x))), vh);
}
#endif

/* acc + a.low * b.low + a.high * b.high in each lane, of pairs of 16-bit integers; exact. */
NK_INLINE vi vdot16(vi acc, vi a, vi b) {
#if defined(NK_AVX512)
    return (vi)_mm512_dpwssd_epi32((__m512i)acc, (__m512i)a, (__m512i)b);
#elif defined(NK_AVXVNNI)
    return (vi)_mm256_dpwssd_avx_epi32((__m256i)acc, (__m256i)a, (__m256i)b);
#elif defined(NK_AVX2)
    return acc + (vi)_mm256_madd_epi16((__m256i)a, (__m256i)b);
#else
    return acc + ((a << 16) >> 16) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* The sum of all lanes, added in the same order on every call. */
NK_INLINE float vsum(vf x) {
#if defined(NK_AVX512)
    return _mm512_reduce_add_ps((__m512)x);
#else
    float part[NK_LANES];
    vstore(part, x);
    for (int half = NK_LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) part[i] += part[i + half];
    return part[0];
#endif
}

/* out[i] = the sum of all lanes of v[i], i < n <= 8; there is room for 8. */
NK_INLINE void vsum_each(const vf *v, const int n, float *out) {
#if defined(NK_AVX512)
    /* Add halves of pairs until each lane holds one sum. */
    __m512 s[4], u[2];
    for (int i = 0; i < 4; i++) {
        const __m512 a = 2 * i < n ? (__m512)v[2 * i] : _mm512_setzero_ps();
        const __m512 b = 2 * i + 1 < n ? (__m512)v[2 * i + 1] : _mm512_setzero_ps();
        s[i] = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x4e), _mm512_mask_blend_ps(0xff00, a, b));
    }
    for (int i = 0; i < 2; i++)
        u[i] = _mm512_add_ps(_mm512_shuffle_f32x4(s[2 * i], s[2 * i + 1], 0x88),
                             _mm512_shuffle_f32x4(s[2 * i], s[2 * i + 1], 0xdd));
    __m512 t = _mm512_add_ps(_mm512_shuffle_ps(u[0], u[1], 0x4e), _mm512_mask_blend_ps(0xcccc, u[0], u[1]));
    t = _mm512_add_ps(t, _mm512_shuffle_ps(t, t, 0xb1));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm256_storeu_ps(out, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, t)));
#elif defined(NK_AVX2)
    __m256 s[4];
    NK_UNROLL for (int i = 0; i < 4; i++)
        s[i] = _mm256_hadd_ps(2 * i < n ? (__m256)v[2 * i] : _mm256_setzero_ps(),
                              2 * i + 1 < n ? (__m256)v[2 * i + 1] : _mm256_setzero_ps());
    const __m256 a = _mm256_hadd_ps(s[0], s[1]), b = _mm256_hadd_ps(s[2], s[3]);
    _mm256_storeu_ps(out, _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31)));
#else
    for (int i = 0; i < n; i++) out[i] = vsum(v[i]);
#endif
}

#endif
