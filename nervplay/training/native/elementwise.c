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
    int act, in_type, type; /* of x; of y and slope */
    void *x, *y, *slope;
    int width, channels, factor; /* of x, its channels after the shuffle */
} finish_job;

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

NK_INLINE void finish_row(const finish_job *job, int row, const int act, const int in_type, const int type) {
    const int each = job->channels * job->factor * job->factor, most = pixels_of(job);
    float waiting[ROOM];
    for (int column = 0; column < job->width; column += most) {
        const int count = job->width - column < most ? job->width - column : most, n = count * each;
        const size_t start = ((size_t)row * (size_t)job->width + (size_t)column) * (size_t)each;
        for (int i = 0; i < n; i += NK_LANES) {
            const int left = n - i < NK_LANES ? n - i : NK_LANES;
            vf y, slope, x = read_lanes(job->x, in_type, start + (size_t)i, left);
            if (act == NT_GELU) gelu(x, &y, &slope);
            else silu(x, &y, &slope);
            if (job->factor == 1) write_lanes(job->y, type, start + (size_t)i, y, left);
            else write_lanes(waiting, type, (size_t)i, y, left);
            write_lanes(job->slope, type, start + (size_t)i, slope, left);
        }
        if (job->factor > 1) scatter(job, row, column, count, waiting, 0);
    }
}

NK_INLINE void finish_back_row(const finish_job *job, int row, const int in_type, const int type) {
    const int each = job->channels * job->factor * job->factor, most = pixels_of(job);
    float waiting[ROOM];
    for (int column = 0; column < job->width; column += most) {
        const int count = job->width - column < most ? job->width - column : most, n = count * each;
        const size_t start = ((size_t)row * (size_t)job->width + (size_t)column) * (size_t)each;
        if (job->factor > 1) scatter(job, row, column, count, waiting, 1);
        for (int i = 0; i < n; i += NK_LANES) {
            const int left = n - i < NK_LANES ? n - i : NK_LANES;
            const vf slope = read_lanes(job->slope, type, start + (size_t)i, left);
            const vf y = job->factor > 1 ? read_lanes(waiting, type, (size_t)i, left) : read_lanes(job->y, type, start + (size_t)i, left);
            write_lanes(job->x, in_type, start + (size_t)i, y * slope, left);
        }
    }
}

static void finish_task(void *context, int row, int worker) {
    const finish_job *job = context;
    (void)worker;
#define FINISH(act)                                                                                            \
    do {                                                                                                       \
        if (job->in_type == NT_FLOAT32 && job->type == NT_FLOAT32) finish_row(job, row, act, NT_FLOAT32, NT_FLOAT32);   \
        else if (job->in_type == NT_FLOAT32) finish_row(job, row, act, NT_FLOAT32, NT_BFLOAT16);                \
        else finish_row(job, row, act, NT_BFLOAT16, NT_BFLOAT16);                                               \
    } while (0)
    if (job->act == NT_GELU) FINISH(NT_GELU);
    else FINISH(NT_SILU);
#undef FINISH
}

static void finish_back_task(void *context, int row, int worker) {
    const finish_job *job = context;
    (void)worker;
    if (job->in_type == NT_FLOAT32 && job->type == NT_FLOAT32) finish_back_row(job, row, NT_FLOAT32, NT_FLOAT32);
    else if (job->in_type == NT_FLOAT32) finish_back_row(job, row, NT_FLOAT32, NT_BFLOAT16);
    else finish_back_row(job, row, NT_BFLOAT16, NT_BFLOAT16);
}

void nt_finish(nk_pool *pool, int back, int act, int in_type, int type, void *x, void *y, void *slope, int rows, int width,
               int channels, int factor) {
    finish_job job = {act, in_type, type, x, y, slope, width, channels, factor};
    nk_parallel(pool, back ? finish_back_task : finish_task, &job, rows);
}

int nt_abi(void) { return NT_ABI; }
