/* `line.h` with products in pairs, for processors that add beside multiplying: with a of the tiles and b the weights of two
   channels

       a1 b1 + a2 b2 = (a1 + b2) (a2 + b1) - a1 a2 - b1 b2.

   All that is taken off is known before: a1 a2 is the same for all outputs, b1 b2 for all tiles (Python packs it), and the
   sums begin with both. So two channels cost one multiplication and two additions, which are free where adders are not
   the multipliers (AMD's); elsewhere this is slower than `line.h`. Of three channels the third is multiplied as ever: then
   there are as many additions as multiplications.
   Source: S. Winograd, "A new algorithm for inner product", IEEE Trans. Computers C-17, 1968.

   What is added must be of like size, or the smaller loses its last bits. Python gives each position and channel a power of
   two that goes from the weights to the tiles, and each output one that goes to its sums (`packing.py`); each tile is
   divided by a power of two of its own, that of its largest value. All these are exact, and none depends on which tiles are
   computed together.

   Six outputs at four positions make the 24 sums: more outputs than in `line.h`, for each value read serves all of them.
   The activation is SiLU, LRConv's; one whose tables want registers would take back most of what the pairs save. */
#ifndef NK_LINE_PAIRS_H
#define NK_LINE_PAIRS_H

#include "line.h"

#if defined(NK_AVX512)

#define PAIRS_SIX 6    /* output channels at a time; Python packs by the same number */
#define PAIRS_HALF 4   /* positions at a time, in the order of PAIRS_ORDER */
#define PAIRS_GROUP 3  /* channels: a pair and one more */
#define PAIRS_VALUES (PAIRS_HALF * LINE_TILES) /* floats of the values of a channel, */
#define PAIRS_WEIGHTS (PAIRS_HALF * PAIRS_SIX) /* of its weights, */
#define PAIRS_MADE (LINE_WIDE * PAIRS_SIX * LINE_TILES) /* and of six outputs */

/* The positions whose sums and differences `transform_output` needs side by side; Python packs in the same order. */
static const int PAIRS_ORDER[LINE_POINTS] = {1, 2, 3, 4, 5, 6, 0, 7};

static int pairs_channels(const nk_op *op) { return up_to(op->channels, PAIRS_GROUP); }

/* Floats of the values of a half: those of all channels behind what is taken off. */
static size_t pairs_half(const nk_op *op) { return (size_t)(1 + pairs_channels(op)) * PAIRS_VALUES; }

/* Floats of the weights of a half and six outputs: what is taken off, and those of all channels. */
static size_t pairs_weights(const nk_op *op) { return (size_t)(1 + pairs_channels(op)) * PAIRS_WEIGHTS; }

static size_t pairs_scratch(const nk_op *op) { return line_scratch(op) + 4 * 2 * pairs_half(op); }

/* The largest power of two that is no more than a tile's largest magnitude, channels counting as their weights do. */
NK_INLINE vf pairs_unit(const nk_op *op, const float *values) {
    vf largest = vset(0x1p-100f);
    for (int c = 0; c < op->channels; c++) {
        vf most = {0}; /* of both magnitudes the larger: one instruction */
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++, values += LINE_TILES)
            most = (vf)_mm512_range_ps((__m512)most, (__m512)vload(values), 0x0b);
        largest = vmax(largest, most * op->norm[c * LINE_POINTS]);
    }
    return (vf)((vi)vmin(largest, vset(0x1p100f)) & 0x7f800000);
}

/* Winograd's transform of a channel, in units, into both halves. */
NK_INLINE void pairs_transform(const nk_op *op, const float *values, int c, vf scale, float *made, vf out[LINE_POINTS]) {
    const float *norm = op->norm + c * LINE_POINTS;
    vf v[LINE_POINTS];
    if (c < op->channels) line_transform(values + (size_t)c * LINE_POINTS * LINE_TILES, v);
    else memset(v, 0, sizeof v);
    NK_UNROLL for (int n = 0; n < LINE_POINTS; n++) {
        out[n] = v[PAIRS_ORDER[n]] * (norm[n] * scale);
        vstore(made + n / PAIRS_HALF * pairs_half(op) + (1 + c) * PAIRS_VALUES + n % PAIRS_HALF * LINE_TILES, out[n]);
    }
}

