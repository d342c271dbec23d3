/* 1x1 convolutions with products of 16-bit integers: inputs are rounded to units per channel on their way in, sums of 32
   bits cannot overflow (`packing.py`), bias, activation and what is added are in float32. */
#ifndef NK_FLAT_H
#define NK_FLAT_H

#include "activation.h"
#include "gemm_half.h"
#include "narrow.h"
#include "store.h"

#define FLAT_PIXELS 4 /* that are stored together; a divisor of NK_ROWS */

/* 16-bit integers from one pixel to the next: every source ends in a whole vector. */
static size_t flat_pitch(const nk_op *op) { return (size_t)up_to(op->channels, 16) + 16; }

static size_t flat_scratch(const nk_op *op) {
    const size_t pixels = (size_t)up_to(op->block, NK_ROWS);
    return sizeof(int16_t) * pixels * flat_pitch(op) + sizeof(float) * pixels * NK_COLUMNS + 256;
}

/* The vector behind the last channel of a source is that of the next one, or pixel, and written after it. */
static void flat_round(const nk_op *op, const nk_map *in, int y, int x, int pixels, int16_t *to) {
    const size_t pitch = flat_pitch(op);
    for (int i = 0; i < pixels; i++, to += pitch) {
        int first = 0;
        for (const nk_map *map = in; map == in || map < in + op->sources; first += map->channels, map++) {
            const size_t at = (size_t)(x + i) * (size_t)map->step;
            if (map->narrow) {
                const int16_t *from = (const int16_t *)(const void *)nk_row(map, y) + at;
                for (int c = 0; c < map->channels; c += NK_LANES)
                    *(vh_any *)(to + first + c) = vh_load(from + c, map->channels - c);
                continue;
            }
            const float *from = nk_row(map, y) + at;
            for (int c = 0; c < map->channels; c += NK_LANES) {
                const vf v = vload_lanes(from + c, first_lanes(map->channels - c));
                *(vh_any *)(to + first + c) = vshort(v * vload(op->norm + first + c));
            }
        }
    }
}

/* Store pixels side by side as 16-bit integers, `units` of them to 1, within +- most. */
NK_INLINE void flat_integers(const nk_run *runs, int count, float *const *rows, size_t at, size_t each, vf units, int most,
                             const vf *values, int n) {
    vh whole[FLAT_PIXELS];
    NK_UNROLL for (int k = 0; k < FLAT_PIXELS; k++) whole[k] = vwithin(values[k] * units, most);
    for (int i = 0; i < count; i++) {
        int16_t *to = (int16_t *)(void *)rows[runs[i].row] + at + runs[i].offset;
        NK_UNROLL for (int k = 0; k < FLAT_PIXELS; k++)
            if (k < n) vhstore_part(to + (size_t)k * each, whole[k], runs[i].first, runs[i].count);
    }
}

/* Store one vector of output channels of a block of pixels. added: what is added, or NULL; whole: sums are integers. */
NK_INLINE void flat_store(const nk_op *op, const nk_map *added, float *const *rows, int y, int x, int pixels, int channel,
                          const float *sums, const int whole) {
    const size_t each = pixel_floats(op);
    const vf bias = vload(op->bias + channel), unit = whole ? vload(op->scale + channel) : vset(1.0f);
    const vf units = op->units ? vload(op->units + channel) : vset(0.0f);
    nk_run runs[NK_LANES];
    const int found = find_runs(op, channel, runs);
    const vlanes lanes = first_lanes(op->out_channels - channel);
    for (int i = 0; i < pixels; i += FLAT_PIXELS) {
        const int n = pixels - i < FLAT_PIXELS ? pixels - i : FLAT_PIXELS;
        const size_t at = (size_t)(x + i) * each;
        vf v[FLAT_PIXELS];
        NK_UNROLL for (int k = 0; k < FLAT_PIXELS; k++) {
            const float *from = sums + (size_t)(i + k) * NK_COLUMNS;
            v[k] = whole ? vtofloat(*(const vi_any *)(const void *)from) * unit + bias : vload(from) + bias;
        }
        activate(v, FLAT_PIXELS, op->act, op->slope, whole);
        for (int k = 0; added && k < n; k++) /* never a narrow map */
            v[k] = v[k] + vload_lanes(nk_row(added, y) + (size_t)(x + i + k) * (size_t)added->step + channel, lanes);
        if (op->units) flat_integers(runs, found, rows, at, each, units, op->most, v, n);
        else store_pixels(runs, found, rows, 0, at, each, v, n, FLAT_PIXELS);
    }
}

