/* Pixel shuffle and activation in one pass, forwards with the slope, and backwards. */
#include "lanes.h"

#include "activation.h"

#define ROOM 4096 /* values on the way through a shuffle; more channels than that are refused by Python */

/* x/2 (1 + erf(x / sqrt 2)) and its slope; erf by Abramowitz and Stegun 7.1.26 (error below 1.5e-7). */
NK_INLINE void gelu(vf x, vf *y, vf *slope) {
    vf a = vabs(x);
    vf t = vrecip(a * 0.23164190f + 1.0f);
    vf e = vexp(x * x * -0.5f);
    vf p = vset(0.5307027145f);
    p = p * t - 0.7265760135f;
    p = p * t + 0.7107068705f;
    p = p * t - 0.142248368f;
    p = p * t + 0.127414796f;
    vf tail = p * t * e; /* of the normal distribution beyond |x| */
    vf below = vpick(x < 0.0f, tail, 1.0f - tail);
    *y = x * below;
    *slope = below + x * e * 0.39894228f;
}

NK_INLINE void silu(vf x, vf *y, vf *slope) {
    vf s = vsigmoid(x);
    *y = x * s;
    *slope = s + x * s * (1.0f - s);
}

typedef struct {
    int act, in_type, type, slope_type; /* in_type: of x, type: of y */
    void *x, *y, *slope;
    int width, channels, factor; /* of x, its channels after the shuffle */
} finish_job;

/* One vector of n values: x at `from` of a map, y at `to` of another, the slope beside x. */
NK_INLINE void value_at(const finish_job *job, size_t from, void *map, int type, size_t to, int n) {
    vf y, slope;
    if (job->act == NT_GELU) gelu(read_lanes(job->x, job->in_type, from, n), &y, &slope);
    else silu(read_lanes(job->x, job->in_type, from, n), &y, &slope);
    write_lanes(map, type, to, y, n);
    write_lanes(job->slope, job->slope_type, from, slope, n);
}

/* The way back. */
NK_INLINE void gradient_at(const finish_job *job, size_t to, const void *map, int type, size_t from, int n) {
    const vf slope = read_lanes(job->slope, job->slope_type, to, n);
    write_lanes(job->x, job->in_type, to, read_lanes(map, type, from, n) * slope, n);
}

/* Channels of x lie as (i, j, c): those of one i are neighbours in y, too. */
static void ordered_row(const finish_job *job, int row, const int back) {
    const size_t factor = (size_t)job->factor, run = (size_t)job->channels * factor, line = (size_t)job->width * run;
    for (size_t i = 0; i < factor; i++) {
        const size_t inside = (size_t)row * line * factor + i * run, outside = ((size_t)row * factor + i) * line;
        for (size_t column = 0; column < (size_t)job->width; column++) {
            const size_t x = inside + column * run * factor, y = outside + column * run;
            for (size_t k = 0; k < run; k += NK_LANES) {
                const int n = run - k < NK_LANES ? (int)(run - k) : NK_LANES;
                if (back) gradient_at(job, x + k, job->y, job->type, y + k, n);
                else value_at(job, x + k, job->y, job->type, y + k, n);
            }
        }
    }
}

/* Pixels whose values wait for the shuffle together. */
NK_INLINE int pixels_of(const finish_job *job) {
    const int each = job->channels * job->factor * job->factor;
    return each < ROOM ? ROOM / each : 1;
}

/* Values (c, i, j) of `count` pixels to or from where the shuffle puts them. */
#define SCATTER(name, kind)                                                                                          \
    NK_INLINE void name(const finish_job *job, int row, int column, int count, kind *inside, const int back,         \
                        const int factor) {                                                                          \
        const size_t channels = (size_t)job->channels, area = (size_t)(factor * factor);                             \
        const size_t line = (size_t)(job->width * factor) * channels;                                                \
        kind *outside = (kind *)job->y + (size_t)(row * factor) * line + (size_t)(column * factor) * channels;       \
        for (int p = 0; p < count; p++, inside += channels * area, outside += (size_t)factor * channels)             \
            for (int i = 0; i < factor; i++)                                                                         \
                for (int j = 0; j < factor; j++)                                                                     \
                    for (size_t c = 0; c < channels; c++) {                                                          \
                        kind *here = inside + c * area + (size_t)(i * factor + j);                                   \
                        kind *there = outside + (size_t)i * line + (size_t)j * channels + c;                         \
                        if (back) *here = *there;                                                                    \
                        else *there = *here;                                                                         \
                    }                                                                                                \
    }
SCATTER(scatter2, uint16_t)
SCATTER(scatter4, float)

NK_INLINE void scatter(const finish_job *job, int row, int column, int count, void *inside, const int back) {
    if (job->type == NT_BFLOAT16 && job->factor == 2) scatter2(job, row, column, count, inside, back, 2);
    else if (job->type == NT_BFLOAT16) scatter2(job, row, column, count, inside, back, job->factor);
    else if (job->factor == 2) scatter4(job, row, column, count, inside, back, 2);
    else scatter4(job, row, column, count, inside, back, job->factor);
}

/* Channels of x lie as (c, i, j). */
static void shuffled_row(const finish_job *job, int row, const int back) {
    const int each = job->channels * job->factor * job->factor, most = pixels_of(job);
    float waiting[ROOM];
    for (int column = 0; column < job->width; column += most) {
        const int count = job->width - column < most ? job->width - column : most, all = count * each;
        const size_t start = ((size_t)row * (size_t)job->width + (size_t)column) * (size_t)each;
        if (back) scatter(job, row, column, count, waiting, 1);
        for (int i = 0; i < all; i += NK_LANES) {
            const int n = all - i < NK_LANES ? all - i : NK_LANES;
            if (back) gradient_at(job, start + (size_t)i, waiting, job->type, (size_t)i, n);
            else value_at(job, start + (size_t)i, waiting, job->type, (size_t)i, n);
        }
        if (!back) scatter(job, row, column, count, waiting, 0);
    }
}

#define TASK(name, function, back)                                \
    static void name(void *context, int row, int worker) {        \
        (void)worker;                                              \
        function(context, row, back);                              \
    }
TASK(ordered_task, ordered_row, 0)
TASK(ordered_back_task, ordered_row, 1)
TASK(shuffled_task, shuffled_row, 0)
TASK(shuffled_back_task, shuffled_row, 1)

void nt_finish(nk_pool *pool, int back, int ordered, int act, int in_type, int type, int slope_type, void *x, void *y,
               void *slope, int rows, int width, int channels, int factor) {
    finish_job job = {act, in_type, type, slope_type, x, y, slope, width, channels, factor};
    if (factor == 1) job.width = 1, job.channels = width * channels; /* rows as they are */
    if (factor == 1 || ordered) nt_parallel(pool, back ? ordered_back_task : ordered_task, &job, rows);
    else nt_parallel(pool, back ? shuffled_back_task : shuffled_task, &job, rows);
}

int nt_abi(void) { return NT_ABI; }
