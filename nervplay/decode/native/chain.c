/* The entry points: choice of instruction set, and chains of convolutions computed strip by strip.

   A chain never holds a whole map between two of its convolutions: each op has a ring of rows for its input. Which strip
   comes when, and how many rows that takes, is worked out in Python, `schedule.py`. */
#include "nk.h"

#include <math.h>

/* NK_ALL: X(name) for each instruction set that was compiled, best first. */
#define X(name) extern const nk_kernels nk_##name; extern const nk_colour nk_colour_##name;
NK_ALL
#undef X

#define X(name) &nk_##name,
const nk_kernels *const nk_all[] = {NK_ALL NULL};
#undef X

#define X(name) &nk_colour_##name,
static const nk_colour *const colours[] = {NK_ALL};
#undef X

int nk_abi(void) { return NK_ABI; }
int nk_isa_count(void) { return (int)(sizeof nk_all / sizeof *nk_all) - 1; }
const char *nk_isa_name(int isa) { return nk_all[isa]->name; }
int nk_isa_supported(int isa) { return nk_all[isa]->supported(); }
int nk_isa_adds_apart(int isa) { return nk_all[isa]->adds_apart(); }
int nk_isa_lanes(int isa) { return nk_all[isa]->lanes; }
int nk_isa_panel(int isa) { return nk_all[isa]->panel; }

/* What all strips of a chain share. */
typedef struct {
    const nk_kernels *kernels;
    char *scratch;
    size_t scratch_size;
} nk_strips;

typedef struct {
    const nk_strips *shared;
    const nk_op *op;
    nk_map *maps; /* input, output */
    int row0, row1;
} nk_strip;

static void run_piece(void *context, int item, int worker) {
    const nk_strip *s = context;
    const nk_strips *all = s->shared;
    all->kernels->piece(s->op, &s->maps[0], &s->maps[1], s->row0, s->row1, item, all->scratch + (size_t)worker * all->scratch_size);
}

static void run_chain(nk_pool *pool, const nk_strips *shared, const nk_op *ops, nk_map *maps, const int32_t *turns, int all) {
    nk_strip strips[NK_ROUNDS];
    nk_round rounds[NK_ROUNDS];
    for (int first = 0, count; first < all; first += count) {
        count = all - first < NK_ROUNDS ? all - first : NK_ROUNDS;
        for (int i = 0; i < count; i++, turns += NK_TURN) {
            const nk_op *op = &ops[turns[0]];
            strips[i] = (nk_strip){shared, op, &maps[turns[0]], turns[1], turns[2]};
            rounds[i] = (nk_round){&strips[i], shared->kernels->pieces(op, turns[1], turns[2]), nk_after(turns, first)};
        }
        nk_rounds(pool, run_piece, rounds, count);
    }
}

static size_t whole_lines(size_t bytes) { return (bytes + 127) / 64 * 64; }

/* Floats of a row in the ring in front of an op: an odd number of cache lines, so that the rows of a tile lie in different
   sets of the cache; the vector behind the last channel may be read. Two 16-bit integers are as much as a float. */
static size_t ring_pitch(const nk_op *op) {
    const size_t each = (size_t)op->channels / (op->kind == NK_HEAD16 ? 2 : 1);
    return (((size_t)op->width * each + 15) / 16 | 1) * 16;
}

static size_t ring_bytes(const nk_op *op, int rows) { return whole_lines(sizeof(float) * ring_pitch(op) * (size_t)rows); }

static int ring_rows(const nk_op *op) { return op->ring < op->height ? op->ring : op->height; }

int nk_chain(nk_pool *pool, int isa, const nk_op *ops, int count, const int32_t *turns, int all, const float *in,
             float *out) {
    nk_strips shared = {.kernels = nk_all[isa]};
    nk_map maps[NK_MAX_CHAIN + 1];
    if (count > NK_MAX_CHAIN) return -1;
    size_t rings = 0;
    for (int i = 0; i < count; i++) {
        size_t need = whole_lines(shared.kernels->scratch(&ops[i]));
        if (need > shared.scratch_size) shared.scratch_size = need;
        if (i) rings += ring_bytes(&ops[i], ring_rows(&ops[i]));
    }
    char *memory = nk_pool_memory(pool, rings + shared.scratch_size * (size_t)nk_pool_threads(pool));
    if (!memory) return -1;
    for (int i = 0; i < count; i++) {
        maps[i] = (nk_map){i ? (float *)(void *)memory : (float *)in,
                           i ? ring_pitch(&ops[i]) : (size_t)ops[i].width * (size_t)ops[i].channels,
                           i ? ring_rows(&ops[i]) : ops[i].height, ops[i].channels, ops[i].channels};
        if (i) memory += ring_bytes(&ops[i], ring_rows(&ops[i]));
    }
    shared.scratch = memory;
    const nk_op *last = &ops[count - 1];
    size_t each = (size_t)(last->out_channels / last->shuffle) * (size_t)last->out_width;
    maps[count] = (nk_map){out, each, last->out_height * last->shuffle, 0, 0};
    run_chain(pool, &shared, ops, maps, turns, all);
    return 0;
}