/* made: [half][what is taken off, channel][position][tile]. Returns what 1 is worth in each tile. */
static __attribute__((noinline)) vf pairs_input(const nk_op *op, const float *values, float *made) {
    const vf worth = pairs_unit(op, values), scale = 1.0f / worth;
    vf off[LINE_POINTS] = {{0}}, first[LINE_POINTS], second[LINE_POINTS], other[LINE_POINTS];
    for (int c = 0; c < op->channels; c += PAIRS_GROUP) {
        pairs_transform(op, values, c, scale, made, first);
        pairs_transform(op, values, c + 1, scale, made, second);
        pairs_transform(op, values, c + 2, scale, made, other);
        NK_UNROLL for (int n = 0; n < LINE_POINTS; n++) off[n] -= first[n] * second[n];
    }
    NK_UNROLL for (int n = 0; n < LINE_POINTS; n++)
        vstore(made + n / PAIRS_HALF * pairs_half(op) + n % PAIRS_HALF * LINE_TILES, off[n]);
    return worth;
}

/* Add the products of a pair of channels, and of one more. */
NK_INLINE void pairs_group(vf sums[PAIRS_SIX][PAIRS_HALF], const float *values, const float *weights) {
    NK_UNROLL for (int p = 0; p < PAIRS_HALF; p++, values += LINE_TILES, weights += PAIRS_SIX) {
        vf a1 = vload(values), a2 = vload(values + PAIRS_VALUES), single = vload(values + 2 * PAIRS_VALUES);
        NK_KEEP(a1);
        NK_KEEP(a2);
        NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++)
            sums[i][p] += (a1 + weights[PAIRS_WEIGHTS + i]) * (a2 + weights[i]);
        NK_KEEP(single);
        NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++) sums[i][p] += single * weights[2 * PAIRS_WEIGHTS + i];
    }
}

/* Sums of half the positions. */
NK_INLINE void pairs_sums(vf out[PAIRS_SIX][PAIRS_HALF], const float *values, const float *weights, int groups) {
    vf sums[PAIRS_SIX][PAIRS_HALF];
    NK_UNROLL for (int p = 0; p < PAIRS_HALF; p++) {
        vf off = vload(values + p * LINE_TILES);
        NK_KEEP(off);
        NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++) sums[i][p] = off + weights[p * PAIRS_SIX + i];
    }
    values += PAIRS_VALUES, weights += PAIRS_WEIGHTS;
    for (int g = 0; g < groups; g++, values += PAIRS_GROUP * PAIRS_VALUES, weights += PAIRS_GROUP * PAIRS_WEIGHTS)
        pairs_group(sums, values, weights);
    memcpy(out, sums, sizeof sums);
}

/* Sums and differences of positions 1 and 2, 3 and 4. */
NK_INLINE void pairs_keep(vf sums[PAIRS_SIX][PAIRS_HALF], float *kept) {
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++, kept += PAIRS_VALUES) {
        vstore(kept, sums[i][0] + sums[i][1]), vstore(kept + LINE_TILES, sums[i][0] - sums[i][1]);
        vstore(kept + 2 * LINE_TILES, sums[i][2] + sums[i][3]), vstore(kept + 3 * LINE_TILES, sums[i][2] - sums[i][3]);
    }
}

