/* Convolutions by Winograd's method, in float32 or with products of 16-bit integers.

   A tile of the output is tall x wide pixels, its input 8 positions in each direction that has taps (1 in the others),
   so 3x3, 5x5, 1x3, 3x1, 1x5, 5x1 and 1x1 are one code. A piece is `block` tiles of one row of tiles: transform all
   channels of the input; for each panel of output channels multiply at each position; transform back, add the bias,
   activate, shuffle, store. What a piece touches stays in the second-level cache.

   16 bits: a transformed value is counted in units of its position and channel, chosen so that twice the calibrated
   maximum fits; beyond that it saturates. The weights are scaled so that no sum can leave 32 bits. Units of sums are
   products of one factor per row of positions, one per column and one per output channel (`packing.py`). */
#ifndef NK_WINO_H
#define NK_WINO_H

#include "activation.h"
#include "fused.h"
#include "gemm.h"
#include "store.h"
#include "winograd.h"

typedef struct {
    int tall, wide;           /* output pixels of a tile */
    int down, across;         /* input positions of a tile */
    int positions, padded;    /* down * across; channels rounded up to 16 */
    int vectors;              /* of output channels */
    size_t value_step, sum_step; /* from one position to the next; odd numbers of cache lines, so that sets differ */
} nk_plan;

NK_INLINE int tile_of(int taps) { return taps == 1 ? 1 : 9 - taps; }

static nk_plan plan_of(const nk_op *op) {
    nk_plan p;
    p.tall = tile_of(op->kh), p.wide = tile_of(op->kw);
    p.down = op->kh == 1 ? 1 : 8, p.across = op->kw == 1 ? 1 : 8;
    p.positions = p.down * p.across;
    p.padded = up_to(op->channels, 16);
    p.vectors = (op->out_channels + NK_LANES - 1) / NK_LANES;
    p.value_step = (size_t)up_to(op->block, NK_ROWS) * (size_t)p.padded + 16;
    p.sum_step = (size_t)up_to(op->block, NK_ROWS) * NK_COLUMNS + 16;
    return p;
}

static size_t wino_scratch(const nk_op *op) {
    nk_plan p = plan_of(op);
    size_t own = (size_t)p.positions * (p.value_step + p.sum_step);
    return 4 * (own + (op->head ? fused_floats(op) : 0)) + 256;
}

/* Transformed input of one tile and one vector of channels: o[position], row by row. */
NK_INLINE void input_vector(const nk_op *op, const float *const *rows, int x0, int channel, const int down,
                            const int across, vf *o) {
    const int left = op->channels - channel, n = left < NK_LANES ? left : NK_LANES;
    const int inside = x0 >= 0 && x0 + across <= op->width && n == NK_LANES;
    vf grid[8][8], line[8], turned[8];
    for (int c = 0; c < across; c++) {
        const int x = x0 + c;
        const size_t at = (size_t)x * (size_t)op->channels + (size_t)channel;
        NK_UNROLL for (int r = 0; r < down; r++) {
            if (inside) {
                line[r] = rows[r] ? vload(rows[r] + at) : vset(0.0f);
            } else {
                line[r] = rows[r] && x >= 0 && x < op->width ? vload_n(rows[r] + at, n) : vset(0.0f);
            }
        }
        if (down == 8) transform_input(line, turned);
        NK_UNROLL for (int r = 0; r < down; r++) grid[r][c] = down == 8 ? turned[r] : line[r];
    }
    for (int r = 0; r < down; r++) {
        if (across == 8) transform_input(grid[r], o + r * 8);
        if (across == 1) o[r] = grid[r][0];
    }
}

NK_INLINE void input_tiles(const nk_op *op, const nk_plan *p, const float *const *rows, int tile0, int tiles,
                           float *values, const int down, const int across) {
    vf o[64];
    for (int t = 0; t < tiles; t++) {
        for (int c = 0; c < op->channels; c += NK_LANES) {
            input_vector(op, rows, (tile0 + t) * p->wide - op->left, c, down, across, o);
            float *to = values + (size_t)t * (size_t)p->padded + c;
            NK_UNROLL for (int k = 0; k < down * across; k++) vstore(to + (size_t)k * p->value_step, o[k]);
        }
    }
}

