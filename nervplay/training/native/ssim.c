/* SSIM and its gradient in two passes over bands of rows; the formulas are in `nervplay/training/fused_ssim.py`.

   First pass: smooth x, y, x^2 + y^2 and xy down and across, and keep what the gradient takes from each place in three
   maps with a border of zeros. Second pass: smooth these by the transposed window, which is the same one over the
   border. Rows go in parts of COLUMNS, so that what one part needs stays in the first-level cache. */
#include "train.h"

#define TAPS 11
#define EDGE (TAPS - 1)
#define BAND 16
#define COLUMNS 240
#define ROOM (COLUMNS + EDGE + 2 * 16)
#define C1 1e-4f
#define C2 9e-4f

typedef struct {
    const float *x, *y, *taps;
    float *gradient, *maps;
    double *sums;
    int planes, height, width;
    int bands;    /* of the pass that runs */
    size_t pitch; /* floats per row of the maps */
    float share;  /* 1 / number of scores */
} ssim_job;

static float *map_row(const ssim_job *job, int plane, int map, int row) {
    return job->maps + ((size_t)(plane * 3 + map) * (size_t)(job->height + EDGE) + (size_t)row) * job->pitch;
}

NK_INLINE vf across(const float *line, const float *taps) {
    vf sum = vload(line) * taps[0];
    NK_UNROLL for (int k = 1; k < TAPS; k++) sum += vload(line + k) * taps[k];
    return sum;
}

/* Four maps smoothed down: lines[map][column], `count` columns from x and y on. */
NK_INLINE void smooth_down(const ssim_job *job, const float *x, const float *y, int count, float lines[4][ROOM]) {
    for (int at = 0; at < count; at += NK_LANES) {
        const int n = count - at < NK_LANES ? count - at : NK_LANES;
        vf sums[4] = {{0}};
        for (int k = 0; k < TAPS; k++) {
            const size_t place = (size_t)k * (size_t)job->width + (size_t)at;
            const vf a = vload_n(x + place, n), b = vload_n(y + place, n);
            const vf ta = a * job->taps[k], tb = b * job->taps[k];
            sums[0] += ta, sums[1] += tb, sums[2] += ta * a + tb * b, sums[3] += ta * b;
        }
        NK_UNROLL for (int m = 0; m < 4; m++) vstore(lines[m] + at, sums[m]);
    }
}

/* Scores of one part of a row, returned as their sum; their gradients to the smoothed maps go to `out`. */
NK_INLINE vf score_part(const ssim_job *job, float lines[4][ROOM], int count, float *const out[3]) {
    vf total = {0};
    for (int at = 0; at < count; at += NK_LANES) {
        const int left = count - at < NK_LANES ? count - at : NK_LANES;
        const vf m = across(lines[0] + at, job->taps), n = across(lines[1] + at, job->taps);
        const vf power = across(lines[2] + at, job->taps), xy = across(lines[3] + at, job->taps);
        const vf mn = m * n, squares = m * m + n * n;
        const vf a1 = 2.0f * mn + C1, a2 = 2.0f * (xy - mn) + C2, b1 = squares + C1, b2 = power - squares + C2;
        const vf both = 1.0f / (b1 * b2), score = a1 * a2 * both;
        vstore_part(out[0] + at, 2.0f * both * (n * (a2 - a1) - m * score * (b2 - b1)), 0, left);
        vstore_part(out[1] + at, -score / b2, 0, left);
        vstore_part(out[2] + at, 2.0f * a1 * both, 0, left);
        if (left == NK_LANES) {
            total += score;
        } else {
            float lanes[NK_LANES];
            vstore(lanes, score);
            total += vload_n(lanes, left);
        }
    }
    return total;
}