/* What a few pixels are computed from and where they go. */
typedef struct {
    const nk_op *op;
    const void *values;    /* the input: floats, or 16-bit integers in pairs; an even number of pixels can be read */
    size_t stride;         /* floats, or pairs, from one pixel to the next */
    const nk_map *added;   /* or NULL */
    float *const *rows;    /* of the output, one for each row of the shuffle */
    float *sums;           /* room for up_to(pixels, NK_ROWS) rows of NK_COLUMNS */
    int y, x, pixels;      /* the first pixel, counted before the shuffle */
} nk_flat;

/* Panels [panel, last) of them. */
NK_INLINE void flat_products(const nk_flat *w, int panel, int last, const int whole) {
    const nk_op *op = w->op;
    const int vectors = (op->out_channels + NK_LANES - 1) / NK_LANES, depth = whole ? (op->channels + 1) / 2 : op->channels;
    for (; panel < last; panel++) {
        const int vector = panel_start(panel, vectors), count = panel_start(panel + 1, vectors) - vector;
        const float *weights = (const float *)op->weights + (size_t)(vector * depth) * NK_LANES;
        const nk_ahead ahead = look_ahead(sizeof(float) * (size_t)(depth * count) * NK_LANES, depth, w->pixels);
        for (int i = 0; i < w->pixels; i += NK_ROWS) {
            const int rows = w->pixels - i < NK_ROWS ? w->pixels - i : NK_ROWS;
            nk_product *run = product_of(up_to(rows, 2) / 2 - 1, count, op->out_channels - vector * NK_LANES, whole);
            run((const float *)w->values + (size_t)i * w->stride, w->stride, weights, depth, w->sums + (size_t)i * NK_COLUMNS,
                NK_COLUMNS, ahead_of(&ahead, weights, i), ahead.step);
        }
        for (int j = 0; j < count; j++)
            flat_store(op, w->added, w->rows, w->y, w->x, w->pixels, (vector + j) * NK_LANES, w->sums + (size_t)(j * NK_LANES),
                       whole);
    }
}

/* Compiled once for all who call them. */
static __attribute__((noinline)) void flat_integer_panels(const nk_flat *w, int panel, int last) {
    flat_products(w, panel, last, 1);
}
static __attribute__((noinline)) void flat_float_panels(const nk_flat *w, int panel, int last) {
    flat_products(w, panel, last, 0);
}

static void flat_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const int blocks = (op->out_width + op->block - 1) / op->block, group = piece % op->groups;
    const int y = row0 + piece / op->groups / blocks, x = piece / op->groups % blocks * op->block;
    const int pixels = op->out_width - x < op->block ? op->out_width - x : op->block;
    const int panels = ((op->out_channels + NK_LANES - 1) / NK_LANES + NK_PANEL - 1) / NK_PANEL;
    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *out_rows[16];
    int16_t *values = (int16_t *)(void *)(sums + (size_t)up_to(op->block, NK_ROWS) * NK_COLUMNS);
    flat_round(op, in, y, x, pixels, values);
    for (int r = 0; r < op->shuffle; r++) out_rows[r] = nk_row(out, y * op->shuffle + r);
    const nk_map *added = op->added ? in + (op->sources > 1 ? op->sources : 1) : NULL;
    const nk_flat w = {op, values, flat_pitch(op) / 2, added, out_rows, sums, y, x, pixels};
    flat_integer_panels(&w, panels * group / op->groups, panels * (group + 1) / op->groups);
}

#endif
