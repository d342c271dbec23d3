/* Adam for all parameters of a network in one pass: as they are spread over a hundred small tensors, calls would cost
   more than sums. */
#include "train.h"

#define PIECE 16384 /* values of one item of work */

enum { VALUES, MEAN, SQUARE, STEP, GRADIENT, ADDRESSES };

typedef struct {
    void *const *addresses;
    const int64_t *sizes;
    const int *first; /* piece of each parameter, and behind the last one */
    double rate, b1, b2, eps;
} adam_job;

/* Mean and square forget by b1 and b2; both are divided by what is missing of their first steps. */
static void adam_task(void *context, int piece, int worker) {
    const adam_job *job = context;
    int which = 0;
    (void)worker;
    while (job->first[which + 1] <= piece) which++;
    void *const *it = job->addresses + which * ADDRESSES;
    const size_t start = (size_t)(piece - job->first[which]) * PIECE, left = (size_t)job->sizes[which] - start;
    const size_t count = left < PIECE ? left : PIECE;
    float *restrict w = (float *)it[VALUES] + start, *restrict m = (float *)it[MEAN] + start;
    float *restrict v = (float *)it[SQUARE] + start;
    const float *restrict g = (const float *)it[GRADIENT] + start;
    const double step = (double)*(const float *)it[STEP];
    const float rate = (float)(job->rate / (1.0 - pow(job->b1, step))), eps = (float)job->eps;
    const float root = (float)(1.0 / sqrt(1.0 - pow(job->b2, step)));
    const float keep1 = (float)job->b1, new1 = (float)(1.0 - job->b1), keep2 = (float)job->b2, new2 = (float)(1.0 - job->b2);
    for (size_t i = 0; i < count; i++) {
        m[i] = keep1 * m[i] + new1 * g[i];
        v[i] = keep2 * v[i] + new2 * (g[i] * g[i]);
        w[i] -= rate * m[i] / (sqrtf(v[i]) * root + eps);
    }
}

int nt_adam(nk_pool *pool, void *const *addresses, const int64_t *sizes, int count, double rate, double b1, double b2,
            double eps) {
    int *first = nk_pool_memory(pool, sizeof(int) * (size_t)(count + 1));
    if (!first) return -1;
    adam_job job = {addresses, sizes, first, rate, b1, b2, eps};
    first[0] = 0;
    for (int i = 0; i < count; i++) {
        *(float *)addresses[i * ADDRESSES + STEP] += 1.0f;
        first[i + 1] = first[i] + (int)((sizes[i] + PIECE - 1) / PIECE);
    }
    nt_parallel(pool, adam_task, &job, first[count]);
    return 0;
}
