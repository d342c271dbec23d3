/* Convolutions of 3x3 and 5x5 taps by Winograd's method, and the gradient of their weights.

   Forwards, and with turned weights backwards to the input, runs the decoder's code (`nervplay/decode/native/wino.h`):
   y = A' [(G w G') (B' x B)] A for each tile of 8x8 positions, with all channels multiplied at each position. The same
   equation read the other way round is the gradient of the weights: G' [sum over tiles of (A dy A') (B' x B)] G.
   Tiles are transformed in chunks that stay in the cache; then each position adds what its chunk brings.
   G is not known here: it comes from Python, [8][taps].
   One position of A dy A' is the sum of dy over the tile, whose sum over all tiles is the gradient of the bias. */
#include "train.h"

#include "wino.h"

#define POSITIONS 64
#define CHUNK 64 /* tiles; one chunk's sums are in float32 one after the other */
#define GROUP 8  /* channels of the input that one block of registers holds */
#define WHOLE 9  /* position (1, 1), of the point 1 in both directions */

typedef struct {
    nk_op op;
    const float *x, *gradient, *weights, *transform;
    float *out, *packed, *sums, *values, *slopes, *bias;
    int factor, turned;
    char *work;
    size_t scratch;
    int item, chunk, tiles; /* of the chunk that runs */
    int padded, out_padded; /* channels up to whole vectors of any instruction set */
    size_t value_step, slope_step; /* from one position to the next; odd numbers of cache lines, so that sets differ */
} conv_job;

static nk_op conv_op(int height, int width, int channels, int out_channels, int taps) {
    nk_op op = {0};
    op.kind = NK_WINO, op.act = NK_NONE;
    op.height = op.out_height = height, op.width = op.out_width = width;
    op.channels = channels, op.out_channels = out_channels;
    op.kh = op.kw = taps, op.top = op.left = taps / 2;
    op.shuffle = op.groups = 1, op.strip = op.ring = height, op.block = 16;
    return op;
}

/* The channel of the weights that is output `number` of the kernels: these store (i, j, c), PyTorch (c, i, j). */
NK_INLINE int channel_of(int number, int channels, int factor) {
    const int area = factor * factor, each = channels / area;
    return number % each * area + number / each;
}

/* One tap of the weights of one input channel and one vector of output channels; those of `turned` kernels change their
   parts, and taps are counted from the end. Weights lie as [output][tap][input]. */
NK_INLINE vf weights_of(const conv_job *job, int channel, int first, int tap) {
    const nk_op *op = &job->op;
    const int taps = op->kh * op->kw, count = op->out_channels - first < NK_LANES ? op->out_channels - first : NK_LANES;
    if (job->turned) {
        const int output = channel_of(channel, op->channels, job->factor);
        return vload_n(job->weights + (size_t)(output * taps + taps - 1 - tap) * (size_t)op->out_channels + (size_t)first, count);
    }
    float lanes[NK_LANES] = {0};
    for (int i = 0; i < count; i++) {
        const int output = channel_of(first + i, op->out_channels, job->factor);
        lanes[i] = job->weights[(size_t)(output * taps + tap) * (size_t)op->channels + (size_t)channel];
    }
    return vload(lanes);
}

NK_INLINE void pack_vector(const conv_job *job, int channel, int first, float *to, size_t step, const int side) {
    vf half[8][5]; /* transformed down, not yet across */
    NK_UNROLL for (int c = 0; c < side; c++) {
        vf w[5];
        NK_UNROLL for (int r = 0; r < side; r++) w[r] = weights_of(job, channel, first, r * side + c);
        NK_UNROLL for (int k = 0; k < 8; k++) {
            half[k][c] = w[0] * job->transform[k * side];
            NK_UNROLL for (int r = 1; r < side; r++) half[k][c] += w[r] * job->transform[k * side + r];
        }
    }
    for (int k = 0; k < POSITIONS; k++) {
        vf sum = half[k / 8][0] * job->transform[k % 8 * side];
        NK_UNROLL for (int c = 1; c < side; c++) sum += half[k / 8][c] * job->transform[k % 8 * side + c];
        vstore(to + (size_t)k * step, sum);
    }
}