NK_INLINE void input_tiles16(const nk_op *op, const nk_plan *p, const float *const *rows, int tile0, int tiles,
                             int16_t *values, const int down, const int across) {
    vf o[64];
    for (int t = 0; t < tiles; t++) {
        for (int c = 0; c < op->channels; c += NK_LANES) {
            input_vector(op, rows, (tile0 + t) * p->wide - op->left, c, down, across, o);
            const float *norm = op->norm + c;
            int16_t *to = values + (size_t)t * (size_t)p->padded + c;
            NK_UNROLL for (int k = 0; k < down * across; k++)
                *(vh_any *)(to + (size_t)k * p->value_step) = vshort(o[k] * vload(norm + k * p->padded));
        }
    }
}

/* Transform back one vector of output channels of one tile. sums: position 0 of this tile and vector, floats, or with
   `integers` integers whose results are counted in units of `unit`. */
NK_INLINE void output_vector(const nk_op *op, const nk_plan *p, const float *sums, const int integers, vf unit, vf bias,
                             int rows, vf out[6][6], const int tall, const int wide) {
    const int down = tall == 1 ? 1 : 8, across = wide == 1 ? 1 : 8;
    vf half[6][8], line[8], column[6];
    for (int c = 0; c < across; c++) {
        NK_UNROLL for (int r = 0; r < down; r++) {
            const float *from = sums + (size_t)(r * across + c) * p->sum_step;
            __builtin_prefetch((const char *)from + 4 * NK_COLUMNS);
            line[r] = integers ? vtofloat(*(const vi_any *)(const void *)from) : vload(from);
        }
        if (tall > 1 && integers) transform_sums(line, column, op->axes, tall);
        if (tall > 1 && !integers) transform_output(line, column, tall);
        NK_UNROLL for (int r = 0; r < tall; r++) half[r][c] = tall > 1 ? column[r] : line[0];
    }
    for (int r = 0; r < rows; r++) {
        vf *back = out[r];
        if (wide == 1) back[0] = half[r][0];
        else if (integers) transform_sums(half[r], back, op->axes + NK_AXIS, wide);
        else transform_output(half[r], back, wide);
        NK_UNROLL for (int c = 0; c < wide; c++) back[c] = integers ? back[c] * unit + bias : back[c] + bias;
        activate(back, wide, op->act, op->slope, integers);
    }
}

/* One panel of sums to output channels, stored where they lie inside the picture. */
NK_INLINE void output_tiles(const nk_op *op, const nk_plan *p, const float *sums, const int integers, int vector,
                            int count, int tile0, int tiles, float *const *out_rows, int valid_rows,
                            const int tall, const int wide) {
    const size_t each = (size_t)(op->out_channels / op->shuffle);
    for (int j = 0; j < count; j++) {
        nk_run runs[NK_LANES];
        const int channel = (vector + j) * NK_LANES, run_count = find_runs(op, channel, runs);
        const vf bias = vload(op->bias + channel), unit = integers ? vload(op->scale + channel) : bias;
        for (int t = 0; t < tiles; t++) {
            const int x = (tile0 + t) * wide, columns = op->out_width - x < wide ? op->out_width - x : wide;
            vf out[6][6];
            output_vector(op, p, sums + (size_t)t * NK_COLUMNS + (size_t)(j * NK_LANES), integers, unit, bias, valid_rows,
                          out, tall, wide);
            for (int r = 0; r < valid_rows; r++)
                store_line(runs, run_count, out_rows + r * op->shuffle, (size_t)x * each, each, out[r], columns, wide);
        }
    }
}

