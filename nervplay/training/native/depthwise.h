/* One row of a convolution of each channel by itself, and one row of the gradient of its weights. */
#ifndef NT_DEPTHWISE_H
#define NT_DEPTHWISE_H

#include "train.h"

#define COLUMNS 8 /* results of one row that are kept in registers */

typedef struct {
    const float *x, *weights, *bias, *gradient;
    float *out;
    int items, height, width, channels, taps;
} depthwise_job;

NK_INLINE const float *padded_row(const depthwise_job *job, int item, int row, const int taps) {
    const size_t rows = (size_t)(job->height + taps - 1), width = (size_t)(job->width + taps - 1);
    return job->x + ((size_t)item * rows + (size_t)row) * width * (size_t)job->channels;
}

/* One row of the result. */
NK_INLINE void convolve_row(const depthwise_job *job, int number, const int taps) {
    const size_t channels = (size_t)job->channels;
    const int item = number / job->height, row = number % job->height;
    float *out = job->out + (size_t)number * (size_t)job->width * channels;
    for (size_t c = 0; c < channels; c += NK_LANES) {
        const vf start = job->bias ? vload(job->bias + c) : vset(0.0f);
        for (int column = 0; column < job->width; column += COLUMNS) {
            vf sums[COLUMNS];
            NK_UNROLL for (int o = 0; o < COLUMNS; o++) sums[o] = start;
            for (int i = 0; i < taps; i++) {
                const float *x = padded_row(job, item, row + i, taps) + (size_t)column * channels + c;
                const float *weights = job->weights + (size_t)(i * taps) * channels + c;
                vf w[7];
                NK_UNROLL for (int j = 0; j < taps; j++) w[j] = vload(weights + (size_t)j * channels);
                NK_UNROLL for (int p = 0; p < COLUMNS + taps - 1; p++) {
                    const vf v = vload(x + (size_t)p * channels);
                    NK_UNROLL for (int j = 0; j < taps; j++)
                        if (p >= j && p - j < COLUMNS) sums[p - j] += v * w[j];
                }
            }
            NK_UNROLL for (int o = 0; o < COLUMNS; o++) vstore(out + (size_t)(column + o) * channels + c, sums[o]);
        }
    }
}

/* One row of kernels, one vector of channels. Each row of the map is summed by itself first, which keeps sums exact. */
NK_INLINE void correlate(const depthwise_job *job, int number, const int taps) {
    const size_t channels = (size_t)job->channels, c = (size_t)(number / taps * NK_LANES);
    const int i = number % taps;
    vf total[7] = {{0}};
    for (int row = 0; row < job->items * job->height; row++) {
        const float *x = padded_row(job, row / job->height, row % job->height + i, taps) + c;
        const float *gradient = job->gradient + (size_t)row * (size_t)job->width * channels + c;
        vf sums[7] = {{0}};
        for (int column = 0; column < job->width; column += COLUMNS) {
            vf g[COLUMNS];
            NK_UNROLL for (int o = 0; o < COLUMNS; o++) g[o] = vload(gradient + (size_t)(column + o) * channels);
            NK_UNROLL for (int p = 0; p < COLUMNS + taps - 1; p++) {
                const vf v = vload(x + (size_t)(column + p) * channels);
                NK_UNROLL for (int j = 0; j < taps; j++)
                    if (p >= j && p - j < COLUMNS) sums[j] += v * g[p - j];
            }
        }
        NK_UNROLL for (int j = 0; j < taps; j++) total[j] += sums[j];
    }
    for (int j = 0; j < taps; j++) vstore(job->out + (size_t)(i * taps + j) * channels + c, total[j]);
}

/* The widths of kernels become constants. */
NK_INLINE void convolve_any(const depthwise_job *job, int number) {
    if (job->taps == 3) convolve_row(job, number, 3);
    else if (job->taps == 5) convolve_row(job, number, 5);
    else convolve_row(job, number, 7);
}

NK_INLINE void correlate_any(const depthwise_job *job, int number) {
    if (job->taps == 3) correlate(job, number, 3);
    else if (job->taps == 5) correlate(job, number, 5);
    else correlate(job, number, 7);
}

#endif
