/* Storing a vector of output channels through a pixel shuffle: channel (i, j, c) of pixel (y, x) is channel c of pixel
   (y s + i, x s + j), so the s C channels of one i are neighbours in memory. */
#ifndef NK_STORE_H
#define NK_STORE_H

#include "nk.h"
#include "simd.h"

typedef struct {
    int row, offset, first, count; /* lanes [first, first + count) go to row y s + row, `offset` floats behind x s C */
} nk_run;

/* Floats of the output that one pixel of the convolution makes in a row. */
NK_INLINE size_t pixel_floats(const nk_op *op) {
    return (size_t)(op->out_step ? op->shuffle * op->out_step : op->out_channels / op->shuffle);
}

/* Fill `runs` for the vector that starts at output channel `channel`; return how many there are, at most NK_LANES. */
static int find_runs(const nk_op *op, int channel, nk_run *runs) {
    const int s = op->shuffle, length = op->out_channels / (op->out_step ? s * s : s);
    int found = 0;
    for (int lane = 0; lane < NK_LANES && channel + lane < op->out_channels; found++) {
        int at = channel + lane, offset = at % length, count = length - offset;
        if (count > NK_LANES - lane) count = NK_LANES - lane;
        const int place = at / length;
        runs[found] = op->out_step ? (nk_run){place / s, place % s * op->out_step + offset, lane, count}
                                   : (nk_run){place, offset, lane, count};
        lane += count;
    }
    return found;
}

/* Store the vectors of n pixels, of which there may be m, a constant. rows: the s output rows of each row of the
   convolution; down: rows[] from one pixel to the next, 0 where they are side by side; at: floats of the first pixel
   from the start of its rows; aside: floats from one pixel to the next, 0 where they are below each other. */
NK_INLINE void store_pixels(const nk_run *runs, int count, float *const *rows, int down, size_t at, size_t aside,
                            const vf *values, int n, const int m) {
    for (int i = 0; i < count; i++) {
        float *const *to = rows + runs[i].row;
        const size_t place = at + (size_t)runs[i].offset;
        if (runs[i].count == NK_LANES && n == m) {
            NK_UNROLL for (int k = 0; k < m; k++) vstore(to[k * down] + place + (size_t)k * aside, values[k]);
        } else {
            NK_UNROLL for (int k = 0; k < m; k++)
                if (k < n) vstore_part(to[k * down] + place + (size_t)k * aside, values[k], runs[i].first, runs[i].count);
        }
    }
}

/* The same of pixels below each other as 16-bit integers, `units` of them to 1, within +- most. */
NK_INLINE void store_integers(const nk_run *runs, int count, float *const *rows, int down, size_t at, vf units, int most,
                              const vf *values, int n, const int m) {
    vh whole[6];
    NK_UNROLL for (int k = 0; k < m; k++) whole[k] = vwithin(values[k] * units, most);
    for (int i = 0; i < count; i++) {
        float *const *to = rows + runs[i].row;
        const size_t place = at + (size_t)runs[i].offset;
        for (int k = 0; k < n; k++) {
            int16_t *p = (int16_t *)(void *)to[k * down] + place;
            if (runs[i].count == NK_LANES) *(vh_any *)p = whole[k];
            else vhstore_part(p, whole[k], runs[i].first, runs[i].count);
        }
    }
}

#endif
