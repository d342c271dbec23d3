/* Small products on packed weights: NK_ROWS rows of values by one panel of columns, accumulators in registers. */
#ifndef NK_GEMM_H
#define NK_GEMM_H

#include "simd.h"

/* Weights are read once per block of tiles and come from the third-level cache, for which nothing waits if they are fetched
   early; the processor's own prefetching stops at each page. Where several blocks of rows are multiplied by a matrix, only
   the first of them would wait, for all of it: each fetches its share of the matrix behind instead. Elsewhere a product
   fetches its own, this many bytes early. Measured: 3 to 6 percent of the products, and with shares 10 to 25. */
#define AHEAD 3072
#define LINE 64 /* bytes of the cache */
/* Lines that a product fetches for each k; whoever fetches shares has fewer. */
#define FETCHES(wide) ((4 * NK_LANES * (wide) * NK_ROWS / NK_BATCH + LINE - 1) / LINE)

/* Bytes: from a matrix to what its first rows fetch, from there to what the next ones do, and for each k. */
typedef struct {
    size_t first, share, step;
} nk_ahead;

/* bytes: of a matrix of `depth` rows of weights; rows: of values that are multiplied by it. */
NK_INLINE nk_ahead look_ahead(size_t bytes, int depth, int rows) {
    const size_t each = (size_t)(depth > 0 ? depth : 1);
#if NK_BATCH > NK_ROWS
    const size_t share = bytes / (size_t)((rows + NK_ROWS - 1) / NK_ROWS);
    return (nk_ahead){bytes, share, share / each + 1};
#else
    (void)rows;
    return (nk_ahead){AHEAD, 0, bytes / each};
#endif
}

/* What the rows from `row` on fetch while they are multiplied by `matrix`. */
NK_INLINE const char *ahead_of(const nk_ahead *ahead, const void *matrix, int row) {
    return (const char *)matrix + ahead->first + (size_t)(row / NK_ROWS) * ahead->share;
}

NK_INLINE void fetch(const char *from, const int lines) {
    NK_UNROLL for (int i = 0; i < lines; i++) __builtin_prefetch(from + i * LINE);
}

/* Panels of a weight matrix are as equal as can be, none wider than NK_PANEL: 7 vectors are 3 + 2 + 2. Python packs
   by the same rule. The first vector of panel `panel`: */
NK_INLINE int panel_start(int panel, int vectors) {
    int panels = (vectors + NK_PANEL - 1) / NK_PANEL, each = vectors / panels, more = vectors % panels;
    return panel * each + (panel < more ? panel : more);
}

/* out[i][j] = sum over row, k of values[row][i * stride + k] * weights[row * depth + k][j], for `rows` <= NK_ROWS
   values of i and `wide` vectors of j. ahead: what is fetched meanwhile, `step` bytes for each k. */
NK_INLINE void product(const float *const *values, int taps, size_t stride, const float *weights, int depth, float *out,
                       size_t pitch, const char *ahead, size_t step, const int rows, const int wide) {
    vf c[NK_ROWS][NK_PANEL] = {{{0}}};
    for (int tap = 0; tap < taps; tap++) {
        const float *v = values[tap];
        for (int k = 0; k < depth; k++, ahead += step) {
            vf b[NK_PANEL];
            NK_UNROLL for (int j = 0; j < wide; j++) b[j] = vload(weights + j * NK_LANES);
            fetch(ahead, FETCHES(wide));
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

/* Sums, weights, a value and its product are one more than the registers of AVX2: there the last weights are read for each
   row, or the compiler would read and write a sum for each k. AVX-VNNI adds the product as it is made. */
#if defined(NK_AVX2) && !defined(NK_AVXVNNI)
#define SCARCE (rows == NK_ROWS && wide == NK_PANEL)
#else
#define SCARCE 0
#endif

/* The same of 16-bit integers in pairs: depth and stride count pairs; accumulators of 32 bits. */
NK_INLINE void product16(const int32_t *values, size_t stride, const int32_t *weights, int depth, int32_t *out,
                         size_t pitch, const char *ahead, size_t step, const int rows, const int wide) {
    vi c[NK_ROWS][NK_PANEL] = {{{0}}};
    const int32_t *last = weights + (wide - 1) * NK_LANES;
    for (int k = 0; k < depth; k++, ahead += step, weights += wide * NK_LANES, last += wide * NK_LANES) {
        vi b[NK_PANEL];
        NK_UNROLL for (int j = 0; j < wide; j++) b[j] = *(const vi_any *)(weights + j * NK_LANES);
        fetch(ahead, FETCHES(wide));
        NK_UNROLL for (int i = 0; i < rows; i++) {
            vi a = (vi){0} + values[i * stride + (size_t)k];
            if (SCARCE) {
                NK_UNKNOWN(last);
                b[wide - 1] = *(const vi_any *)last;
            }
            NK_UNROLL for (int j = 0; j < wide; j++) c[i][j] = vdot16(c[i][j], a, b[j]);
        }
    }
    NK_UNROLL for (int i = 0; i < rows; i++)
        NK_UNROLL for (int j = 0; j < wide; j++) *(vi_any *)(out + i * pitch + j * NK_LANES) = c[i][j];
}

/* Compiled apart for every number of rows and vectors: inlined side by side, the compiler runs out of registers for
   addresses. rows is even; out: NK_COLUMNS or more floats (32-bit integers) from one row to the next. */
#define PRODUCT_OF(name)                                                                                               \
    void name(const void *values, size_t stride, const void *weights, int depth, void *out, size_t pitch,              \
              const char *ahead, size_t step)
typedef PRODUCT_OF(nk_product);

#define PRODUCTS(rows, wide)                                                                                           \
    static __attribute__((noinline)) PRODUCT_OF(product_##rows##x##wide) {                                             \
        const float *from = values;                                                                                    \
        product(&from, 1, stride, weights, depth, out, pitch, ahead, step, rows, wide);                                \
    }                                                                                                                  \
    static __attribute__((noinline)) PRODUCT_OF(product16_##rows##x##wide) {                                           \
        product16(values, stride, weights, depth, out, pitch, ahead, step, rows, wide);                                \
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
