/* `line_pairs.h` with 16-bit integers: words of two channels for channels, as in `wino_pairs.h`. Of three words two are a pair
   and one is multiplied by itself. */
#ifndef NK_LINE_PAIRS16_H
#define NK_LINE_PAIRS16_H

#include "line_pairs.h"
#include "wino_pairs.h"

#if defined(NK_AVX512)

static int words_of(const nk_op *op) { return (op->channels + 1) / 2; }

/* Integers of the values of a half: all words behind what is taken off. */
static size_t words_half(const nk_op *op) { return (size_t)(1 + words_of(op)) * PAIRS_VALUES; }

static size_t words_scratch(const nk_op *op) { return line_scratch(op) + 4 * 2 * words_half(op); }

NK_INLINE vi load_word(const int32_t *p) { return *(const vi_any *)p; }

NK_INLINE vi same_word(int32_t word) { return (vi){0} + word; }

/* Winograd's transform of a word's two channels, into both halves. The norm of a channel that is not there is 0. */
NK_INLINE void words_transform(const nk_op *op, const float *values, int word, int32_t *made, vi out[LINE_POINTS]) {
    const int padded = up_to(op->channels, 16);
    for (int half = 0; half < 2; half++) {
        const int channel = 2 * word + half;
        vf v[LINE_POINTS];
        line_transform(values + (size_t)channel * LINE_POINTS * LINE_TILES, v);
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) {
            const vi whole = __builtin_convertvector(vwithin(v[p] * op->norm[p * padded + channel], WINO_MOST), vi);
            out[p] = half ? out[p] | whole << 16 : whole & 0xffff;
        }
    }
    NK_UNROLL for (int n = 0; n < LINE_POINTS; n++)
        *(vi_any *)(made + n / PAIRS_HALF * words_half(op) + (1 + word) * PAIRS_VALUES + n % PAIRS_HALF * LINE_TILES) =
            out[PAIRS_ORDER[n]];
}

/* made: [half][what is taken off, word][position][tile]. */
static __attribute__((noinline)) void words_input(const nk_op *op, const float *values, int32_t *made) {
    const int words = words_of(op);
    vi off[LINE_POINTS] = {{0}}, first[LINE_POINTS], second[LINE_POINTS];
    for (int word = 0; word < words; word++) {
        words_transform(op, values, word, made, first);
        if (word % PAIRS_GROUP == 2 || word + 1 == words) continue;
        words_transform(op, values, ++word, made, second);
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) off[p] = vdot16(off[p], first[p], second[p]);
    }
    NK_UNROLL for (int n = 0; n < LINE_POINTS; n++)
        *(vi_any *)(made + n / PAIRS_HALF * words_half(op) + n % PAIRS_HALF * LINE_TILES) = -off[PAIRS_ORDER[n]];
}

/* Add the products of `pair` words as a pair, 0 or 2, and of `single` by themselves, 0 or 1. */
NK_INLINE void words_group(vi sums[PAIRS_SIX][PAIRS_HALF], const int32_t *values, const int32_t *weights, const int pair,
                           const int single) {
    NK_UNROLL for (int p = 0; p < PAIRS_HALF; p++, values += LINE_TILES, weights += PAIRS_SIX) {
        if (pair) {
            vi a1 = load_word(values), a2 = load_word(values + PAIRS_VALUES);
            NK_KEEP(a1);
            NK_KEEP(a2);
            NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++)
                sums[i][p] = vdot16(sums[i][p], vadd16(a1, same_word(weights[PAIRS_WEIGHTS + i])),
                                    vadd16(a2, same_word(weights[i])));
        }
        if (single) {
            vi a = load_word(values + pair * PAIRS_VALUES);
            NK_KEEP(a);
            NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++)
                sums[i][p] = vdot16(sums[i][p], a, same_word(weights[pair * PAIRS_WEIGHTS + i]));
        }
    }
}