/* The weights of one input channel, transformed, to where `multiply` of wino.h reads them. */
static void pack_task(void *context, int channel, int worker) {
    const conv_job *job = context;
    const int vectors = (job->op.out_channels + NK_LANES - 1) / NK_LANES, channels = job->op.channels;
    const int panels = (vectors + NK_PANEL - 1) / NK_PANEL;
    (void)worker;
    for (int panel = 0; panel < panels; panel++) {
        const int first = panel_start(panel, vectors), count = panel_start(panel + 1, vectors) - first;
        const size_t width = (size_t)(count * NK_LANES), step = (size_t)channels * width;
        float *to = job->packed + (size_t)first * NK_LANES * (size_t)(POSITIONS * channels) + (size_t)channel * width;
        for (int j = 0; j < count; j++, to += NK_LANES) {
            if (job->op.kh == 3) pack_vector(job, channel, (first + j) * NK_LANES, to, step, 3);
            else pack_vector(job, channel, (first + j) * NK_LANES, to, step, 5);
        }
    }
}

static void convolve_task(void *context, int piece, int worker) {
    conv_job *job = context;
    const nk_op *op = &job->op;
    const size_t area = (size_t)op->height * (size_t)op->width, item = (size_t)job->item;
    const nk_map in = {(float *)job->x + item * area * (size_t)op->channels, (size_t)(op->width * op->channels), op->height,
                       op->channels, op->channels};
    nk_map out = {job->out + item * area * (size_t)op->out_channels, (size_t)(op->width * op->out_channels), op->height,
                  op->out_channels, op->out_channels};
    wino_piece(op, &in, &out, 0, op->height, piece, job->work + (size_t)worker * job->scratch);
}

int nt_convolve(nk_pool *pool, int turned, const float *x, const float *weights, const float *bias, const float *transform,
                float *y, int items, int height, int width, int channels, int out_channels, int taps, int factor) {
    conv_job job = {.op = conv_op(height, width, channels, out_channels, taps), .x = x, .weights = weights, .transform = transform, .out = y};
    job.turned = turned, job.factor = factor, job.out_padded = up_to(out_channels, 16);
    job.scratch = (wino_scratch(&job.op) + 4095) & ~(size_t)4095;
    const size_t weight_size = sizeof(float) * POSITIONS * (size_t)channels * (size_t)job.out_padded;
    const size_t packed = (weight_size + sizeof(float) * (size_t)job.out_padded + 4095) & ~(size_t)4095;
    char *memory = nk_pool_memory(pool, packed + job.scratch * (size_t)nt_threads(pool));
    if (!memory) return -1;
    job.packed = (float *)(void *)memory, job.work = memory + packed;
    float *start = (float *)(void *)(memory + weight_size);
    for (int o = 0; o < job.out_padded; o++)
        start[o] = bias && o < out_channels ? bias[channel_of(o, out_channels, factor)] : 0.0f;
    job.op.weights = job.packed, job.op.bias = start;
    nt_parallel(pool, pack_task, &job, channels);
    for (job.item = 0; job.item < items; job.item++)
        nt_parallel(pool, convolve_task, &job, wino_pieces(&job.op, 0, height));
    return 0;
}

/* A x for x of `tile` values, 6 or 4: the transpose of `transform_output`. */
NK_INLINE void spread(const vf x[6], vf o[8], const int tile) {
    const vf zero = {0}, x4 = tile == 6 ? x[4] : zero, x5 = tile == 6 ? x[5] : zero;
    vf even = x[0] + x[2] + x4, odd = x[1] + x[3] + x5;
    o[0] = x[0], o[1] = even + odd, o[2] = even - odd;
    even = x[0] + 4.0f * x[2] + 16.0f * x4, odd = 2.0f * x[1] + 8.0f * x[3] + 32.0f * x5;
    o[3] = even + odd, o[4] = even - odd;
    even = x[0] + 0.25f * x[2] + 0.0625f * x4, odd = 0.5f * x[1] + 0.125f * x[3] + 0.03125f * x5;
    o[5] = even + odd, o[6] = even - odd;
    o[7] = x[tile - 1];
}

/* One vector of channels of one tile of the gradient: o[position], zero outside the map. */
NK_INLINE void gradient_vector(const nk_op *op, const float *map, int y, int x, int channel, vf *o, const int tile) {
    const int left = op->out_channels - channel, n = left < NK_LANES ? left : NK_LANES;
    vf grid[8][6], line[6], turned[8];
    for (int c = 0; c < tile; c++) {
        for (int r = 0; r < tile; r++) {
            const int inside = y + r < op->height && x + c < op->width;
            const size_t at = ((size_t)(y + r) * (size_t)op->width + (size_t)(x + c)) * (size_t)op->out_channels;
            line[r] = inside ? vload_n(map + at + channel, n) : vset(0.0f);
        }
        spread(line, turned, tile);
        for (int r = 0; r < 8; r++) grid[r][c] = turned[r];
    }
    for (int r = 0; r < 8; r++) spread(grid[r], o + r * 8, tile);
}

