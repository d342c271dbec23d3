/* Behind the last layer: the map to a picture, and how far a picture is from the frame. */
#include "lanes.h"

#include "activation.h"

#define PIECE 4096 /* values of one item of work; their errors are summed in float32 */

typedef struct {
    int type;
    void *x;
    const float *gradient;
    float *y;
    float scale;
    size_t count;
} picture_job;

NK_INLINE size_t end_of(size_t start, size_t count) { return start + PIECE < count ? start + PIECE : count; }

static void picture_task(void *context, int number, int worker) {
    const picture_job *job = context;
    const size_t start = (size_t)number * PIECE, end = end_of(start, job->count);
    (void)worker;
    for (size_t i = start; i < end; i += NK_LANES) {
        const int n = end - i < NK_LANES ? (int)(end - i) : NK_LANES;
        vstore_part(job->y + i, vsigmoid(job->scale * read_lanes(job->x, job->type, i, n)), 0, n);
    }
}

static void picture_back_task(void *context, int number, int worker) {
    const picture_job *job = context;
    const size_t start = (size_t)number * PIECE, end = end_of(start, job->count);
    (void)worker;
    for (size_t i = start; i < end; i += NK_LANES) {
        const int n = end - i < NK_LANES ? (int)(end - i) : NK_LANES;
        const vf y = vload_n(job->y + i, n), slope = job->scale * y * (1.0f - y);
        write_lanes(job->x, job->type, i, slope * vload_n(job->gradient + i, n), n);
    }
}

void nt_picture(nk_pool *pool, int type, void *x, float *y, const float *gradient, float scale, int64_t count) {
    picture_job job = {type, x, gradient, y, scale, (size_t)count};
    nt_parallel(pool, gradient ? picture_back_task : picture_task, &job, (int)((count + PIECE - 1) / PIECE));
}

typedef struct {
    int pieces; /* of one item */
    const float *x, *y;
    float *gradient;
    float share; /* of one value in the mean */
    double *sums;
    size_t count;
} error_job;

NK_INLINE void error_piece(const error_job *job, int number, const int kind) {
    const size_t item = (size_t)(number / job->pieces) * job->count, start = (size_t)(number % job->pieces) * PIECE;
    const size_t end = item + end_of(start, job->count);
    const float slope = kind == NT_SQUARE ? 2.0f * job->share : job->share;
    vf sum = {0};
    for (size_t i = item + start; i < end; i += NK_LANES) {
        const int n = end - i < NK_LANES ? (int)(end - i) : NK_LANES;
        const vf d = vload_n(job->x + i, n) - vload_n(job->y + i, n); /* 0 beyond the end */
        sum += kind == NT_SQUARE ? d * d : vabs(d);
        if (!job->gradient) continue;
        const vf sign = vpick(d > 0.0f, vset(slope), vpick(d < 0.0f, vset(-slope), d)); /* 0 and NaN as they are */
        vstore_part(job->gradient + i, kind == NT_SQUARE ? d * slope : sign, 0, n);
    }
    job->sums[number] = (double)vsum(sum);
}

static void square_task(void *context, int number, int worker) {
    (void)worker;
    error_piece(context, number, NT_SQUARE);
}

static void absolute_task(void *context, int number, int worker) {
    (void)worker;
    error_piece(context, number, NT_ABSOLUTE);
}

int nt_error(nk_pool *pool, int kind, const float *x, const float *y, float *gradient, double *means, int items, int64_t count) {
    error_job job = {.x = x, .y = y, .gradient = gradient, .count = (size_t)count};
    job.pieces = (int)((count + PIECE - 1) / PIECE), job.share = (float)(1.0 / ((double)items * (double)count));
    job.sums = nk_pool_memory(pool, sizeof(double) * (size_t)(items * job.pieces));
    if (!job.sums) return -1;
    nt_parallel(pool, kind == NT_SQUARE ? square_task : absolute_task, &job, items * job.pieces);
    for (int item = 0; item < items; item++) {
        means[item] = 0.0;
        for (int piece = 0; piece < job.pieces; piece++) means[item] += job.sums[item * job.pieces + piece] / (double)count;
    }
    return 0;
}
