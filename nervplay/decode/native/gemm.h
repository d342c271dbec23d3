/* Small products on packed weights: NK_ROWS rows of values by one panel of columns, accumulators in registers. */
#ifndef NK_GEMM_H
#define NK_GEMM_H

#include "simd.h"

/* Bytes by which weights are fetched early. They are read once per block of tiles and come from the third-level cache;
   the processor's own prefetching stops at each page. Measured: 3 to 6 percent of the products. */
#define AHEAD 3072

/* Panels of a weight matrix are as equal as can be, none wider than NK_PANEL: 7 vectors are 3 + 2 + 2. Python packs
   by the same rule. The first vector of panel `panel`: */
NK_INLINE int panel_start(int panel, int vectors) {
    int panels = (vectors + NK_PANEL - 1) / NK_PANEL, each = vectors / panels, more = vectors % panels;
    return panel * each + (panel < more ? panel : more);
}

/* out[i][j] = sum over row, k of values[row][i * stride + k] * weights[row * depth + k][j], for `rows` <= NK_ROWS
   values of i and `wide` vectors of j. */
NK_INLINE void product(const float *const *values, int taps, size_t stride, const float *weights, int depth, float *out,
                       size_t pitch, const int rows, const int wide) {
    vf c[NK_ROWS][NK_PANEL] = {{{0}}};
    for (int tap = 0; tap < taps; tap++) {
        const float *v = values[tap];
        for (int k = 0; k < depth; k++) {
            vf b[NK_PANEL];
            NK_UNROLL for (int j = 0; j < wide; j++) {
                b[j] = vload(weights + j * NK_LANES);
                __builtin_prefetch((const char *)(weights + j * NK_LANES) + AHEAD);
            }
            weights += wide * NK_LANES;
            NK_UNROLL for (int i = 0; i < rows; i++) {
                vf a = vset(v[i * stride + (size_t)k]);
                NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] += a * b[j];
            }
        }
    }
    NK_UNROLL for (int i = 0; i < rows; i++)
        NK_UNROLL for (int j = 0; j < wide; j++) vstore(out + i * pitch + j * NK_LANES, c[i][j]);
}

/* The same of 16-bit integers in pairs: depth and stride count pairs; accumulators of 32 bits. */
NK_INLINE void product16(const int32_t *values, size_t stride, const int32_t *weights, int depth, int32_t *out,
                         size_t pitch, const int rows, const int wide) {
    vi c[NK_ROWS][NK_PANEL] = {{{0}}};
    for (int k = 0; k < depth; k++) {
        vi b[NK_PANEL];
        NK_UNROLL for (int j = 0; j < wide; j++) {
            b[j] = *(const vi_any *)(weights + j * NK_LANES);
            __builtin_prefetch((const char *)(weights + j * NK_LANES) + AHEAD);
        }
        weights += wide * NK_LANES;
        NK_UNROLL for (int i = 0; i < rows; i++) {
            vi a = (vi){0} + values[i * stride + (size_t)k];
            NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] = vdot16(c[i][j], a, b[j]);
        }
    }
    NK_UNROLL for (int i = 0; i < rows; i++)
        NK_UNROLL for (int j = 0; j < wide; j++) *(vi_any *)(out + i * pitch + j * NK_LANES) = c[i][j];
}

/* Compiled apart for every number of rows and vectors: inlined side by side, the compiler runs out of registers for
   addresses. rows is even; out: NK_COLUMNS or more floats (32-bit integers) from one row to the next. */
typedef void nk_product(const void *values, size_t stride, const void *weights, int depth, void *out, size_t pitch);

#define PRODUCTS(rows, wide)                                                                                          \
    static __attribute__((noinline)) void product_##rows##x##wide(const void *values, size_t stride,                  \
                                                                  const void *weights, int depth, void *out,          \
                                                                  size_t pitch) {                                     \
        const float *from = values;                                                                                   \
        product(&from, 1, stride, weights, depth, out, pitch, rows, wide);                                            \
    }                                                                                                                 \
    static __attribute__((noinline)) void product16_##rows##x##wide(const void *values, size_t stride,                \
                                                                    const void *weights, int depth, void *out,        \
                                                                    size_t pitch) {                                   \
        product16(values, stride, weights, depth, out, pitch, rows, wide);                                            \
    }
#define ALL_WIDE(rows) PRODUCTS(rows, 1) PRODUCTS(rows, 2) PRODUCTS(rows, 3)
#define NAMES(name, rows) {name##_##rows##x1, name##_##rows##x2, name##_##rows##x3}

ALL_WIDE(2)
ALL_WIDE(4)
#if NK_ROWS == 8
ALL_WIDE(6)
ALL_WIDE(8)
static nk_product *const PRODUCT[][NK_PANEL] = {NAMES(product, 2), NAMES(product, 4), NAMES(product, 6), NAMES(product, 8)};
static nk_product *const PRODUCT16[][NK_PANEL] = {
    NAMES(product16, 2), NAMES(product16, 4), NAMES(product16, 6), NAMES(product16, 8)};
#else
static nk_product *const PRODUCT[][NK_PANEL] = {NAMES(product, 2), NAMES(product, 4)};
static nk_product *const PRODUCT16[][NK_PANEL] = {NAMES(product16, 2), NAMES(product16, 4)};
#endif

#endif
