/* Operations on each value by itself, on rows of maps of one size: sums, products, gates, activations, in the order of a
   small program (`nk_point`). It runs on POINT_CHUNK floats at a time, so that what is between two lines stays in the
   first-level cache; the choice of an operation is made once per chunk. Also the moments of the channels of a map. */
#ifndef NK_POINT_H
#define NK_POINT_H

#include "apart.h"
#include "nk.h"
#include "simd.h"

#define POINT_STEP (APART_VECTORS * NK_LANES) /* floats that are activated together */
#define POINT_CHUNK 256

static size_t point_scratch(const nk_op *op) {
    (void)op;
    return sizeof(float) * POINT_CHUNK * NK_POINT_SLOTS + 256;
}

#define POINT_EACH(expression)                   \
    for (int i = 0; i < n; i += NK_LANES) {      \
        const vf x = vload(a + i);               \
        vstore(to + i, expression);              \
    }                                            \
    break

/* One line on n floats, a multiple of POINT_STEP. */
static void point_line(const nk_point_line *line, const float *a, const float *b, const float *c, float *to, int n) {
    const vf scale = vset(line->scale), shift = vset(line->shift);
    switch (line->code) {
    case NK_ADD: POINT_EACH(x + vload(b + i));
    case NK_SUBTRACT: POINT_EACH(x - vload(b + i));
    case NK_MULTIPLY: POINT_EACH(x * vload(b + i));
    case NK_MULTIPLY_ADD: POINT_EACH(x * vload(b + i) + vload(c + i));
    case NK_AFFINE: POINT_EACH(x * scale + shift);
    default:
        for (int i = 0; i < n; i += POINT_STEP) {
            vf v[APART_VECTORS];
            NK_UNROLL for (int k = 0; k < APART_VECTORS; k++) v[k] = vload(a + i + k * NK_LANES);
            activate_apart(v, line->code - NK_ACTIVATE, line->scale);
            NK_UNROLL for (int k = 0; k < APART_VECTORS; k++) vstore(to + i + k * NK_LANES, v[k]);
        }
    }
}

/* All lines on n <= POINT_CHUNK floats. inputs: what slots up to NK_POINT_INPUTS hold. */
static void point_lines(const nk_point *point, const float *const *inputs, float *slots, float *to, int n) {
    const float *at[NK_POINT_INPUTS + NK_POINT_SLOTS];
    for (int k = 0; k < NK_POINT_INPUTS; k++) at[k] = inputs[k];
    for (int k = 0; k < NK_POINT_SLOTS; k++) at[NK_POINT_INPUTS + k] = slots + k * POINT_CHUNK;
    for (int k = 0; k < point->lines; k++) {
        const nk_point_line *line = &point->line[k];
        float *result = k + 1 == point->lines ? to : slots + (line->to - NK_POINT_INPUTS) * POINT_CHUNK;
        point_line(line, at[line->a], at[line->b], at[line->c], result, n);
    }
}

/* A block of pixels of one row. */
static void point_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const nk_point *point = op->point;
    const int blocks = (op->out_width + op->block - 1) / op->block, y = row0 + piece / blocks, x = piece % blocks * op->block;
    const int pixels = op->out_width - x < op->block ? op->out_width - x : op->block, n = pixels * op->channels;
    const size_t at = (size_t)x * (size_t)op->channels, row = (size_t)y * (size_t)op->width * (size_t)op->channels;
    float *slots = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *to = nk_row(out, y) + at;
    const float *inputs[NK_POINT_INPUTS] = {nk_row(in, y) + at};
    for (int k = 1; k < point->inputs; k++) inputs[k] = point->input[k] + (point->repeated[k] ? 0 : row + at);
    int i = 0;
    for (int count; n - i >= POINT_STEP; i += count) {
        count = n - i < POINT_CHUNK ? (n - i) / POINT_STEP * POINT_STEP : POINT_CHUNK;
        point_lines(point, inputs, slots, to + i, count);
        for (int k = 0; k < point->inputs; k++) inputs[k] += count;
    }
    if (i == n) return;
    float rest[NK_POINT_INPUTS][POINT_STEP] = {{0}}, last[POINT_STEP];
    for (int k = 0; k < point->inputs; k++) {
        memcpy(rest[k], inputs[k], sizeof(float) * (size_t)(n - i));
        inputs[k] = rest[k];
    }
    point_lines(point, inputs, slots, last, POINT_STEP);
    memcpy(to + i, last, sizeof(float) * (size_t)(n - i));
}

#define MOMENT_VECTORS 4

/* Sums of a row of pixels and of their squares, each channel by itself, both less `origin`: sums[0 .. 1][padded channels]. */
static void moments_row(const float *row, int width, int channels, const float *origin, float *sums) {
    const int padded = up_to(channels, NK_LANES), wide = MOMENT_VECTORS * NK_LANES;
    for (int c = 0; c < channels; c += wide) {
        const int vectors = (channels - c < wide ? padded - c : wide) / NK_LANES;
        vlanes lanes[MOMENT_VECTORS];
        vf first[MOMENT_VECTORS], sum[MOMENT_VECTORS] = {{0}}, square[MOMENT_VECTORS] = {{0}};
        if (channels - c >= wide) {
            NK_UNROLL for (int j = 0; j < MOMENT_VECTORS; j++) first[j] = vload(origin + c + j * NK_LANES);
            for (int x = 0; x < width; x++) {
                const float *p = row + (size_t)x * (size_t)channels + c;
                NK_UNROLL for (int j = 0; j < MOMENT_VECTORS; j++) {
                    const vf v = vload(p + j * NK_LANES) - first[j];
                    sum[j] += v, square[j] += v * v;
                }
            }
        } else {
            for (int j = 0; j < vectors; j++) {
                lanes[j] = first_lanes(channels - c - j * NK_LANES);
                first[j] = vload_lanes(origin + c + j * NK_LANES, lanes[j]);
            }
            for (int x = 0; x < width; x++) {
                const float *p = row + (size_t)x * (size_t)channels + c;
                for (int j = 0; j < vectors; j++) {
                    const vf v = vload_lanes(p + j * NK_LANES, lanes[j]) - first[j];
                    sum[j] += v, square[j] += v * v;
                }
            }
        }
        for (int j = 0; j < vectors; j++) {
            vstore(sums + c + j * NK_LANES, sum[j]);
            vstore(sums + padded + c + j * NK_LANES, square[j]);
        }
    }
}

#endif
