/* From the sums of a Winograd stage to its output.

   Sums of a line of POINTS positions are transformed back while they are in the first-level cache. Where a tile has
   lines in both directions, the results wait as `half` for the lines below. A strand is what the last transform gives:
   `tall` pixels below each other, or, where a tile is one row, `wide` side by side. */
#ifndef NK_WINO_BACK_H
#define NK_WINO_BACK_H

#include "activation.h"
#include "fused.h"
#include "narrow.h"
#include "store.h"
#include "wino_plan.h"
#include "winograd.h"

/* m results from POINTS vectors, `step` floats apart. integers: they count units, and `raw` ones are no floats yet. */
NK_INLINE void back(const float *from, size_t step, const float *axis, const int integers, const int raw, vf *out,
                    const int m) {
    vf d[POINTS];
    NK_UNROLL for (int k = 0; k < POINTS; k++)
        d[k] = raw ? vtofloat(*(const vi_any *)(const void *)(from + (size_t)k * step)) : vload(from + (size_t)k * step);
    if (integers) transform_sums(d, out, axis, m);
    else transform_output(d, out, m);
}

/* The first transform of line `line` of some tiles, where there are two. */
NK_INLINE void line_back(const nk_op *op, const nk_plan *p, const float *sums, const int integers, int vectors, int tiles,
                         int line, float *half, const int wide) {
    const size_t pitch = p->pitch, step = p->tile_step;
    const float *axis = op->axes + NK_AXIS;
    for (int t = 0; t < tiles; t++) {
        const float *from = sums + (size_t)t * pitch;
        float *to = half + (size_t)t * step + (size_t)line * NK_LANES;
        for (int j = 0; j < vectors; j++, from += NK_LANES, to += wide * POINTS * NK_LANES) {
            vf out[6];
            back(from, pitch * (size_t)p->batch, axis, integers, integers, out, wide);
            NK_UNROLL for (int c = 0; c < wide; c++) vstore(to + (size_t)(c * POINTS) * NK_LANES, out[c]);
        }
    }
}

/* One strand of vector `vector` of the output, the j-th of those in `from`: half, or the sums of the only line. */
NK_INLINE void strand(const nk_op *op, const nk_plan *p, const float *from, const int integers, int vector, int j,
                      int t, int c, vf *out, const int tall, const int wide) {
    const int m = tall > 1 ? tall : wide, channel = vector * NK_LANES;
    const vf bias = vload(op->bias + channel);
    if (tall > 1 && wide > 1) {
        back(from + (size_t)t * p->tile_step + (size_t)((j * wide + c) * POINTS) * NK_LANES, NK_LANES, op->axes,
             integers, 0, out, m);
    } else {
        back(from + (size_t)t * p->pitch + (size_t)(j * NK_LANES), p->pitch * (size_t)p->batch,
             tall > 1 ? op->axes : op->axes + NK_AXIS, integers, integers, out, m);
    }
    if (integers) {
        const vf unit = vload(op->scale + channel);
        NK_UNROLL for (int i = 0; i < m; i++) out[i] = out[i] * unit + bias;
    } else {
        NK_UNROLL for (int i = 0; i < m; i++) out[i] = out[i] + bias;
    }
    activate(out, m, op->act, op->slope, integers);
}

/* Ask for the memory that a strand will be stored to: its rows are far from each other, and waiting for them costs more
   than the transform. */
NK_INLINE void fetch_strand(float *const *rows, int step, int count, size_t bytes) {
    for (int i = 0; i < count; i++) __builtin_prefetch((char *)rows[i * step] + bytes, 1);
}

/* What is added to the output: its rows, and floats from one pixel to the next; integers where `units` is there. */
typedef struct {
    const float *rows[6];
    size_t step;
    const float *units;
} nk_added;

/* Add it to a strand of `count` pixels, at most m, from column x on. whole: where integers may be added. */
NK_INLINE void add_strand(const nk_added *added, int x, int channel, int left, vf *out, int count, const int m,
                          const int tall, const int whole) {
    const vlanes lanes = first_lanes(left);
    const size_t at = (size_t)x * added->step + (size_t)channel;
    if (whole && added->units) {
        const vf unit = vload(added->units + channel);
        NK_UNROLL for (int i = 0; i < m; i++)
            if (i < count) out[i] = out[i] + vwiden((const int16_t *)(const void *)added->rows[i] + at, left) * unit;
        return;
    }
    NK_UNROLL for (int i = 0; i < m; i++)
        if (i < count)
            out[i] = out[i] + vload_lanes(tall > 1 ? added->rows[i] + at : added->rows[0] + at + (size_t)i * added->step, lanes);
}

