/* A 1x1 head behind a Winograd stage, computed while the stage's output is still in registers: the largest map of a
   network of NeRV's kind, hundreds of megabytes per frame at 720p, then never exists.

   Sums are kept per place (i, j) of the pixel shuffle, head output and strand of a tile (`wino_back.h`): FUSED_PIXELS
   floats for each tile of the block. Which panels add to them in which order is fixed, so threads change nothing. */
#ifndef NK_FUSED_H
#define NK_FUSED_H

#include "activation.h"
#include "nk.h"
#include "simd.h"

#define FUSED_PIXELS 8 /* of a strand: at most 6, and as many as `vsum_each` makes */
#define FUSED_OUTPUTS 3
#define FUSED_CHUNK 4 /* vectors that are activated together */

/* From one strand to the next. */
static size_t fused_step(const nk_op *op) {
    return (size_t)up_to(op->block * FUSED_PIXELS, NK_LANES);
}

static size_t fused_floats(const nk_op *op, int strands) {
    return (size_t)(op->shuffle * op->shuffle * FUSED_OUTPUTS * strands) * fused_step(op);
}

/* Add to the sums of one strand of m pixels; step: from one output of the head to the next. */
NK_INLINE void fused_add(vf (*products)[6], const int m, float *sums, size_t step) {
    NK_UNROLL for (int o = 0; o < FUSED_OUTPUTS; o++) {
        float parts[FUSED_PIXELS];
        vsum_each(products[o], m, parts);
        NK_UNROLL for (int i = 0; i < m; i++) sums[(size_t)o * step + (size_t)i] += parts[i];
    }
}

/* Bias and activation of `count` neighbours in a plane. */
static void fused_finish(const nk_op *head, float bias, float *to, int count) {
    int k = 0;
    for (; k + FUSED_CHUNK * NK_LANES <= count; k += FUSED_CHUNK * NK_LANES) {
        vf v[FUSED_CHUNK];
        NK_UNROLL for (int i = 0; i < FUSED_CHUNK; i++) v[i] = vload(to + k + i * NK_LANES) + bias;
        activate(v, FUSED_CHUNK, head->act, head->slope, 0);
        NK_UNROLL for (int i = 0; i < FUSED_CHUNK; i++) vstore(to + k + i * NK_LANES, v[i]);
    }
    for (; k < count; k += NK_LANES) {
        const int n = count - k < NK_LANES ? count - k : NK_LANES;
        vf v = vload_n(to + k, n) + bias;
        activate(&v, 1, head->act, head->slope, 0);
        vstore_part(to + k, v, 0, n);
    }
}

/* Sums of one row of pixels of the block into a plane: `s` places side by side, `pixels` of each, every `wide`-th of
   which lies in the same strand, or all in one. */
static void fused_row(const float *sums, size_t place, size_t step, int s, int pixels, int wide, int strands, float *to) {
    for (int j = 0; j < s; j++) {
        for (int c = 0; c < wide; c++) {
            const float *from = sums + (size_t)j * place + (strands > 1 ? (size_t)c * step : (size_t)c);
            for (int x = c; x < pixels; x += wide, from += FUSED_PIXELS) to[x * s + j] = *from;
        }
    }
}

/* All sums of a block into the planes. x: its first column, before the shuffle; strands lie side by side and go down where
   a tile is taller than 1. Rows are far from each other, so the memory of each is asked for before the one in front of it
   is computed. */
static void fused_store(const nk_op *op, const float *heads, nk_map *out, int y, int x, int tiles, int rows, int tall,
                        int wide) {
    const nk_op *head = op->head;
    const int s = op->shuffle, strands = tall > 1 ? wide : 1, left = op->out_width - x;
    const int pixels = left < tiles * wide ? left : tiles * wide, count = rows * s;
    const size_t width = (size_t)(op->out_width * s), plane = (size_t)(op->out_height * s) * width, step = fused_step(op);
    const size_t place = (size_t)(FUSED_OUTPUTS * strands) * step;
    for (int n = 0; n < FUSED_OUTPUTS * count; n++) {
        const int o = n / count, row = n % count, ahead = n + 1 < FUSED_OUTPUTS * count ? n + 1 : n;
        float *corner = out->base + (size_t)(y * s) * width + (size_t)(x * s);
        float *next = corner + (size_t)(ahead / count) * plane + (size_t)(ahead % count) * width;
        float *to = corner + (size_t)o * plane + (size_t)row * width;
        for (int k = 0; k < pixels * s; k += 16) __builtin_prefetch(next + k, 1);
        const float *sums = heads + (size_t)(row % s * s) * place + (size_t)(o * strands) * step + (size_t)(row / s);
        fused_row(sums, place, step, s, pixels, wide, strands, to);
        fused_finish(head, head->bias[o], to, pixels * s);
    }
}

#endif
