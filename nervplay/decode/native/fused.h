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
#define FUSED_CHUNK 8 /* vectors that are activated together */

/* From one strand to the next. */
static size_t fused_step(const nk_op *op) {
    return (size_t)up_to(op->block * FUSED_PIXELS, FUSED_CHUNK * NK_LANES);
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

/* Bias, activation, and out into the planes. x: first column of the block, before the shuffle; strands lie side by side
   and go down where a tile is taller than 1. */
static void fused_store(const nk_op *op, float *heads, nk_map *out, int y, int x, int tiles, int rows, int tall, int wide) {
    const nk_op *head = op->head;
    const int s = op->shuffle, width = op->out_width * s, strands = tall > 1 ? wide : 1;
    const int chunks = (tiles * FUSED_PIXELS + FUSED_CHUNK * NK_LANES - 1) / (FUSED_CHUNK * NK_LANES);
    const size_t plane = (size_t)(op->out_height * s) * (size_t)width, step = fused_step(op);
    for (int place = 0; place < s * s; place++) {
        for (int o = 0; o < FUSED_OUTPUTS; o++) {
            float *sums = heads + (size_t)((place * FUSED_OUTPUTS + o) * strands) * step;
            for (int i = 0; i < strands * chunks; i++) {
                float *at = sums + (size_t)(i / chunks) * step + (size_t)(i % chunks * FUSED_CHUNK * NK_LANES);
                vf v[FUSED_CHUNK];
                NK_UNROLL for (int k = 0; k < FUSED_CHUNK; k++) v[k] = vload(at + k * NK_LANES) + head->bias[o];
                activate(v, FUSED_CHUNK, head->act, head->slope, 0);
                NK_UNROLL for (int k = 0; k < FUSED_CHUNK; k++) vstore(at + k * NK_LANES, v[k]);
            }
            for (int r = 0; r < rows; r++) {
                float *to = out->base + (size_t)o * plane + (size_t)((y + r) * s + place / s) * (size_t)width + place % s;
                for (int t = 0; t < tiles; t++) {
                    const int x0 = x + t * wide, columns = op->out_width - x0 < wide ? op->out_width - x0 : wide;
                    const float *from = sums + t * FUSED_PIXELS + (tall > 1 ? r : 0);
                    for (int c = 0; c < columns; c++) to[(x0 + c) * s] = tall > 1 ? from[(size_t)c * step] : from[c];
                }
            }
        }
    }
}

#endif