/* Store tiles where they lie inside the picture; x: column of the first. */
NK_INLINE void store_tiles(const nk_op *shared_op, const nk_plan *shared_plan, const float *from, const int integers,
                           int vector, int vectors, int x, int tiles, float *const *out_rows, const nk_added *added,
                           int rows, const int tall, const int wide) {
    const nk_op copy = *shared_op, *op = &copy; /* copies stay in registers, for no store can change them */
    const nk_plan plan = *shared_plan, *p = &plan;
    const size_t each = pixel_floats(op);
    nk_run runs[2 * NK_PANEL][NK_LANES];
    int found[2 * NK_PANEL];
    for (int j = 0; j < vectors; j++) found[j] = find_runs(shared_op, (vector + j) * NK_LANES, runs[j]);
    /* Vectors that share cache lines one after the other, others tile by tile. */
    const int shared = each % NK_LANES != 0, whole = integers && tall > 1 && wide > 1 && op->units;
    const size_t bytes = whole ? sizeof(int16_t) : sizeof(float);
    for (int i = 0; i < tiles * vectors; i++) {
        const int t = shared ? i / vectors : i % tiles, j = shared ? i % vectors : i / tiles;
        const int x0 = x + t * wide, columns = op->out_width - x0 < wide ? op->out_width - x0 : wide;
        for (int c = 0; c < (tall > 1 ? columns : 1); c++) {
            const size_t at = (size_t)(x0 + c) * each;
            vf out[6];
            if (tall > 1 && !shared)
                fetch_strand(out_rows + runs[j]->row, op->shuffle, rows, (at + wide * each + (size_t)runs[j]->offset) * bytes);
            strand(op, p, from, integers, vector + j, j, t, c, out, tall, wide);
            if (added) {
                const int channel = (vector + j) * NK_LANES;
                add_strand(added, x0 + c, channel, op->out_channels - channel, out, tall > 1 ? rows : columns,
                           tall > 1 ? tall : wide, tall, integers && tall > 1 && wide > 1);
            }
            if (whole)
                store_integers(runs[j], found[j], out_rows, op->shuffle, at, vload(op->units + (vector + j) * NK_LANES),
                               op->most, out, rows, tall);
            else if (tall > 1) store_pixels(runs[j], found[j], out_rows, op->shuffle, at, 0, out, rows, tall);
            else store_pixels(runs[j], found[j], out_rows, 0, at, each, out, columns, wide);
        }
    }
}

/* The same, handed to the head instead of stored; tile0: the first in the block. */
NK_INLINE void head_tiles(const nk_op *shared_op, const nk_plan *shared_plan, const float *from, const int integers,
                          int vector, int vectors, int tile0, int tiles, float *heads, const int tall, const int wide) {
    const nk_op copy = *shared_op, *op = &copy;
    const nk_plan plan = *shared_plan, *p = &plan;
    const int each = op->head->channels / NK_LANES, m = tall > 1 ? tall : wide, strands = tall > 1 ? wide : 1;
    const size_t step = fused_step(op);
    for (int j0 = 0, n; j0 < vectors; j0 += n) { /* neighbours of one place of the shuffle together */
        const int place = (vector + j0) / each, first = (vector + j0) % each;
        n = vectors - j0 < each - first ? vectors - j0 : each - first;
        const float *weights = (const float *)op->head->weights + first * NK_LANES;
        float *sums = heads + (size_t)(place * FUSED_OUTPUTS * strands) * step + (size_t)(tile0 * FUSED_PIXELS);
        for (int t = 0; t < tiles; t++) {
            for (int c = 0; c < strands; c++) {
                vf out[2 * NK_PANEL][6], products[FUSED_OUTPUTS][6] = {{{0}}};
                for (int j = 0; j < n; j++) {
                    vf v[6];
                    strand(op, p, from, integers, vector + j0 + j, j0 + j, t, c, v, tall, wide);
                    NK_UNROLL for (int i = 0; i < m; i++) out[j][i] = v[i];
                }
                NK_UNROLL for (int o = 0; o < FUSED_OUTPUTS; o++) {
                    for (int j = 0; j < n; j++) {
                        const vf weight = vload(weights + o * op->head->channels + j * NK_LANES);
                        NK_UNROLL for (int i = 0; i < m; i++) products[o][i] += out[j][i] * weight;
                    }
                }
                fused_add(products, m, sums + (size_t)c * step + (size_t)(t * FUSED_PIXELS), (size_t)strands * step);
            }
        }
    }
}

#endif