NK_INLINE void transform_tile(const conv_job *job, int number, const int tile) {
    const nk_op *op = &job->op;
    const int across = (op->width + tile - 1) / tile, down = (op->height + tile - 1) / tile;
    const int all = job->chunk + number, item = all / (across * down), place = all % (across * down);
    const int y = place / across * tile, x = place % across * tile;
    const size_t area = (size_t)op->height * (size_t)op->width, line = (size_t)(op->width * op->channels);
    const float *map = job->x + (size_t)item * area * (size_t)op->channels;
    nk_source source = {.step = (size_t)op->channels, .channels = op->channels};
    vf o[POSITIONS];
    nk_plan plan = plan_of(op);
    plan.value_step = job->value_step;
    for (int r = 0; r < 8; r++) {
        const int from = y + r - op->top;
        source.rows[r] = from < 0 || from >= op->height ? NULL : map + (size_t)from * line;
    }
    for (int c = 0; c < job->padded; c += NK_LANES) {
        float *to = job->values + (size_t)number * (size_t)job->padded + (size_t)c;
        if (c < op->channels) input_vector(op, &plan, &source, x - op->left, c, to, FLOATS, 8, 8);
        else for (int k = 0; k < POSITIONS; k++) vstore(to + (size_t)k * job->value_step, vset(0.0f));
    }
    for (int c = 0; c < job->out_padded; c += NK_LANES) {
        float *to = job->slopes + (size_t)number * (size_t)job->out_padded + (size_t)c;
        if (c < op->out_channels) gradient_vector(op, job->gradient + (size_t)item * area * (size_t)op->out_channels, y, x, c, o, tile);
        else memset(o, 0, sizeof o);
        for (int k = 0; k < POSITIONS; k++) vstore(to + (size_t)k * job->slope_step, o[k]);
    }
}

static void transform_task(void *context, int number, int worker) {
    const conv_job *job = context;
    (void)worker;
    if (job->op.kh == 3) transform_tile(job, number, 6);
    else transform_tile(job, number, 4);
}

NK_INLINE void add_block(const conv_job *job, const float *values, const float *slopes, float *sums, const int count) {
    const size_t wide = (size_t)job->out_padded;
    vf acc[GROUP][NK_PANEL];
    NK_UNROLL for (int r = 0; r < GROUP; r++)
        NK_UNROLL for (int j = 0; j < count; j++) acc[r][j] = vload(sums + (size_t)r * wide + j * NK_LANES);
    for (int t = 0; t < job->tiles; t++) {
        vf u[NK_PANEL];
        NK_UNROLL for (int j = 0; j < count; j++) {
            u[j] = vload(slopes + (size_t)t * wide + j * NK_LANES);
            NK_KEEP(u[j]);
        }
        NK_UNROLL for (int r = 0; r < GROUP; r++)
            NK_UNROLL for (int j = 0; j < count; j++) acc[r][j] += u[j] * values[(size_t)t * (size_t)job->padded + (size_t)r];
    }
    NK_UNROLL for (int r = 0; r < GROUP; r++)
        NK_UNROLL for (int j = 0; j < count; j++) vstore(sums + (size_t)r * wide + j * NK_LANES, acc[r][j]);
}

