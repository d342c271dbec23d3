/* A 1x1 head behind a Winograd stage, computed while the stage's output is still in registers: the largest map of a
   network of NeRV's kind, hundreds of megabytes per frame at 720p, then never exists.

   Sums are kept per place (i, j) of the pixel shuffle, tile and head output: FUSED_PIXELS floats, rows of the tile one
   after the other. Which panels add to them in which order is fixed, so threads change nothing. */
#ifndef NK_FUSED_H
#define NK_FUSED_H

#include "activation.h"
#include "nk.h"
#include "simd.h"

#define FUSED_PIXELS 48 /* 6 x 6, up to whole groups of 8 and whole vectors */
#define FUSED_OUTPUTS 4

static size_t fused_floats(const nk_op *op) {
    return (size_t)(op->shuffle * op->shuffle * op->block * FUSED_OUTPUTS * FUSED_PIXELS);
}

static float *fused_of(const nk_op *op, float *heads, int place, int tile) {
    return heads + (size_t)((place * op->block + tile) * FUSED_OUTPUTS * FUSED_PIXELS);
}

/* Add what `count` vectors of channels, from vector `first` of their place, give to the head of one tile. */
NK_INLINE void fused_add(const nk_op *op, float *sums, vf (*maps)[6][6], int count, int first, int rows, const int wide) {
    const nk_op *head = op->head;
    const float *weights = (const float *)head->weights + first * NK_LANES;
    for (int o = 0; o < head->out_channels; o++) {
        vf w[NK_PANEL];
        for (int j = 0; j < count; j++) w[j] = vload(weights + o * head->channels + j * NK_LANES);
        for (int r = 0; r < rows; r++) {
            vf acc[8] = {{0}};
            float parts[8];
            NK_UNROLL for (int c = 0; c < wide; c++)
                for (int j = 0; j < count; j++) acc[c] += maps[j][r][c] * w[j];
            vsum_each(acc, 8, parts);
            float *to = sums + o * FUSED_PIXELS + r * wide;
            for (int c = 0; c < wide; c++) to[c] += parts[c];
        }
    }
}

/* Bias, activation, and out into the planes. x: first column of the block, before the shuffle. */
static void fused_store(const nk_op *op, float *heads, nk_map *out, int y, int x, int tiles, int rows, int wide) {
    const nk_op *head = op->head;
    const int s = op->shuffle, width = op->out_width * s;
    const size_t plane = (size_t)(op->out_height * s) * (size_t)width;
    for (int place = 0; place < s * s; place++) {
        for (int t = 0; t < tiles; t++) {
            float *sums = fused_of(op, heads, place, t);
            const int x0 = x + t * wide, columns = op->out_width - x0 < wide ? op->out_width - x0 : wide;
            for (int o = 0; o < head->out_channels; o++, sums += FUSED_PIXELS) {
                for (int i = 0; i < FUSED_PIXELS; i += NK_LANES) {
                    vf v = vload(sums + i) + head->bias[o];
                    activate(&v, 1, head->act, head->slope, 0);
                    vstore(sums + i, v);
                }
                for (int r = 0; r < rows; r++) {
                    float *to = out->base + (size_t)o * plane + (size_t)((y + r) * s + place / s) * (size_t)width;
                    for (int c = 0; c < columns; c++) to[(x0 + c) * s + place % s] = sums[r * wide + c];
                }
            }
        }
    }
}

#endif
