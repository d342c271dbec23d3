/* What is between and beside the matrix products of a ConvNeXt block (`nervplay/blocks/convnext.py`):

       x --> [each channel by itself 7x7] --> [norm] --> products, GELU --> times a scale per channel --> + x

   The two ends are one pass each, forwards and backwards. Channels of one place are normalised to mean 0 and variance 1
   before weight and bias of the norm. Maps are padded with zeros to whole vectors and around the borders first. */
#include "depthwise.h"
#include "lanes.h"

#define TAPS 7
#define EDGE (TAPS / 2)
#define AREA (TAPS * TAPS)

typedef struct {
    const float *x, *weights, *bias, *norm_weight, *norm_bias, *gradient;
    const void *normed_gradient;
    void *normed;
    float *out, *unit, *deviation, *sums;
    float epsilon;
    int type, height, width, channels;
    int padded, wide;                 /* channels and columns up to whole vectors and blocks */
    float *inside, *turned, *packed;  /* padded: the input, the gradient behind the norm; weights [AREA][padded] */
    float *lines, *slopes;            /* rows of results; the gradient behind the norm without borders */
} next_job;

NK_INLINE size_t padded_line(const next_job *job) { return (size_t)(job->wide + TAPS - 1) * (size_t)job->padded; }
NK_INLINE size_t padded_size(const next_job *job, int items) {
    return (size_t)items * (size_t)(job->height + TAPS - 1) * padded_line(job);
}

/* Row `number`, counted through all items, of a padded map, and of one without a border. */
NK_INLINE float *inner_row(const next_job *job, float *map, int number) {
    const int item = number / job->height, row = number % job->height;
    return map + ((size_t)item * (size_t)(job->height + TAPS - 1) + (size_t)(row + EDGE)) * padded_line(job) + (size_t)(EDGE * job->padded);
}
NK_INLINE float *whole_row(const next_job *job, float *map, int number) {
    return map + (size_t)number * (size_t)job->wide * (size_t)job->padded;
}

/* What lies above the items, between and below them, and beside row `number` is 0; the row itself is written by others. */
static void clear_around(const next_job *job, float *map, int number) {
    const size_t line = padded_line(job), edge = (size_t)(EDGE * job->padded);
    float *row = inner_row(job, map, number) - edge;
    if (number % job->height == 0) memset(row - EDGE * line, 0, sizeof(float) * EDGE * line);
    if (number % job->height == job->height - 1) memset(row + line, 0, sizeof(float) * EDGE * line);
    memset(row, 0, sizeof(float) * edge);
    memset(row + edge + (size_t)(job->width * job->padded), 0,
           sizeof(float) * ((size_t)(job->wide - job->width) * (size_t)job->padded + edge));
}

static void lay_task(void *context, int number, int worker) {
    const next_job *job = context;
    const float *from = job->x + (size_t)number * (size_t)(job->width * job->channels);
    float *to = inner_row(job, job->inside, number);
    (void)worker;
    clear_around(job, job->inside, number);
    for (int x = 0; x < job->width; x++, from += job->channels, to += job->padded)
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c;
            vstore(to + c, vload_n(from + c, left < NK_LANES ? left : NK_LANES));
        }
}

/* Weights [channel][tap] to [tap][padded]; `turned` by 180 degrees. */
static void pack(const next_job *job, const int turned) {
    memset(job->packed, 0, sizeof(float) * (size_t)(AREA * job->padded));
    for (int c = 0; c < job->channels; c++)
        for (int t = 0; t < AREA; t++)
            job->packed[(turned ? AREA - 1 - t : t) * job->padded + c] = job->weights[c * AREA + t];
}

static depthwise_job rows_of(const next_job *job, const float *map, const float *bias) {
    return (depthwise_job){.x = map, .weights = job->packed, .bias = bias, .out = job->lines,
                           .height = job->height, .width = job->wide, .channels = job->padded, .taps = TAPS};
}

/* Convolve and normalise one row. */
static void enter_task(void *context, int number, int worker) {
    const next_job *job = context;
    const depthwise_job rows = rows_of(job, job->inside, NULL);
    const float share = 1.0f / (float)job->channels;
    (void)worker;
    convolve_row(&rows, number, TAPS);
    for (int x = 0; x < job->width; x++) {
        float *values = whole_row(job, job->lines, number) + (size_t)(x * job->padded);
        const size_t place = (size_t)number * (size_t)job->width + (size_t)x, start = place * (size_t)job->channels;
        vf sum = {0}, squares = {0};
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            const vf v = vload(values + c) + vload_n(job->bias + c, n);
            vstore(values + c, v);
            sum += v;
        }
        const float mean = vsum(sum) * share;
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            vstore_part(values + c, vload(values + c) - mean, 0, n); /* what is padded stays 0 */
            const vf v = vload(values + c);
            squares += v * v;
        }
        const float deviation = 1.0f / sqrtf(vsum(squares) * share + job->epsilon);
        job->deviation[place] = deviation;
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            const vf v = vload(values + c) * deviation;
            vstore_part(job->unit + start + (size_t)c, v, 0, n);
            write_lanes(job->normed, job->type, start + (size_t)c, v * vload_n(job->norm_weight + c, n) + vload_n(job->norm_bias + c, n), n);
        }
    }
}