/* The same, handed to the head instead of stored. */
NK_INLINE void output_to_head(const nk_op *op, const nk_plan *p, const float *sums, const int integers, int vector,
                              int count, int tiles, float *heads, int valid_rows, const int tall,
                              const int wide) {
    const int each = op->head->channels / NK_LANES;
    for (int t = 0; t < tiles; t++) {
        vf out[NK_PANEL][6][6];
        for (int j = 0; j < count; j++) {
            const int channel = (vector + j) * NK_LANES;
            const vf bias = vload(op->bias + channel), unit = integers ? vload(op->scale + channel) : bias;
            output_vector(op, p, sums + (size_t)t * NK_COLUMNS + (size_t)(j * NK_LANES), integers, unit, bias, valid_rows,
                          out[j], tall, wide);
        }
        for (int j = 0, n; j < count; j += n) { /* neighbours of one place of the shuffle together */
            const int place = (vector + j) / each;
            for (n = 1; j + n < count && (vector + j + n) / each == place;) n++;
            fused_add(op, fused_of(op, heads, place, t), out + j, n, (vector + j) % each, valid_rows, wide);
        }
    }
}

NK_INLINE void multiply(const nk_op *op, const nk_plan *p, const float *values, float *sums, int tiles, int vector,
                        const int count) {
    const float *weights = (const float *)op->weights + (size_t)vector * NK_LANES * (size_t)(p->positions * op->channels);
    for (int k = 0; k < p->positions; k++) {
        const float *v = values + (size_t)k * p->value_step;
        for (int t = 0; t < tiles; t += NK_ROWS) {
            const float *from = v + (size_t)t * (size_t)p->padded;
            product(&from, 1, (size_t)p->padded, weights, op->channels,
                    sums + (size_t)k * p->sum_step + (size_t)t * NK_COLUMNS, NK_COLUMNS, NK_ROWS, count);
        }
        weights += (size_t)op->channels * (size_t)count * NK_LANES;
    }
}

NK_INLINE void multiply16(const nk_op *op, const nk_plan *p, const int16_t *values, int32_t *sums, int tiles, int vector,
                          const int count) {
    const int pairs = (op->channels + 1) / 2;
    const int32_t *weights = (const int32_t *)op->weights + (size_t)vector * NK_LANES * (size_t)(p->positions * pairs);
    for (int k = 0; k < p->positions; k++) {
        const int32_t *v = (const int32_t *)(const void *)(values + (size_t)k * p->value_step);
        for (int t = 0; t < tiles; t += NK_ROWS)
            product16(v + (size_t)t * (size_t)(p->padded / 2), (size_t)p->padded / 2, weights, pairs,
                      sums + (size_t)k * p->sum_step + (size_t)t * NK_COLUMNS, NK_COLUMNS, NK_ROWS, count);
        weights += (size_t)pairs * (size_t)count * NK_LANES;
    }
}

static void multiply_any(const nk_op *op, const nk_plan *p, const void *values, void *sums, int tiles, int vector,
                         int count) {
    if (op->kind == NK_WINO16) {
        if (count == 3) multiply16(op, p, values, sums, tiles, vector, 3);
        else if (count == 2) multiply16(op, p, values, sums, tiles, vector, 2);
        else multiply16(op, p, values, sums, tiles, vector, 1);
    } else {
        if (count == 3) multiply(op, p, values, sums, tiles, vector, 3);
        else if (count == 2) multiply(op, p, values, sums, tiles, vector, 2);
        else multiply(op, p, values, sums, tiles, vector, 1);
    }
}

static int wino_pieces(const nk_op *op, int row0, int row1) {
    nk_plan p = plan_of(op);
    int across = (op->out_width + p.wide - 1) / p.wide;
    return (row1 - row0 + p.tall - 1) / p.tall * ((across + op->block - 1) / op->block) * op->groups;
}