/* One position: sums[channel][output] += over the tiles of the chunk. */
static void add_task(void *context, int position, int worker) {
    const conv_job *job = context;
    const int vectors = job->out_padded / NK_LANES, panels = (vectors + NK_PANEL - 1) / NK_PANEL;
    const float *values = job->values + (size_t)position * job->value_step;
    const float *slopes = job->slopes + (size_t)position * job->slope_step;
    float *sums = job->sums + (size_t)position * (size_t)job->padded * (size_t)job->out_padded;
    (void)worker;
    for (int panel = 0; panel < panels; panel++) {
        const int first = panel_start(panel, vectors), count = panel_start(panel + 1, vectors) - first;
        for (int c = 0; c < job->op.channels; c += GROUP) {
            const float *v = values + c, *s = slopes + (size_t)first * NK_LANES;
            float *to = sums + (size_t)c * (size_t)job->out_padded + (size_t)first * NK_LANES;
            if (count == 3) add_block(job, v, s, to, 3);
            else if (count == 2) add_block(job, v, s, to, 2);
            else add_block(job, v, s, to, 1);
        }
    }
    if (position != WHOLE) return;
    for (int o = 0; o < job->out_padded; o += NK_LANES) {
        vf sum = vload(job->bias + o);
        for (int t = 0; t < job->tiles; t++) sum += vload(slopes + (size_t)t * (size_t)job->out_padded + o);
        vstore(job->bias + o, sum);
    }
}

NK_INLINE void fold_vector(const conv_job *job, int channel, int first, const float *from, size_t step, const int side) {
    const int outputs = job->op.out_channels, channels = job->op.channels;
    const int count = outputs - first < NK_LANES ? outputs - first : NK_LANES;
    vf w[5][5] = {{{0}}};
    for (int row = 0; row < 8; row++) {
        vf half[5] = {{0}};
        NK_UNROLL for (int k = 0; k < 8; k++) {
            const vf v = vload(from + (size_t)(row * 8 + k) * step);
            NK_UNROLL for (int c = 0; c < side; c++) half[c] += v * job->transform[k * side + c];
        }
        NK_UNROLL for (int r = 0; r < side; r++)
            NK_UNROLL for (int c = 0; c < side; c++) w[r][c] += half[c] * job->transform[row * side + r];
    }
    float lanes[25][NK_LANES];
    NK_UNROLL for (int t = 0; t < side * side; t++) vstore(lanes[t], w[t / side][t % side]);
    for (int i = 0; i < count; i++) {
        float *to = job->out + (size_t)(channel_of(first + i, outputs, job->factor) * side * side) * (size_t)channels + channel;
        for (int t = 0; t < side * side; t++) to[(size_t)(t * channels)] = lanes[t][i];
    }
}

/* One input channel's gradient: G' sums G, to [output][tap][input]. */
static void fold_task(void *context, int channel, int worker) {
    const conv_job *job = context;
    const size_t step = (size_t)job->padded * (size_t)job->out_padded;
    (void)worker;
    for (int first = 0; first < job->op.out_channels; first += NK_LANES) {
        const float *from = job->sums + (size_t)channel * (size_t)job->out_padded + (size_t)first;
        if (job->op.kh == 3) fold_vector(job, channel, first, from, step, 3);
        else fold_vector(job, channel, first, from, step, 5);
    }
}

int nt_convolve_weights(nk_pool *pool, const float *x, const float *gradient, const float *transform, float *weights,
                        float *bias, int items, int height, int width, int channels, int out_channels, int taps, int factor) {
    conv_job job = {.op = conv_op(height, width, channels, out_channels, taps), .x = x, .gradient = gradient, .transform = transform, .out = weights};
    const int tile = 9 - taps, tiles = items * ((height + tile - 1) / tile) * ((width + tile - 1) / tile);
    job.factor = factor, job.padded = up_to(channels, 16), job.out_padded = up_to(out_channels, 16);
    const size_t sums = (size_t)POSITIONS * (size_t)job.padded * (size_t)job.out_padded, kept = sums + (size_t)job.out_padded;
    job.value_step = CHUNK * (size_t)job.padded + 16, job.slope_step = CHUNK * (size_t)job.out_padded + 16;
    job.sums = nk_pool_memory(pool, sizeof(float) * (kept + POSITIONS * (job.value_step + job.slope_step)));
    if (!job.sums) return -1;
    job.bias = job.sums + sums, job.values = job.sums + kept, job.slopes = job.values + POSITIONS * job.value_step;
    memset(job.sums, 0, sizeof(float) * kept);
    for (job.chunk = 0; job.chunk < tiles; job.chunk += CHUNK) {
        job.tiles = tiles - job.chunk < CHUNK ? tiles - job.chunk : CHUNK;
        nt_parallel(pool, transform_task, &job, job.tiles);
        nt_parallel(pool, add_task, &job, POSITIONS);
    }
    nt_parallel(pool, fold_task, &job, channels);
    for (int o = 0; o < out_channels && bias; o++) bias[channel_of(o, out_channels, factor)] = job.bias[o];
    return 0;
}
