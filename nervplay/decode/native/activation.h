/* Activations on vectors, in single precision: each within 5e-7 of the exact value, relative above 1. */
#ifndef NK_ACTIVATION_H
#define NK_ACTIVATION_H

#include "gelu_table.h"
#include "nk.h"
#include "simd.h"

#if defined(NK_AVX512)
/* 2^n 2^f with n + f = x / ln 2; the polynomial interpolates 2^f at Chebyshev points, 1e-7 relative. */
NK_INLINE vf vexp(vf x) {
    vf t = vmax(vset(-150.0f), vmin(vset(126.0f), x * 1.44269504f)); /* in this order NaN stays NaN */
    vf n = (vf)_mm512_roundscale_ps((__m512)t, 0);
    vf f = t - n;
    vf p = vset(1.3390863e-3f);
    p = p * f + 9.6760318e-3f;
    p = p * f + 5.5503570e-2f;
    p = p * f + 2.4022107e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0000001f;
    return (vf)_mm512_scalef_ps((__m512)p, (__m512)n);
}
#else
/* 2^n * e^f with n = round(x / ln 2): Cody-Waite reduction and a polynomial (Cephes expf). */
NK_INLINE vf vexp(vf x) {
    x = vmax(vset(-87.0f), vmin(vset(88.0f), x)); /* in this order NaN stays NaN */
    vi n = vround(x * 1.44269504f);
    vf k = vtofloat(n);
    vf f = x - k * 0.693145751953125f;
    f = f - k * 1.42860677e-6f;
    vf p = vset(1.3981999e-3f);
    p = p * f + 8.3334519e-3f;
    p = p * f + 4.1665795e-2f;
    p = p * f + 1.6666665e-1f;
    p = p * f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    return (vf)((vi)p + (n << 23));
}
#endif

NK_INLINE vf vsigmoid(vf x) { return vrecip(1.0f + vexp(-x)); }

#if defined(NK_AVX512)
/* Bits of 2^(j/16) / 2, less what the shift below adds for j. */
static const int32_t HALF_POWERS[16] = {0x3f000000, 0x3efdaac3, 0x3efb95c2, 0x3ef9c3d3, 0x3ef837f0, 0x3ef6f532,
                                        0x3ef5fed7, 0x3ef5583f, 0x3ef504f3, 0x3ef508a4, 0x3ef5672a, 0x3ef6248c,
                                        0x3ef744fd, 0x3ef8ccdf, 0x3efac0c7, 0x3efd257d};

/* x / (1 + e^-x), e^-x = 2^(n/16) e^f with |f| < 0.022 and e^f = ((1 + f)^2 + 1) / 2 within 2e-6: few multiplications,
   for those are what the processor has one of; it divides meanwhile. Adding `big` leaves n in the low bits, and n mod 16
   where the permutation looks. Beyond 86 and -86 nothing changes that matters. */
NK_INLINE vf vsilu(vf x) {
    const vf big = vset(12582912.0f);
    vf a = (vf)_mm512_range_ps((__m512)x, _mm512_set1_ps(86.0f), 0x02); /* the smaller magnitude, the sign of x */
    vf n = a * -23.0831207f + big;
    vf half = (vf)((vi)_mm512_permutexvar_epi32((__m512i)n, _mm512_loadu_si512(HALF_POWERS)) + ((vi)n << 19));
    vf g = (1.0f - a) - (n - big) * 0.0433216988f;
    return x / (half * (g * g + 1.0f) + 1.0f);
}

/* The same within 6e-5: e^f = 1 + f. */
NK_INLINE vf vsilu_rough(vf x) {
    const vf big = vset(12582928.0f); /* 16 more than there: the table has halves */
    vf a = (vf)_mm512_range_ps((__m512)x, _mm512_set1_ps(86.0f), 0x02);
    vf n = a * -23.0831207f + big;
    vf power = (vf)((vi)_mm512_permutexvar_epi32((__m512i)n, _mm512_loadu_si512(HALF_POWERS)) + ((vi)n << 19));
    return x / (power * ((1.0f - a) - (n - big) * 0.0433216988f) + 1.0f);
}

/* The place of |x| among pieces of a table, as the number of the nearest whole piece and the way from there. Adding `big`
   rounds to whole pieces and leaves their number in the low bits, which is where permutations look. */
NK_INLINE vf piece_of(vf x, const float end, const float width, vf *way) {
    const vf big = vset(12582912.0f), scale = vset(1.0f / width);
    vf a = (vf)_mm512_range_ps((__m512)x, _mm512_set1_ps(end), 0x0a); /* the smaller magnitude, without its sign */
    vf rounded = a * scale + big;
    *way = a * scale - (rounded - big);
    return rounded;
}