/* The rest of the transform back, as in `transform_output`, and the bias. sums: of positions 5, 6, 0 and 7. */
NK_INLINE void pairs_back(vf sums[PAIRS_SIX][PAIRS_HALF], const float *kept, const float *bias,
                          const float *scale, vf unit, float *values) {
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++, kept += PAIRS_VALUES) {
        vf p1 = vload(kept), q1 = vload(kept + LINE_TILES), p2 = vload(kept + 2 * LINE_TILES);
        vf q2 = vload(kept + 3 * LINE_TILES), p3 = sums[i][0] + sums[i][1], q3 = sums[i][0] - sums[i][1], out[LINE_WIDE];
        const vf worth = unit * scale[i];
        out[0] = sums[i][2] + p1 + p2 + p3;
        out[1] = q1 + 2.0f * q2 + 0.5f * q3;
        out[2] = p1 + 4.0f * p2 + 0.25f * p3;
        out[3] = q1 + 8.0f * q2 + 0.125f * q3;
        out[4] = p1 + 16.0f * p2 + 0.0625f * p3;
        out[5] = q1 + 32.0f * q2 + 0.03125f * q3 + sums[i][3];
        NK_UNROLL for (int x = 0; x < LINE_WIDE; x++)
            vstore(values + (x * PAIRS_SIX + i) * LINE_TILES, out[x] * worth + bias[i]);
    }
}

/* Six outputs from `first` on, before the activation. values: [pixel][output][tile]. */
static __attribute__((noinline)) void pairs_six(const nk_op *op, const float *made, int first, vf unit, float *values) {
    const int groups = pairs_channels(op) / PAIRS_GROUP;
    const float *weights = (const float *)op->weights + (size_t)(first / PAIRS_SIX) * 2 * pairs_weights(op);
    float kept[PAIRS_SIX * PAIRS_VALUES] __attribute__((aligned(64)));
    vf sums[PAIRS_SIX][PAIRS_HALF];
    pairs_sums(sums, made, weights, groups);
    pairs_keep(sums, kept);
    pairs_sums(sums, made + pairs_half(op), weights + pairs_weights(op), groups);
    pairs_back(sums, kept, op->bias + first, op->scale + first, unit, values);
}

/* Activate pixel x of six outputs, roughly for integers, and add them to the sums of the head, whose weights for one of its
   outputs are `each`. */
NK_INLINE void pairs_head(const float *values, const float *weights, int each, float *heads, int x, const int rough) {
    float *to = heads + x * LINE_TILES;
    vf v[PAIRS_SIX], sums[LINE_HEAD];
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++) {
        const vf value = vload(values + (x * PAIRS_SIX + i) * LINE_TILES);
        v[i] = rough ? vsilu_rough(value) : vsilu(value);
    }
    NK_UNROLL for (int o = 0; o < LINE_HEAD; o++) sums[o] = vload(to + o * (LINE_WIDE * LINE_TILES));
    NK_UNROLL for (int i = 0; i < PAIRS_SIX; i++)
        NK_UNROLL for (int o = 0; o < LINE_HEAD; o++) sums[o] += v[i] * weights[o * each + i];
    NK_UNROLL for (int o = 0; o < LINE_HEAD; o++) vstore(to + o * (LINE_WIDE * LINE_TILES), sums[o]);
}

/* All pixels of the six outputs from `first` on. */
NK_INLINE void pairs_heads(const nk_op *op, const float *values, int first, float *heads, const int rough) {
    const int each = op->head->channels;
    const float *weights = (const float *)op->head->weights + first % each;
    float *to = heads + (size_t)(first / each) * LINE_STEP;
    NK_UNROLL for (int x = 0; x < LINE_WIDE; x++) pairs_head(values, weights, each, to, x, rough);
}

/* All outputs, six by six. Activation and head are no part of the loop of products: both together have too few registers,
   and what is stored for want of them holds up multiplications. */
static __attribute__((noinline)) void pairs_all(const nk_op *op, const float *made, vf unit, float *heads) {
    float values[PAIRS_MADE] __attribute__((aligned(64)));
    for (int first = 0; first < op->out_channels; first += PAIRS_SIX) {
        pairs_six(op, made, first, unit, values);
        pairs_heads(op, values, first, heads, 0);
    }
}

static void pairs_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    float *values = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *heads = values + line_values(op);
    float *made = heads + (size_t)(op->shuffle * op->shuffle) * LINE_STEP;
    nk_line line;
    line_start(op, in, row0, row1, piece, &line, values, heads);
    const vf unit = pairs_input(op, values, made);
    pairs_all(op, made, unit, heads);
    line_store(op, &line, heads, out);
}

#endif
#endif
