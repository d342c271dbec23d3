/* Products whose last vector of columns is at most half full, for processors that need as long for one wide vector as for
   two of half its width: 24 outputs of a low-rank convolution are one vector and a half, 33 channels two and a half. */
#ifndef NK_GEMM_HALF_H
#define NK_GEMM_HALF_H

#include "gemm.h"

#define NK_HALF (NK_LANES / 2)

#if defined(NK_AVX512)

typedef float vf_half __attribute__((vector_size(4 * NK_HALF), aligned(4), may_alias));

/* As `product` and `product16` of `wide` vectors and half of another. What stands in the other half of `out` stays. */
NK_INLINE void product_half(const void *values, size_t stride, const float *weights, int depth, float *out, size_t pitch,
                            const char *ahead, size_t step, const int rows, const int wide, const int integers) {
    vf c[NK_ROWS][NK_PANEL] = {{{0}}};
    vf_half rest[NK_ROWS] = {{0}};
    for (int k = 0; k < depth; k++, ahead += step, weights += (wide + 1) * NK_LANES) {
        vf b[NK_PANEL];
        NK_UNROLL for (int j = 0; j < wide; j++) b[j] = vload(weights + j * NK_LANES);
        const vf_half last = *(const vf_half *)(weights + wide * NK_LANES);
        fetch(ahead, FETCHES(wide + 1));
        NK_UNROLL for (int i = 0; i < rows; i++) {
            /* One load for both widths: a value that each multiplication reads from memory costs it a load. */
            vf a = vset(((const float *)values)[i * stride + (size_t)k]);
            NK_KEEP(a);
            const __m256 low = _mm512_castps512_ps256((__m512)a);
            if (integers) {
                NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] = (vf)vdot16((vi)c[i][j], (vi)a, (vi)b[j]);
                rest[i] = (vf_half)_mm256_dpwssd_epi32((__m256i)rest[i], (__m256i)low, (__m256i)last);
            } else {
                NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] += a * b[j];
                rest[i] += (vf_half)low * last;
            }
        }
    }
    NK_UNROLL for (int i = 0; i < rows; i++) {
        NK_UNROLL for (int j = 0; j < wide; j++) vstore(out + i * pitch + j * NK_LANES, c[i][j]);
        *(vf_half *)(out + i * pitch + wide * NK_LANES) = rest[i];
    }
}

#define HALVES(rows, wide)                                                                                             \
    static __attribute__((noinline)) PRODUCT_OF(half_##rows##x##wide) {                                                \
        product_half(values, stride, weights, depth, out, pitch, ahead, step, rows, wide - 1, 0);                      \
    }                                                                                                                  \
    static __attribute__((noinline)) PRODUCT_OF(half16_##rows##x##wide) {                                              \
        product_half(values, stride, weights, depth, out, pitch, ahead, step, rows, wide - 1, 1);                      \
    }
#define ALL_HALVES(rows) HALVES(rows, 1) HALVES(rows, 2) HALVES(rows, 3)

ALL_HALVES(2)
ALL_HALVES(4)
ALL_HALVES(6)
ALL_HALVES(8)
static nk_product *const HALF[][NK_PANEL] = {NAMES(half, 2), NAMES(half, 4), NAMES(half, 6), NAMES(half, 8)};
static nk_product *const HALF16[][NK_PANEL] = {NAMES(half16, 2), NAMES(half16, 4), NAMES(half16, 6), NAMES(half16, 8)};

#endif

/* The products of up to 2 (rows + 1) rows by `count` vectors, of which `outputs` columns are used. */
NK_INLINE nk_product *product_of(int rows, int count, int outputs, int integers) {
#if defined(NK_AVX512)
    if (outputs <= count * NK_LANES - NK_HALF) return integers ? HALF16[rows][count - 1] : HALF[rows][count - 1];
#endif
    return integers ? PRODUCT16[rows][count - 1] : PRODUCT[rows][count - 1];
}

#endif