/* x Phi(x) = max(x, 0) + h(|x|), h even and 0 beyond GELU_END: cubics on 32 pieces, coefficients in registers. */
NK_INLINE vf vgelu(vf x) {
    vf t, piece = piece_of(x, GELU_END, GELU_WIDTH, &t);
#define COEFFICIENT(k) \
    ((vf)_mm512_permutex2var_ps(_mm512_loadu_ps(GELU[k]), (__m512i)piece, _mm512_loadu_ps(GELU[k] + 16)))
    vf p = COEFFICIENT(3);
    p = p * t + COEFFICIENT(2);
    p = p * t + COEFFICIENT(1);
    p = p * t + COEFFICIENT(0);
#undef COEFFICIENT
    return vmax(vset(0.0f), x) + p;
}

/* The same within 1.6e-4, by parabolas on as many pieces as a register has lanes. */
NK_INLINE vf vgelu_rough(vf x) {
    vf t, piece = piece_of(x, ROUGH_END, ROUGH_WIDTH, &t);
#define COEFFICIENT(k) ((vf)_mm512_permutexvar_ps((__m512i)piece, _mm512_loadu_ps(ROUGH[k])))
    vf p = COEFFICIENT(2);
    p = p * t + COEFFICIENT(1);
    p = p * t + COEFFICIENT(0);
#undef COEFFICIENT
    return vmax(vset(0.0f), x) + p;
}
#elif defined(NK_AVX2)
/* Bits of 2^(j/8), less what the shift below adds for j. */
static const int32_t POWERS[8] = {0x3f800000, 0x3f7b95c2, 0x3f7837f0, 0x3f75fed7, 0x3f7504f3, 0x3f75672a, 0x3f7744fd, 0x3f7ac0c7};

/* e^-x = 2^(n/8) e^f: that power and f, |f| < 0.044. As for AVX-512 above, from a table of eight numbers. */
NK_INLINE vf power_of(vf x, vf *f) {
    const vf big = vset(12582912.0f);
    vf a = vmax(vset(-86.0f), vmin(vset(86.0f), x)); /* in this order NaN stays NaN */
    vf n = a * -11.5415603f + big;
    *f = (n - big) * -0.0866433976f - a;
    return (vf)((vi)_mm256_permutevar8x32_epi32(*(const __m256i_u *)POWERS, (__m256i)n) + ((vi)n << 20));
}

NK_INLINE vf vsilu(vf x) {
    vf f, power = power_of(x, &f);
    vf p = f * 0.166666667f + 0.5f;
    p = p * f + 1.0f;
    p = p * f + 1.0f;
    return x / (power * p + 1.0f);
}

/* The same within 6e-5: e^f to its second power. */
NK_INLINE vf vsilu_rough(vf x) {
    vf f, power = power_of(x, &f);
    vf p = f * 0.5f + 1.0f;
    p = p * f + 1.0f;
    return x / (power * p + 1.0f);
}

/* The place of |x| among pieces of a table: see above. */
NK_INLINE vf piece_of(vf x, const float end, const float width, vf *way) {
    const vf big = vset(12582912.0f), scale = vset(1.0f / width);
    vf a = vmin(vset(end), vabs(x)); /* in this order NaN stays NaN */
    vf rounded = a * scale + big;
    *way = a * scale - (rounded - big);
    return rounded;
}

/* The polynomial of degree `degree` of a piece. */
NK_INLINE vf piece_value(const float (*table)[NK_LANES], const int degree, vf piece, vf way) {
#define COEFFICIENT(k) ((vf)_mm256_permutevar8x32_ps(_mm256_loadu_ps(table[k]), (__m256i)piece))
    vf p = COEFFICIENT(degree);
    NK_UNROLL for (int k = degree - 1; k >= 0; k--) p = p * way + COEFFICIENT(k);
#undef COEFFICIENT
    return p;
}

/* As for AVX-512, on as many pieces as a register has lanes, with higher powers. */
NK_INLINE vf vgelu(vf x) {
    vf way, piece = piece_of(x, GELU8_END, GELU8_WIDTH, &way);
    return vmax(vset(0.0f), x) + piece_value(GELU8, 5, piece, way);
}

NK_INLINE vf vgelu_rough(vf x) {
    vf way, piece = piece_of(x, ROUGH8_END, ROUGH8_WIDTH, &way);
    return vmax(vset(0.0f), x) + piece_value(ROUGH8, 3, piece, way);
}
#else
NK_INLINE vf vsilu(vf x) { return x * vsigmoid(x); }
NK_INLINE vf vsilu_rough(vf x) { return vsilu(x); }

