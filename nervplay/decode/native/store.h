/* Storing a vector of output channels through a pixel shuffle: channel (i, j, c) of pixel (y, x) is channel c of pixel
   (y s + i, x s + j), so the s C channels of one i are neighbours in memory. */
#ifndef NK_STORE_H
#define NK_STORE_H

#include "nk.h"
#include "simd.h"

typedef struct {
    int row, offset, first, count; /* lanes [first, first + count) go to row y s + row, `offset` floats behind x s C */
} nk_run;

/* Fill `runs` for the vector that starts at output channel `channel`; return how many there are, at most NK_LANES. */
static int find_runs(const nk_op *op, int channel, nk_run *runs) {
    int length = op->out_channels / op->shuffle, found = 0;
    for (int lane = 0; lane < NK_LANES && channel + lane < op->out_channels; found++) {
        int at = channel + lane, offset = at % length, count = length - offset;
        if (count > NK_LANES - lane) count = NK_LANES - lane;
        runs[found] = (nk_run){at / length, offset, lane, count};
        lane += count;
    }
    return found;
}

/* Store the vectors of `columns` neighbouring pixels, of which there may be `wide`. rows: the s output rows of this row
   of the convolution; at: floats of its first pixel from their start; each: from one pixel to the next. */
NK_INLINE void store_line(const nk_run *runs, int count, float *const *rows, size_t at, size_t each, const vf *values,
                          int columns, const int wide) {
    for (int i = 0; i < count; i++) {
        float *p = rows[runs[i].row] + at + runs[i].offset;
        if (runs[i].count == NK_LANES && columns == wide) {
            NK_UNROLL for (int c = 0; c < wide; c++) vstore(p + (size_t)c * each, values[c]);
        } else {
            for (int c = 0; c < columns; c++) vstore_part(p + (size_t)c * each, values[c], runs[i].first, runs[i].count);
        }
    }
}

#endif