NK_INLINE void wino_run(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch,
                        const int tall, const int wide) {
    const nk_plan p = plan_of(op);
    const int across = (op->out_width + wide - 1) / wide, blocks = (across + op->block - 1) / op->block;
    const int group = piece % op->groups, tile0 = piece / op->groups % blocks * op->block;
    const int y = row0 + piece / op->groups / blocks * tall;
    const int tiles = across - tile0 < op->block ? across - tile0 : op->block;
    const int valid = row1 - y < tall ? row1 - y : tall;
    const int down = tall == 1 ? 1 : 8, sideways = wide == 1 ? 1 : 8;
    const float *rows[8];
    float *out_rows[6 * 16];
    for (int r = 0; r < down; r++) {
        const int from = y + r - op->top;
        rows[r] = from < 0 || from >= op->height ? NULL : nk_row(in, from);
    }
    for (int r = 0; r < valid * op->shuffle; r++) out_rows[r] = nk_row(out, y * op->shuffle + r);

    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    float *values = sums + (size_t)p.positions * p.sum_step;
    float *heads = values + (size_t)p.positions * p.value_step;
    const int wide16 = op->kind == NK_WINO16;
    if (op->head) memset(heads, 0, sizeof(float) * fused_floats(op));
    if (wide16) input_tiles16(op, &p, rows, tile0, tiles, (int16_t *)(void *)values, down, sideways);
    else input_tiles(op, &p, rows, tile0, tiles, values, down, sideways);
    const int panels = (p.vectors + NK_PANEL - 1) / NK_PANEL;
    for (int panel = panels * group / op->groups; panel < panels * (group + 1) / op->groups; panel++) {
        const int vector = panel_start(panel, p.vectors), count = panel_start(panel + 1, p.vectors) - vector;
        multiply_any(op, &p, values, sums, tiles, vector, count);
        if (op->head) output_to_head(op, &p, sums, wide16, vector, count, tiles, heads, valid, tall, wide);
        else if (wide16) output_tiles(op, &p, sums, 1, vector, count, tile0, tiles, out_rows, valid, tall, wide);
        else output_tiles(op, &p, sums, 0, vector, count, tile0, tiles, out_rows, valid, tall, wide);
    }
    if (op->head) fused_store(op, heads, out, y, tile0 * wide, tiles, valid, wide);
}

static void wino_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    switch (op->kh * 8 + op->kw) {
    case 3 * 8 + 3: wino_run(op, in, out, row0, row1, piece, scratch, 6, 6); break;
    case 5 * 8 + 5: wino_run(op, in, out, row0, row1, piece, scratch, 4, 4); break;
    case 3 * 8 + 1: wino_run(op, in, out, row0, row1, piece, scratch, 6, 1); break;
    case 1 * 8 + 3: wino_run(op, in, out, row0, row1, piece, scratch, 1, 6); break;
    case 5 * 8 + 1: wino_run(op, in, out, row0, row1, piece, scratch, 4, 1); break;
    case 1 * 8 + 5: wino_run(op, in, out, row0, row1, piece, scratch, 1, 4); break;
    default: wino_run(op, in, out, row0, row1, piece, scratch, 1, 1); break;
    }
}

/* Calibration: raise peak[position][padded] to the magnitudes of the whole transformed input. */
NK_INLINE void peak_of(const nk_op *op, const float *in, float *peak, const int down, const int across) {
    const nk_plan p = plan_of(op);
    vf o[64];
    for (int y = 0; y < op->out_height; y += p.tall) {
        const float *rows[8];
        for (int r = 0; r < down; r++) {
            const int from = y + r - op->top;
            rows[r] = from < 0 || from >= op->height ? NULL : in + (size_t)from * (size_t)(op->width * op->channels);
        }
        for (int x = 0; x < op->out_width; x += p.wide) {
            for (int c = 0; c < op->channels; c += NK_LANES) {
                input_vector(op, rows, x - op->left, c, down, across, o);
                for (int k = 0; k < down * across; k++) {
                    float *to = peak + k * p.padded + c;
                    vstore(to, vmax(vload(to), vabs(o[k])));
                }
            }
        }
    }
}

static void wino_peak(const nk_op *op, const float *in, float *peak) {
    if (op->kh > 1 && op->kw > 1) peak_of(op, in, peak, 8, 8);
    else if (op->kh > 1) peak_of(op, in, peak, 8, 1);
    else if (op->kw > 1) peak_of(op, in, peak, 1, 8);
    else peak_of(op, in, peak, 1, 1);
}

#endif
