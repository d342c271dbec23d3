/* A 1x3 Winograd stage with a 1x1 head behind it, lanes being tiles: the second half of LRConv's pair, which has few
   channels to read and many to make.

   A piece is LINE_TILES tiles of 6 pixels of a strip, one in each lane, whichever rows they lie in: 8 positions of a few
   channels, which stay in the first-level cache. The sums of all positions of three output channels stay in registers,
   are transformed back there, activated, and added to the sums of the head; nothing of the stage reaches memory, and no
   lanes are added up, as they are in `wino.h`, where they are output channels.

   It needs 24 registers for sums, so only AVX-512 has it; elsewhere, and for other stages, Python plans `wino.h`. */
#ifndef NK_LINE_H
#define NK_LINE_H

#include "activation.h"
#include "nk.h"
#include "simd.h"
#include "turn.h"
#include "winograd.h"

#if defined(NK_AVX512)

#define LINE_POINTS 8
#define LINE_WIDE 6 /* pixels of a tile */
#define LINE_TILES NK_LANES
#define LINE_TRIO 3 /* output channels at a time: 24 sums; Python packs by the same number */
#define LINE_HEAD 3 /* outputs of the head */
#define LINE_STEP (LINE_HEAD * LINE_WIDE * LINE_TILES) /* floats of the head's sums of one place of the shuffle */

/* The tiles of a piece. */
typedef struct {
    int count;                     /* of those that exist */
    int x[LINE_TILES];             /* first column of the output */
    int y[LINE_TILES];             /* its row */
    const float *from[LINE_TILES]; /* position 0 of the input, */
    int inside[LINE_TILES];        /* and a bit for each position that lies in the picture */
} nk_line;

static int line_across(const nk_op *op) { return (op->out_width + LINE_WIDE - 1) / LINE_WIDE; }

static int line_pieces(const nk_op *op, int row0, int row1) {
    return ((row1 - row0) * line_across(op) + LINE_TILES - 1) / LINE_TILES;
}

/* Where the tiles of piece `piece` lie. */
static void line_find(const nk_op *op, const nk_map *in, int row0, int row1, int piece, nk_line *line) {
    const int across = line_across(op), first = piece * LINE_TILES, left = (row1 - row0) * across - first;
    line->count = left < LINE_TILES ? left : LINE_TILES;
    for (int t = 0; t < LINE_TILES; t++) {
        line->x[t] = (first + t) % across * LINE_WIDE, line->y[t] = row0 + (first + t) / across;
        const int x = line->x[t] - op->left, y = line->y[t] - op->top, exists = t < line->count && y >= 0 && y < op->height;
        line->inside[t] = 0;
        for (int p = 0; p < LINE_POINTS; p++) line->inside[t] |= (exists && x + p >= 0 && x + p < op->width) << p;
        line->from[t] = nk_row(in, exists ? y : 0) + (ptrdiff_t)x * op->channels;
    }
}

static size_t line_values(const nk_op *op) { return (size_t)up_to(op->channels, 2) * LINE_POINTS * LINE_TILES; }

static size_t line_scratch(const nk_op *op) {
    const size_t heads = (size_t)(op->shuffle * op->shuffle) * LINE_STEP;
    return 4 * (line_values(op) + heads) + 256;
}

/* Position p of every tile, sixteen channels from c on, turned so that tiles are lanes: [channel][position][tile]. */
static void line_gather(const nk_op *op, const nk_line *line, int c, int p, float *values) {
    const int left = op->channels - c, kept = up_to(left < NK_LANES ? left : NK_LANES, 2);
    const vlanes lanes = first_lanes(left);
    vf v[LINE_TILES];
    NK_UNROLL for (int t = 0; t < LINE_TILES; t++) {
        const vlanes read = (vlanes)(-(line->inside[t] >> p & 1) & lanes);
        v[t] = vload_lanes(line->from[t] + p * op->channels + c, read);
    }
    turn(v);
    for (int k = 0; k < kept; k++) vstore(values + (size_t)((c + k) * LINE_POINTS + p) * LINE_TILES, v[k]);
}

NK_INLINE void line_transform(const float *values, vf out[LINE_POINTS]) {
    vf d[LINE_POINTS];
    NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) d[p] = vload(values + p * LINE_TILES);
    transform_input(d, out);
}

/* One channel's 16-bit integers, in 32 bits. */
NK_INLINE void line_round(const nk_op *op, int channel, vf v[LINE_POINTS], vi out[LINE_POINTS]) {
    const int padded = up_to(op->channels, 16);
    NK_UNROLL for (int p = 0; p < LINE_POINTS; p++)
        out[p] = __builtin_convertvector(vshort(v[p] * op->norm[p * padded + channel]), vi);
}

