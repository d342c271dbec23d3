/* Planar float32 RGB to samples: 8-bit RGB, and YUV of 8 or 10 bits, 4:4:4 or 4:2:0. Compiled once per instruction set
   with -ffp-contract=off and without reordering, so that every processor gives the bytes that `rounding.py` and
   `planes.py` define. */
#include "nk.h"

#include <math.h>
#include <string.h>

#define JOIN(a, b) a##b
#define TABLE(name) JOIN(nk_colour_, name)
#define CHUNK 256

/* NaN becomes 0: the comparison is false for it. */
static inline float unit(float x) {
    x = x > 0.0f ? x : 0.0f;
    return x < 1.0f ? x : 1.0f;
}

static void rgb8_row(const float *const planes[3], int width, uint8_t *out) {
    uint8_t parts[3][CHUNK];
    for (int x = 0; x < width; x += CHUNK) {
        const int n = width - x < CHUNK ? width - x : CHUNK;
        for (int p = 0; p < 3; p++) {
            const float *from = planes[p] + x;
            for (int i = 0; i < n; i++) parts[p][i] = (uint8_t)(int32_t)(unit(from[i]) * 255.0f + 0.5f);
        }
        uint8_t *to = out + (size_t)x * 3;
        for (int i = 0; i < n; i++) to[3 * i] = parts[0][i], to[3 * i + 1] = parts[1][i], to[3 * i + 2] = parts[2][i];
    }
}

/* One weighted sum of three channels, scaled, offset, rounded and clipped. */
static inline int32_t sample(const float *k, float r, float g, float b, float top) {
    float v = k[0] * r + k[1] * g;
    v = v + k[2] * b;
    v = v + k[3];
    v = v < top ? v : top;
    return (int32_t)(v > 0.0f ? v : 0.0f);
}

static void samples_row(const float *k, const float *const rgb[3], int n, float top, int wide, void *out, size_t at) {
    int32_t values[CHUNK];
    for (int i = 0; i < n; i++) values[i] = sample(k, rgb[0][i], rgb[1][i], rgb[2][i], top);
    if (wide) {
        uint16_t *to = (uint16_t *)out + at;
        for (int i = 0; i < n; i++) to[i] = (uint16_t)values[i];
    } else {
        uint8_t *to = (uint8_t *)out + at;
        for (int i = 0; i < n; i++) to[i] = (uint8_t)values[i];
    }
}

/* Where a sample lies in its plane. */
static inline size_t place(const nk_yuv *job, int plane, int y, int x) {
    return (size_t)y * (size_t)job->strides[plane] + (size_t)x;
}

/* Rows 2 band and 2 band + 1 of the picture, and the chroma rows that belong to them. */
static void yuv_band(const nk_yuv *job, int band) {
    const size_t plane = (size_t)job->height * (size_t)job->width;
    const int last = job->height - 1;
    float clipped[2][3][CHUNK], mean[3][CHUNK / 2];
    for (int x = 0; x < job->width; x += CHUNK) {
        const int n = job->width - x < CHUNK ? job->width - x : CHUNK;
        for (int r = 0; r < 2; r++) {
            const int y = 2 * band + r < last ? 2 * band + r : last; /* an odd last row counts twice */
            for (int p = 0; p < 3; p++) {
                const float *from = job->rgb + (size_t)p * plane + (size_t)y * (size_t)job->width + (size_t)x;
                for (int i = 0; i < n; i++) clipped[r][p][i] = unit(from[i]);
                if (n & 1) clipped[r][p][n] = clipped[r][p][n - 1]; /* and so does an odd last column */
            }
            if (2 * band + r > last) continue;
            const float *rgb[3] = {clipped[r][0], clipped[r][1], clipped[r][2]};
            for (int c = 0; c < (job->subsampled ? 1 : 3); c++)
                samples_row(job->matrix + 4 * c, rgb, n, job->top, job->wide, job->planes[c], place(job, c, y, x));
        }
        if (!job->subsampled) continue;
        const int pairs = (n + 1) / 2;
        for (int p = 0; p < 3; p++)
            for (int i = 0; i < pairs; i++) {
                float upper = clipped[0][p][2 * i] + clipped[0][p][2 * i + 1];
                float lower = clipped[1][p][2 * i] + clipped[1][p][2 * i + 1];
                mean[p][i] = (upper + lower) * 0.25f;
            }
        const float *rgb[3] = {mean[0], mean[1], mean[2]};
        for (int c = 1; c < 3; c++)
            samples_row(job->matrix + 4 * c, rgb, pairs, job->top, job->wide, job->planes[c], place(job, c, band, x / 2));
    }
}

const nk_colour TABLE(NK_NAME) = {rgb8_row, yuv_band};