/* Sums of half the positions, as floats. */
NK_INLINE void words_sums(vf out[PAIRS_SIX][PAIRS_HALF], const int32_t *values, const int32_t *weights, int words) {
    vi sums[PAIRS_SIX][PAIRS_HALF];
    NK_UNROLL for (int p = 0; p < PAIRS_HALF; p++) {
        vi off = load_word(values + p * LINE_TILES);
        NK_KEEP(off);
        NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++) sums[i][p] = off + weights[p * PAIRS_SIX + i];
    }
    values += PAIRS_VALUES, weights += PAIRS_WEIGHTS;
    for (int g = words / PAIRS_GROUP; g > 0; g--, values += PAIRS_GROUP * PAIRS_VALUES, weights += PAIRS_GROUP * PAIRS_WEIGHTS)
        words_group(sums, values, weights, 2, 1);
    if (words % PAIRS_GROUP == 1) words_group(sums, values, weights, 0, 1);
    if (words % PAIRS_GROUP == 2) words_group(sums, values, weights, 2, 0);
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++)
        NK_UNROLL for (int p = 0; p < PAIRS_HALF; p++) out[i][p] = vtofloat(sums[i][p]);
}

/* Sums and differences of positions 1 and 2, 3 and 4, which have units of their own: see `transform_sums`. */
NK_INLINE void words_keep(const float *k, vf sums[PAIRS_SIX][PAIRS_HALF], float *kept) {
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++, kept += PAIRS_VALUES) {
        vstore(kept, k[0] * sums[i][0] + sums[i][1]), vstore(kept + LINE_TILES, k[0] * sums[i][0] - sums[i][1]);
        vstore(kept + 2 * LINE_TILES, k[1] * sums[i][2] + sums[i][3]);
        vstore(kept + 3 * LINE_TILES, k[1] * sums[i][2] - sums[i][3]);
    }
}

/* The rest of `transform_sums`, the unit of an output, and the bias. */
NK_INLINE void words_back(const float *k, vf sums[PAIRS_SIX][PAIRS_HALF], const float *kept, const float *bias,
                          const float *scale, float *values) {
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++, kept += PAIRS_VALUES) {
        vf p1 = vload(kept), q1 = vload(kept + LINE_TILES), p2 = vload(kept + 2 * LINE_TILES);
        vf q2 = vload(kept + 3 * LINE_TILES), out[LINE_WIDE];
        vf p3 = k[2] * sums[i][0] + sums[i][1], q3 = k[2] * sums[i][0] - sums[i][1];
        out[0] = p1 + k[3] * sums[i][2] + k[4] * p2 + k[5] * p3;
        out[1] = q1 + k[6] * q2 + k[7] * q3;
        out[2] = p1 + k[8] * p2 + k[9] * p3;
        out[3] = q1 + k[10] * q2 + k[11] * q3;
        out[4] = p1 + k[12] * p2 + k[13] * p3;
        out[5] = q1 + k[14] * q2 + k[15] * q3 + k[16] * sums[i][3];
        NK_UNROLL for (int x = 0; x < LINE_WIDE; x++)
            vstore(values + (x * PAIRS_SIX + i) * LINE_TILES, out[x] * scale[i] + bias[i]);
    }
}

/* As `pairs_six`. */
static __attribute__((noinline)) void words_six(const nk_op *op, const int32_t *made, int first, float *values) {
    const int words = words_of(op);
    const size_t half = (size_t)(1 + words) * PAIRS_WEIGHTS;
    const int32_t *weights = (const int32_t *)op->weights + (size_t)(first / PAIRS_SIX) * 2 * half;
    const float *k = op->axes + NK_AXIS;
    float kept[PAIRS_SIX * PAIRS_VALUES] __attribute__((aligned(64)));
    vf sums[PAIRS_SIX][PAIRS_HALF];
    words_sums(sums, made, weights, words);
    words_keep(k, sums, kept);
    words_sums(sums, made + words_half(op), weights + half, words);
    words_back(k, sums, kept, op->bias + first, op->scale + first, values);
}

static __attribute__((noinline)) void words_all(const nk_op *op, const int32_t *made, float *heads) {
    float values[PAIRS_MADE] __attribute__((aligned(64)));
    for (int first = 0; first < op->out_channels; first += PAIRS_SIX) {
        words_six(op, made, first, values);
        pairs_heads(op, values, first, heads, 1);
    }
}

static void words_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    float *values = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *heads = values + line_values(op);
    int32_t *made = (int32_t *)(heads + (size_t)(op->shuffle * op->shuffle) * LINE_STEP);
    nk_line line;
    line_start(op, in, row0, row1, piece, &line, values, heads);
    words_input(op, values, made);
    words_all(op, made, heads);
    line_store(op, &line, heads, out);
}

#endif
#endif