typedef struct {
    const nk_kernels *kernels;
    const nk_op *op;
    const float *x, *weights, *bias;
    int inputs, vectors, share, act;
    float slope, *out;
} nk_job;

static void run_linear(void *context, int item, int worker) {
    nk_job *j = context;
    (void)worker;
    int first = item * j->share, count = j->vectors - first < j->share ? j->vectors - first : j->share;
    j->kernels->linear(j->x, j->weights, j->bias, j->inputs, first, count, j->act, j->slope, j->out);
}

void nk_linear(nk_pool *pool, int isa, const float *x, const float *weights, const float *bias, int inputs, int padded,
               int act, float slope, float *out) {
    nk_job job = {.kernels = nk_all[isa], .x = x, .weights = weights, .bias = bias, .inputs = inputs,
                  .vectors = padded / nk_all[isa]->lanes, .share = 16, .act = act, .slope = slope, .out = out};
    nk_parallel(pool, run_linear, &job, (job.vectors + job.share - 1) / job.share);
}

static void run_depthwise(void *context, int item, int worker) {
    nk_job *j = context;
    (void)worker;
    j->kernels->depthwise(j->op, j->x, j->out, item);
}

void nk_depthwise(nk_pool *pool, int isa, const nk_op *op, const float *in, float *out) {
    nk_job job = {.kernels = nk_all[isa], .op = op, .x = in, .out = out};
    nk_parallel(pool, run_depthwise, &job, op->out_height);
}

void nk_peak(int isa, const nk_op *op, const float *in, float *peak) { nk_all[isa]->peak(op, in, peak); }

typedef struct {
    const nk_kernels *kernels;
    const float *in;
    int width, channels, padded;
    float *sums;
} nk_moments_job;

static void run_moments(void *context, int item, int worker) {
    nk_moments_job *j = context;
    (void)worker;
    const size_t row = (size_t)j->width * (size_t)j->channels;
    j->kernels->moments(j->in + (size_t)item * row, j->width, j->channels, j->in, j->sums + (size_t)(2 * item * j->padded));
}

int nk_moments(nk_pool *pool, int isa, const float *in, int height, int width, int channels, float epsilon,
               const float *gain, const float *shift, float *out) {
    const int lanes = nk_all[isa]->lanes, padded = (channels + lanes - 1) / lanes * lanes;
    float *sums = nk_pool_memory(pool, sizeof(float) * 2 * (size_t)padded * (size_t)height);
    if (!sums) return -1;
    nk_moments_job job = {nk_all[isa], in, width, channels, padded, sums};
    nk_parallel(pool, run_moments, &job, height);
    const double each = 1.0 / ((double)height * width);
    for (int c = 0; c < channels; c++) {
        double sum = 0.0, square = 0.0;
        for (int y = 0; y < height; y++) {
            sum += (double)sums[(size_t)(2 * y) * (size_t)padded + (size_t)c];
            square += (double)sums[(size_t)(2 * y + 1) * (size_t)padded + (size_t)c];
        }
        const double mean = sum * each, variance = square * each - mean * mean;
        const double factor = (gain ? (double)gain[c] : 1.0) / sqrt((variance > 0.0 ? variance : 0.0) + (double)epsilon);
        out[c] = (float)factor;
        out[channels + c] = (float)((shift ? (double)shift[c] : 0.0) - ((double)in[c] + mean) * factor);
    }
    return 0;
}

/* Rows of a task: enough to be worth handing out. */
#define BANDS 16

typedef struct {
    const nk_colour *colour;
    const nk_yuv *yuv;
    const float *rgb;
    int height, width;
    uint8_t *out;
} nk_picture;

static void run_rgb8(void *context, int item, int worker) {
    nk_picture *p = context;
    (void)worker;
    const size_t plane = (size_t)p->height * (size_t)p->width;
    for (int y = item * BANDS; y < (item + 1) * BANDS && y < p->height; y++) {
        const float *row = p->rgb + (size_t)y * (size_t)p->width;
        const float *rows[3] = {row, row + plane, row + 2 * plane};
        p->colour->rgb8_row(rows, p->width, p->out + (size_t)y * (size_t)p->width * 3);
    }
}

void nk_rgb8(nk_pool *pool, int isa, const float *rgb, int height, int width, uint8_t *out) {
    nk_picture picture = {.colour = colours[isa], .rgb = rgb, .height = height, .width = width, .out = out};
    nk_parallel(pool, run_rgb8, &picture, (height + BANDS - 1) / BANDS);
}

static void run_yuv(void *context, int item, int worker) {
    nk_picture *p = context;
    (void)worker;
    for (int band = item * BANDS; band < (item + 1) * BANDS && 2 * band < p->yuv->height; band++)
        p->colour->yuv_band(p->yuv, band);
}

void nk_to_yuv(nk_pool *pool, int isa, const nk_yuv *job) {
    nk_picture picture = {.colour = colours[isa], .yuv = job};
    nk_parallel(pool, run_yuv, &picture, ((job->height + 1) / 2 + BANDS - 1) / BANDS);
}