/* x/2 (1 + erf(x / sqrt 2)), erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7). */
NK_INLINE vf vgelu(vf x) {
    vf a = vabs(x * 0.70710678f);
    vf t = vrecip(a * 0.3275911f + 1.0f);
    vf p = vset(1.061405429f);
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    vf half = vmax(vset(-40.0f), vmin(vset(40.0f), x)) * 0.5f * p * t * vexp(-a * a); /* infinity times 0 is no number */
    return vpick(x < 0.0f, half, x - half);
}

NK_INLINE vf vgelu_rough(vf x) { return vgelu(x); }
#endif

/* sin after reduction by pi in three parts; good to |x| of some thousands (Cephes sinf), within +- 1 beyond that. Infinity
   has none. */
NK_INLINE vf vsin(vf x) {
    vi n = vround(x * 0.31830988618f);
    vf k = vtofloat(n);
    vf r = x - k * 3.140625f;
    r = r - k * 9.67025756835938e-4f;
    r = r - k * 6.27711415290833e-7f;
    r = r - k * 1.21542010e-10f;
    vf s = r * r;
    vf p = vset(2.6083159809786593541503e-06f);
    p = p * s - 1.9810690719168633222580e-04f;
    p = p * s + 8.3330785855650901794434e-03f;
    p = p * s - 1.6666659712791442871094e-01f;
    vf sine = (vf)((vi)(r + r * s * p) ^ (n << 31));
    return vmax(vset(-1.0f), vmin(vset(1.0f), sine)) + (x - x);
}

/* log(1 + e^x) = max(x, 0) + log1p(e^-|x|), the logarithm by its series in z = e / (2 + e), z <= 1/3. */
NK_INLINE vf vsoftplus(vf x) {
    vf e = vexp(-vabs(x));
    vf z = e * vrecip(2.0f + e);
    vf s = z * z;
    vf p = vset(1.0f / 13.0f);
    p = p * s + 1.0f / 11.0f;
    p = p * s + 1.0f / 9.0f;
    p = p * s + 1.0f / 7.0f;
    p = p * s + 0.2f;
    p = p * s + 1.0f / 3.0f;
    p = p * s + 1.0f;
    return vmax(x, vset(0.0f)) + 2.0f * z * p;
}

#define NK_EACH(expression)                  \
    do {                                     \
        for (int i = 0; i < n; i++) {        \
            vf x = v[i];                     \
            v[i] = (expression);             \
        }                                    \
        return;                              \
    } while (0)

/* Of both operands vmax and vmin return the second where one is NaN: the value, so that NaN stays NaN. */
static __attribute__((noinline)) void activate_rare(vf *v, int n, int act, float slope) {
    switch (act) {
    case NK_RELU: NK_EACH(vmax(vset(0.0f), x));
    case NK_LEAKY: NK_EACH(vmax(vset(0.0f), x) + vmin(vset(0.0f), x) * slope);
    case NK_RELU6: NK_EACH(vmin(vset(6.0f), vmax(vset(0.0f), x)));
    case NK_SOFTPLUS: NK_EACH(vsoftplus(x));
    case NK_HARDSWISH: NK_EACH(x * vmin(vmax(x + 3.0f, vset(0.0f)), vset(6.0f)) * (1.0f / 6.0f));
    case NK_SIN: NK_EACH(vsin(x));
    case NK_SIGMOID: NK_EACH(vsigmoid(x));
    case NK_TANH: NK_EACH(2.0f * vsigmoid(2.0f * x) - 1.0f);
    case NK_HALF_TANH: NK_EACH(vsigmoid(2.0f * x));
    default: return;
    }
}

/* Apply an activation to n vectors; the choice is made once for all of them. rough: within 1.6e-4 will do. */
NK_INLINE void activate(vf *v, const int n, int act, float slope, const int rough) {
    if (act == NK_GELU) {
        NK_UNROLL for (int i = 0; i < n; i++) v[i] = rough ? vgelu_rough(v[i]) : vgelu(v[i]);
    } else if (act == NK_SILU) {
        NK_UNROLL for (int i = 0; i < n; i++) v[i] = rough ? vsilu_rough(v[i]) : vsilu(v[i]);
    } else if (act == NK_LEAKY && slope <= 1.0f) {
        NK_UNROLL for (int i = 0; i < n; i++) v[i] = vmax(v[i], v[i] * slope);
    } else if (__builtin_expect(act != NK_NONE, 0)) { /* on a copy: what a call is given stays in memory */
        vf rare[8];
        NK_UNROLL for (int i = 0; i < n; i++) rare[i] = v[i];
        activate_rare(rare, n, act, slope);
        NK_UNROLL for (int i = 0; i < n; i++) v[i] = rare[i];
    }
}

#endif