/* Winograd's transform of all channels in place; of integers pairs of channels come out. */
NK_INLINE void line_input(const nk_op *op, float *values, const int whole) {
    const size_t step = LINE_POINTS * LINE_TILES;
    vf v[LINE_POINTS];
    for (int c = 0; c < op->channels; c += whole ? 2 : 1) {
        line_transform(values + (size_t)c * step, v);
        if (!whole) {
            NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) vstore(values + (size_t)c * step + p * LINE_TILES, v[p]);
            continue;
        }
        vi low[LINE_POINTS], high[LINE_POINTS];
        line_round(op, c, v, low);
        line_transform(values + (size_t)(c + 1) * step, v);
        line_round(op, c + 1, v, high); /* the norm of a channel that is not there is 0 */
        int32_t *to = (int32_t *)(void *)values + (size_t)(c / 2) * step;
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++)
            *(vi_any *)(to + p * LINE_TILES) = (low[p] & 0xffff) | (high[p] << 16);
    }
}

/* Sums of all positions of a trio of output channels. */
NK_INLINE void line_sums(const float *values, const float *weights, int depth, vf out[LINE_TRIO][LINE_POINTS]) {
    vf sums[LINE_TRIO][LINE_POINTS] = {{{0}}};
    for (int k = 0; k < depth; k++, weights += LINE_POINTS * LINE_TRIO, values += LINE_POINTS * LINE_TILES) {
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) {
            vf v = vload(values + p * LINE_TILES);
            NK_KEEP(v);
            NK_UNROLL for (int i = 0; i < LINE_TRIO; i++) sums[i][p] += v * weights[p * LINE_TRIO + i];
        }
    }
    memcpy(out, sums, sizeof sums);
}

/* The same of 16-bit integers in pairs: depth counts pairs. */
NK_INLINE void line_sums16(const int32_t *values, const int32_t *weights, int depth, vf out[LINE_TRIO][LINE_POINTS]) {
    vi sums[LINE_TRIO][LINE_POINTS] = {{{0}}};
    for (int k = 0; k < depth; k++, weights += LINE_POINTS * LINE_TRIO, values += LINE_POINTS * LINE_TILES) {
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) {
            vi v = *(const vi_any *)(values + p * LINE_TILES);
            NK_KEEP(v);
            NK_UNROLL for (int i = 0; i < LINE_TRIO; i++)
                sums[i][p] = vdot16(sums[i][p], v, (vi){0} + weights[p * LINE_TRIO + i]);
        }
    }
    NK_UNROLL for (int i = 0; i < LINE_TRIO; i++)
        NK_UNROLL for (int p = 0; p < LINE_POINTS; p++) out[i][p] = vtofloat(sums[i][p]);
}

/* Add a trio's output to the sums of the head. heads: [output][pixel][tile] of the trio's place in the shuffle. */
NK_INLINE void line_head(const nk_op *op, int trio, vf out[LINE_TRIO][LINE_WIDE], float *heads) {
    const int each = op->head->channels, first = trio * LINE_TRIO;
    const float *weights = (const float *)op->head->weights + first % each;
    float *to = heads + (size_t)(first / each) * LINE_STEP;
    vf weight[LINE_HEAD][LINE_TRIO];
    NK_UNROLL for (int o = 0; o < LINE_HEAD; o++) {
        NK_UNROLL for (int i = 0; i < LINE_TRIO; i++) {
            weight[o][i] = vset(weights[o * each + i]);
            NK_KEEP(weight[o][i]);
        }
    }
    NK_UNROLL for (int x = 0; x < LINE_WIDE; x++, to += LINE_TILES) {
        vf v[LINE_TRIO];
        NK_UNROLL for (int i = 0; i < LINE_TRIO; i++) {
            v[i] = out[i][x];
            NK_KEEP(v[i]);
        }
        NK_UNROLL for (int o = 0; o < LINE_HEAD; o++) {
            vf sum = vload(to + o * (LINE_WIDE * LINE_TILES));
            NK_UNROLL for (int i = 0; i < LINE_TRIO; i++) sum += v[i] * weight[o][i];
            vstore(to + o * (LINE_WIDE * LINE_TILES), sum);
        }
    }
}

/* All trios: products of one and their transform back, the head's of the one before, then the activation, whose results
   take long, and which nobody waits for. */