/* Back through the norm: one row of the gradient of its input, and what the row gives to bias, weight and bias of the
   norm: sums [3][padded]. */
static void unnorm_task(void *context, int number, int worker) {
    const next_job *job = context;
    const float share = 1.0f / (float)job->channels;
    float *sums = job->sums + (size_t)number * (size_t)(3 * job->padded), *out = inner_row(job, job->turned, number);
    float *kept = whole_row(job, job->slopes, number);
    (void)worker;
    clear_around(job, job->turned, number);
    memset(sums, 0, sizeof(float) * (size_t)(3 * job->padded));
    memset(kept + (size_t)(job->width * job->padded), 0, sizeof(float) * (size_t)((job->wide - job->width) * job->padded));
    for (int x = 0; x < job->width; x++, out += job->padded, kept += job->padded) {
        const size_t place = (size_t)number * (size_t)job->width + (size_t)x, start = place * (size_t)job->channels;
        vf all = {0}, along = {0};
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            const vf g = read_lanes(job->normed_gradient, job->type, start + (size_t)c, n), unit = vload_n(job->unit + start + (size_t)c, n);
            const vf to_unit = g * vload_n(job->norm_weight + c, n);
            all += to_unit, along += to_unit * unit;
            vstore(out + c, to_unit);
            vstore(sums + job->padded + c, vload(sums + job->padded + c) + g * unit);
            vstore(sums + 2 * job->padded + c, vload(sums + 2 * job->padded + c) + g);
        }
        const float mean = vsum(all) * share, slope = vsum(along) * share, deviation = job->deviation[place];
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            const vf unit = vload_n(job->unit + start + (size_t)c, n);
            vstore_part(out + c, (vload(out + c) - mean - unit * slope) * deviation, 0, n);
            const vf v = vload(out + c);
            vstore(kept + c, v);
            vstore(sums + c, vload(sums + c) + v);
        }
    }
}

/* One row of the gradient of x: the convolution's, and that of the sum behind the block. */
static void leave_task(void *context, int number, int worker) {
    const next_job *job = context;
    const depthwise_job rows = rows_of(job, job->turned, NULL);
    const size_t start = (size_t)number * (size_t)(job->width * job->channels);
    const float *line = whole_row(job, job->lines, number);
    (void)worker;
    convolve_row(&rows, number, TAPS);
    for (int x = 0; x < job->width; x++)
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            const size_t at = start + (size_t)(x * job->channels + c);
            vstore_part(job->out + at, vload(line + x * job->padded + c) + vload_n(job->gradient + at, n), 0, n);
        }
}

static void correlate_task(void *context, int number, int worker) {
    (void)worker;
    correlate(context, number, TAPS);
}

/* Room for maps of one call, in the order of the pointers of `next_job`; false when memory is short. */
static int make_room(nk_pool *pool, next_job *job, int items, const int back) {
    job->padded = up_to(job->channels, 16), job->wide = up_to(job->width, COLUMNS);
    const size_t bordered = padded_size(job, items), weights = (size_t)(AREA * job->padded), rows = (size_t)(items * job->height);
    const size_t whole = rows * (size_t)job->wide * (size_t)job->padded, sums = rows * (size_t)(3 * job->padded);
    float *memory = nk_pool_memory(pool, sizeof(float) * (2 * weights + bordered + whole + (back ? bordered + whole + sums : 0)));
    if (!memory) return 0;
    job->packed = memory, job->inside = memory + 2 * weights, job->lines = job->inside + bordered;
    job->turned = job->lines + whole, job->slopes = job->turned + bordered, job->sums = job->slopes + whole;
    return 1;
}

int nt_next_enter(nk_pool *pool, int type, const float *x, const float *weights, const float *bias, const float *norm_weight,
                  const float *norm_bias, void *normed, float *unit, float *deviation, float epsilon, int items, int height,
                  int width, int channels) {
    next_job job = {.x = x, .weights = weights, .bias = bias, .norm_weight = norm_weight, .norm_bias = norm_bias,
                    .normed = normed, .unit = unit, .deviation = deviation, .epsilon = epsilon, .type = type,
                    .height = height, .width = width, .channels = channels};
    if (!make_room(pool, &job, items, 0)) return -1;
    pack(&job, 0);
    nt_parallel(pool, lay_task, &job, items * height);
    nt_parallel(pool, enter_task, &job, items * height);
    return 0;
}