static void score_task(void *context, int item, int worker) {
    const ssim_job *job = context;
    const int plane = item / job->bands, band = item % job->bands, valid = job->width - EDGE, rows = job->height - EDGE;
    const int first = band * BAND, last = first + BAND < rows ? first + BAND : rows;
    const size_t start = (size_t)plane * (size_t)job->height * (size_t)job->width;
    float lines[4][ROOM];
    double sum = 0.0;
    (void)worker;
    memset(lines, 0, sizeof lines);
    for (int map = 0; map < 3; map++) { /* the border */
        const size_t edge = sizeof(float) * EDGE * job->pitch;
        if (band == 0) memset(map_row(job, plane, map, 0), 0, edge);
        if (last == rows) memset(map_row(job, plane, map, job->height), 0, edge);
    }
    for (int row = first; row < last; row++) {
        for (int map = 0; map < 3; map++) {
            float *line = map_row(job, plane, map, row + EDGE);
            memset(line, 0, sizeof(float) * EDGE);
            memset(line + job->width, 0, sizeof(float) * (job->pitch - (size_t)job->width));
        }
        for (int column = 0; column < valid; column += COLUMNS) {
            const int count = valid - column < COLUMNS ? valid - column : COLUMNS;
            const size_t place = start + (size_t)row * (size_t)job->width + (size_t)column;
            float *out[3];
            for (int map = 0; map < 3; map++) out[map] = map_row(job, plane, map, row + EDGE) + EDGE + column;
            smooth_down(job, job->x + place, job->y + place, count + EDGE, lines);
            sum += (double)vsum(score_part(job, lines, count, out));
        }
    }
    job->sums[item] = sum;
}

static void gradient_task(void *context, int item, int worker) {
    const ssim_job *job = context;
    const int plane = item / job->bands, band = item % job->bands;
    const int first = band * BAND, last = first + BAND < job->height ? first + BAND : job->height;
    float lines[3][ROOM];
    (void)worker;
    for (int row = first; row < last; row++) {
        const size_t start = ((size_t)plane * (size_t)job->height + (size_t)row) * (size_t)job->width;
        for (int column = 0; column < job->width; column += COLUMNS) {
            const int count = job->width - column < COLUMNS ? job->width - column : COLUMNS;
            for (int map = 0; map < 3; map++) {
                const float *from = map_row(job, plane, map, row) + column;
                for (int at = 0; at < count + EDGE; at += NK_LANES) {
                    vf sum = {0};
                    NK_UNROLL for (int k = 0; k < TAPS; k++) sum += vload(from + (size_t)k * job->pitch + at) * job->taps[k];
                    vstore(lines[map] + at, sum);
                }
            }
            for (int at = 0; at < count; at += NK_LANES) {
                const int n = count - at < NK_LANES ? count - at : NK_LANES;
                const size_t place = start + (size_t)(column + at);
                const vf x = vload_n(job->x + place, n), y = vload_n(job->y + place, n);
                vf sum = across(lines[0] + at, job->taps) + 2.0f * x * across(lines[1] + at, job->taps);
                sum += y * across(lines[2] + at, job->taps);
                vstore_part(job->gradient + place, sum * job->share, 0, n);
            }
        }
    }
}

int nt_ssim(nk_pool *pool, const float *x, const float *y, const float taps[11], int planes, int height, int width,
            float *gradient, double *mean) {
    const int rows = height - EDGE, bands = (rows + BAND - 1) / BAND;
    /* a vector that begins at the last column needs room behind it */
    const size_t pitch = (size_t)up_to(width + EDGE + 2 * 16, 16);
    const size_t scores = (size_t)planes * (size_t)bands * sizeof(double);
    const size_t size = scores + sizeof(float) * (size_t)(planes * 3) * (size_t)(height + EDGE) * pitch;
    char *memory = nk_pool_memory(pool, size + 64);
    const double count = (double)planes * rows * (width - EDGE);
    if (!memory) return -1;
    ssim_job job = {x, y, taps, gradient, (float *)(void *)memory, NULL, planes, height, width, bands, pitch, (float)(1 / count)};
    job.sums = (double *)(void *)(memory + (size - scores));
    nt_parallel(pool, score_task, &job, planes * bands);
    *mean = 0.0;
    for (int i = 0; i < planes * bands; i++) *mean += job.sums[i] / count;
    job.bands = (height + BAND - 1) / BAND;
    nt_parallel(pool, gradient_task, &job, planes * job.bands);
    return 0;
}
