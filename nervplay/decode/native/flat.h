/* 1x1 convolutions with products of 16-bit integers: the input is counted in units of its channels, block by block, in
   scratch memory; a sum cannot leave 32 bits, for the weights are scaled so (`packing_flat.py`). */
#ifndef NK_FLAT_H
#define NK_FLAT_H

#include "apart.h"
#include "gemm.h"
#include "store.h"

#define FLAT_PIXELS APART_VECTORS /* that are activated and stored together */

/* Pairs of integers of a pixel. */
static size_t flat_pairs(const nk_op *op) { return (size_t)up_to(op->channels, NK_LANES) / 2; }

static size_t flat_scratch(const nk_op *op) {
    const size_t block = (size_t)up_to(op->block, NK_ROWS);
    return sizeof(float) * block * (flat_pairs(op) + NK_COLUMNS) + 256;
}

static void flat_integers(const nk_op *op, const float *from, int pixels, int16_t *to) {
    const size_t step = 2 * flat_pairs(op);
    for (int i = 0; i < pixels; i++, from += op->channels, to += step) {
        for (int c = 0; c < op->channels; c += NK_LANES) {
            const vf v = vload_n(from + c, op->channels - c) * vload(op->norm + c);
            *(vh_any *)(to + c) = vshort(v);
        }
    }
}

static void flat_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const int blocks = (op->out_width + op->block - 1) / op->block, group = piece % op->groups;
    const int y = row0 + piece / op->groups / blocks, x = piece / op->groups % blocks * op->block;
    const int pixels = op->out_width - x < op->block ? op->out_width - x : op->block;
    const int vectors = (op->out_channels + NK_LANES - 1) / NK_LANES, panels = (vectors + NK_PANEL - 1) / NK_PANEL;
    const size_t each = (size_t)(op->out_channels / op->shuffle), stride = flat_pairs(op);
    const int pairs = (op->channels + 1) / 2;
    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    int32_t *values = (int32_t *)(void *)(sums + (size_t)up_to(op->block, NK_ROWS) * NK_COLUMNS);
    float *out_rows[16];
    for (int r = 0; r < op->shuffle; r++) out_rows[r] = nk_row(out, y * op->shuffle + r);
    flat_integers(op, nk_row(in, y) + (size_t)x * (size_t)op->channels, pixels, (int16_t *)(void *)values);
    if (pixels % 2) memset(values + (size_t)pixels * stride, 0, sizeof(int32_t) * stride); /* rows of a product are even */
    for (int panel = panels * group / op->groups; panel < panels * (group + 1) / op->groups; panel++) {
        const int vector = panel_start(panel, vectors), count = panel_start(panel + 1, vectors) - vector;
        const int32_t *weights = (const int32_t *)op->weights + (size_t)(vector * NK_LANES) * (size_t)pairs;
        for (int i = 0; i < pixels; i += NK_ROWS) {
            const int rows = pixels - i < NK_ROWS ? up_to(pixels - i, 2) : NK_ROWS;
            PRODUCT16[rows / 2 - 1][count - 1](values + (size_t)i * stride, stride, weights, pairs,
                                               sums + (size_t)i * NK_COLUMNS, NK_COLUMNS);
        }
        for (int j = 0; j < count; j++) {
            nk_run runs[NK_LANES];
            const int channel = (vector + j) * NK_LANES, found = find_runs(op, channel, runs);
            const vf bias = vload(op->bias + channel), scale = vload(op->scale + channel);
            for (int i = 0; i < pixels; i += FLAT_PIXELS) {
                const int n = pixels - i < FLAT_PIXELS ? pixels - i : FLAT_PIXELS;
                const float *from = sums + (size_t)i * NK_COLUMNS + (size_t)(j * NK_LANES);
                vf v[FLAT_PIXELS];
                NK_UNROLL for (int k = 0; k < FLAT_PIXELS; k++)
                    v[k] = k < n ? vtofloat((vi)vload(from + k * NK_COLUMNS)) * scale + bias : bias;
                activate_apart(v, op->act, op->slope);
                store_pixels(runs, found, out_rows, 0, (size_t)(x + i) * each, each, v, n, FLAT_PIXELS);
            }
        }
    }
}

#endif