int nt_next_enter_back(nk_pool *pool, int type, const float *x, const float *weights, const float *norm_weight,
                       const void *normed_gradient, const float *unit, const float *deviation, const float *gradient,
                       float *to_x, float *to_weights, float *to_vectors, int items, int height, int width, int channels) {
    next_job job = {.x = x, .weights = weights, .norm_weight = norm_weight, .normed_gradient = normed_gradient,
                    .unit = (float *)unit, .deviation = (float *)deviation, .gradient = gradient, .out = to_x, .type = type,
                    .height = height, .width = width, .channels = channels};
    if (!make_room(pool, &job, items, 1)) return -1;
    pack(&job, 1);
    nt_parallel(pool, lay_task, &job, items * height);
    nt_parallel(pool, unnorm_task, &job, items * height);
    nt_parallel(pool, leave_task, &job, items * height);
    float *folded = job.packed + (size_t)(AREA * job.padded);
    depthwise_job sums = {.x = job.inside, .gradient = job.slopes, .out = folded, .items = items, .height = height,
                          .width = job.wide, .channels = job.padded, .taps = TAPS};
    nt_parallel(pool, correlate_task, &sums, job.padded / NK_LANES * TAPS);
    for (int c = 0; c < channels; c++) {
        for (int t = 0; t < AREA; t++) to_weights[c * AREA + t] = folded[t * job.padded + c];
        for (int which = 0; which < 3; which++) {
            float sum = 0.0f;
            for (int row = 0; row < items * height; row++) sum += job.sums[(size_t)((row * 3 + which) * job.padded + c)];
            to_vectors[which * channels + c] = sum;
        }
    }
    return 0;
}

typedef struct {
    int type, width, channels;
    const float *x, *scale;
    void *product, *to_product;
    float *y, *sums;
} leave_job;

/* y = x + scale * product, one row. */
static void add_scaled_task(void *context, int row, int worker) {
    const leave_job *job = context;
    (void)worker;
    for (int x = 0; x < job->width; x++)
        for (int c = 0; c < job->channels; c += NK_LANES) {
            const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
            const size_t at = ((size_t)row * (size_t)job->width + (size_t)x) * (size_t)job->channels + (size_t)c;
            const vf v = vload_n(job->x + at, n) + vload_n(job->scale + c, n) * read_lanes(job->product, job->type, at, n);
            vstore_part(job->y + at, v, 0, n);
        }
}

/* One row back: to the product, and sums [2][channels up to whole vectors] of gradient and gradient times product. */
static void scaled_back_task(void *context, int row, int worker) {
    const leave_job *job = context;
    const int padded = up_to(job->channels, 16);
    (void)worker;
    for (int c = 0; c < job->channels; c += NK_LANES) {
        const int left = job->channels - c, n = left < NK_LANES ? left : NK_LANES;
        const vf scale = vload_n(job->scale + c, n);
        vf all = {0}, along = {0};
        for (int x = 0; x < job->width; x++) {
            const size_t at = ((size_t)row * (size_t)job->width + (size_t)x) * (size_t)job->channels + (size_t)c;
            const vf g = vload_n(job->x + at, n);
            all += g, along += g * read_lanes(job->product, job->type, at, n);
            write_lanes(job->to_product, job->type, at, g * scale, n);
        }
        vstore(job->sums + (size_t)(2 * row * padded + c), all);
        vstore(job->sums + (size_t)((2 * row + 1) * padded + c), along);
    }
}

void nt_next_leave(nk_pool *pool, int type, const float *x, const void *product, const float *scale, float *y, int rows,
                   int width, int channels) {
    leave_job job = {.type = type, .width = width, .channels = channels, .x = x, .scale = scale, .product = (void *)product, .y = y};
    nt_parallel(pool, add_scaled_task, &job, rows);
}

int nt_next_leave_back(nk_pool *pool, int type, const float *gradient, const void *product, const float *scale,
                       void *to_product, float *to_vectors, int rows, int width, int channels) {
    leave_job job = {.type = type, .width = width, .channels = channels, .x = gradient, .scale = scale, .product = (void *)product, .to_product = to_product};
    const int padded = up_to(channels, 16);
    if (!(job.sums = nk_pool_memory(pool, sizeof(float) * (size_t)(2 * rows * padded)))) return -1;
    nt_parallel(pool, scaled_back_task, &job, rows);
    for (int c = 0; c < channels; c++) {
        float all = 0.0f, along = 0.0f;
        for (int row = 0; row < rows; row++)
            all += job.sums[(size_t)(2 * row * padded + c)], along += job.sums[(size_t)((2 * row + 1) * padded + c)];
        to_vectors[c] = all * scale[c], to_vectors[channels + c] = along;
    }
    return 0;
}