NK_INLINE void line_all(const nk_op *op, const float *values, float *heads, const int whole) {
    const int depth = whole ? (op->channels + 1) / 2 : op->channels, trios = op->out_channels / LINE_TRIO;
    const size_t step = (size_t)depth * LINE_POINTS * LINE_TRIO;
    vf sums[LINE_TRIO][LINE_POINTS], v[LINE_TRIO][LINE_WIDE], out[LINE_TRIO][LINE_WIDE];
    for (int trio = 0; trio < trios; trio++) {
        const float *weights = (const float *)op->weights + (size_t)trio * step;
        if (whole) line_sums16((const int32_t *)values, (const int32_t *)weights, depth, sums);
        else line_sums(values, weights, depth, sums);
        NK_UNROLL for (int i = 0; i < LINE_TRIO; i++) {
            const float bias = op->bias[trio * LINE_TRIO + i], unit = whole ? op->scale[trio * LINE_TRIO + i] : 1.0f;
            if (whole) transform_sums(sums[i], v[i], op->axes + NK_AXIS, LINE_WIDE);
            else transform_output(sums[i], v[i], LINE_WIDE);
            NK_UNROLL for (int x = 0; x < LINE_WIDE; x++) v[i][x] = whole ? v[i][x] * unit + bias : v[i][x] + bias;
        }
        if (trio) line_head(op, trio - 1, out, heads);
        NK_UNROLL for (int i = 0; i < LINE_TRIO; i++) {
            activate(v[i], LINE_WIDE, op->act, op->slope, whole);
            NK_UNROLL for (int x = 0; x < LINE_WIDE; x++) out[i][x] = v[i][x];
        }
    }
    line_head(op, trios - 1, out, heads);
}

/* Functions of their own, for within a larger one the compiler runs out of registers. */
static __attribute__((noinline)) void all_floats(const nk_op *op, const float *values, float *heads) {
    line_all(op, values, heads, 0);
}

static __attribute__((noinline)) void all_integers(const nk_op *op, const float *values, float *heads) {
    line_all(op, values, heads, 1);
}

/* Row i of the shuffle of output o into its plane: tiles become rows of memory again, sixteen floats at a time. */
static void line_row(const nk_op *op, const nk_line *line, const float *heads, int o, int i, float *plane) {
    const int s = op->shuffle;
    for (int from = 0; from < LINE_WIDE * s; from += NK_LANES) {
        vf v[LINE_TILES];
        for (int q = from; q < from + NK_LANES; q++) {
            const int place = i * s + q % s, at = (place * LINE_HEAD + o) * LINE_WIDE + q / s;
            v[q - from] = q < LINE_WIDE * s ? vload(heads + (size_t)at * LINE_TILES) : (vf){0};
        }
        turn(v);
        for (int t = 0; t < line->count; t++) {
            const int right = op->out_width - line->x[t], wide = right < LINE_WIDE ? right : LINE_WIDE;
            const int left = wide * s - from, count = left < NK_LANES ? left : NK_LANES;
            float *to = plane + (size_t)(line->y[t] * s + i) * (size_t)(op->out_width * s) + line->x[t] * s + from;
            if (count > 0) vstore_part(to, v[t], 0, count);
        }
    }
}

static void line_store(const nk_op *op, const nk_line *line, float *heads, nk_map *out) {
    const nk_op *head = op->head;
    const int s = op->shuffle;
    const size_t plane = (size_t)(op->out_height * s) * (size_t)(op->out_width * s);
    for (int n = 0; n < s * s * LINE_HEAD; n++) {
        float *at = heads + (size_t)n * LINE_WIDE * LINE_TILES;
        vf v[LINE_WIDE];
        NK_UNROLL for (int x = 0; x < LINE_WIDE; x++) v[x] = vload(at + x * LINE_TILES) + head->bias[n % LINE_HEAD];
        activate(v, LINE_WIDE, head->act, head->slope, 0);
        NK_UNROLL for (int x = 0; x < LINE_WIDE; x++) vstore(at + x * LINE_TILES, v[x]);
    }
    for (int o = 0; o < LINE_HEAD; o++)
        for (int i = 0; i < s; i++) line_row(op, line, heads, o, i, out->base + (size_t)o * plane);
}

/* Find the tiles of a piece, read them, and make the head's sums 0. */
static void line_start(const nk_op *op, const nk_map *in, int row0, int row1, int piece, nk_line *line, float *values,
                       float *heads) {
    line_find(op, in, row0, row1, piece, line);
    for (int c = 0; c < op->channels; c += NK_LANES)
        for (int p = 0; p < LINE_POINTS; p++) line_gather(op, line, c, p, values);
    memset(heads, 0, sizeof(float) * (size_t)(op->shuffle * op->shuffle) * LINE_STEP);
}

static void line_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    float *values = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *heads = values + line_values(op);
    nk_line line;
    line_start(op, in, row0, row1, piece, &line, values, heads);
    if (op->kind == NK_LINE16) {
        line_input(op, values, 1);
        all_integers(op, values, heads);
    } else {
        line_input(op, values, 0);
        all_floats(op, values, heads);
    }
    line_store(op, &line, heads, out);
}

#endif
#endif
