/* The last layer: few outputs, so vectors run over the channels of the input. Bands of rows are laid out in float32 with
   zeros around them first; then nothing looks at borders or types. */
#include "lanes.h"

#define OUTPUTS 3
#define TAPS 9
#define BAND 8
#define PIXELS 8

typedef struct {
    int what, type;
    void *x, *y;
    float *weights, *sums; /* sums: what each band gives to the weights, [band][TAPS][OUTPUTS][padded] */
    const float *bias;
    int height, width, channels, padded, bands;
    char *work;
    size_t scratch;
} head_job;

NK_INLINE size_t line_of(const head_job *job, int channels) { /* one pixel on each side, and whole blocks */
    return (size_t)(up_to(job->width, PIXELS) + 2) * (size_t)channels;
}

/* Rows first - 1 .. first + BAND of a map to `to`, [BAND + 2][line]. */
NK_INLINE void lay_band(const head_job *job, const void *map, int item, int first, int channels, int wide, float *to) {
    const size_t line = line_of(job, wide);
    memset(to, 0, sizeof(float) * line * (BAND + 2));
    for (int r = 0; r < BAND + 2; r++) {
        const int row = first + r - 1;
        if (row < 0 || row >= job->height) continue;
        const size_t start = ((size_t)item * (size_t)job->height + (size_t)row) * (size_t)(job->width * channels);
        float *out = to + (size_t)r * line + wide;
        if (wide == channels) { /* pixels lie one after the other in both */
            for (int i = 0; i < job->width * channels; i += NK_LANES) {
                const int left = job->width * channels - i, n = left < NK_LANES ? left : NK_LANES;
                vstore_part(out + i, read_lanes(map, job->type, start + (size_t)i, n), 0, n);
            }
            continue;
        }
        for (int x = 0; x < job->width; x++)
            for (int c = 0; c < channels; c += NK_LANES) {
                const int n = channels - c < NK_LANES ? channels - c : NK_LANES;
                vstore(out + (size_t)(x * wide + c), read_lanes(map, job->type, start + (size_t)(x * channels + c), n));
            }
    }
}

static void value_band(const head_job *job, int item, int first, int rows, float *laid) {
    const size_t line = line_of(job, job->padded), wide = (size_t)job->padded;
    lay_band(job, job->x, item, first, job->channels, job->padded, laid);
    for (int row = 0; row < rows; row++)
        for (int x = 0; x < job->width; x += PIXELS) {
            vf sums[OUTPUTS][PIXELS] = {{{0}}};
            float parts[OUTPUTS][PIXELS];
            for (int tap = 0; tap < TAPS; tap++) {
                const float *from = laid + (size_t)(row + tap / 3) * line + (size_t)(x + tap % 3) * wide;
                const float *weights = job->weights + (size_t)(tap * OUTPUTS) * wide;
                for (size_t c = 0; c < wide; c += NK_LANES) {
                    vf w[OUTPUTS];
                    NK_UNROLL for (int o = 0; o < OUTPUTS; o++) w[o] = vload(weights + (size_t)o * wide + c);
                    NK_UNROLL for (int p = 0; p < PIXELS; p++) {
                        const vf v = vload(from + (size_t)p * wide + c);
                        NK_UNROLL for (int o = 0; o < OUTPUTS; o++) sums[o][p] += v * w[o];
                    }
                }
            }
            for (int o = 0; o < OUTPUTS; o++) vsum_each(sums[o], PIXELS, parts[o]);
            const size_t place = (((size_t)item * (size_t)job->height + (size_t)(first + row)) * (size_t)job->width + (size_t)x) * OUTPUTS;
            const int count = job->width - x < PIXELS ? job->width - x : PIXELS;
            float line_out[PIXELS * OUTPUTS + 16];
            for (int p = 0; p < count; p++)
                for (int o = 0; o < OUTPUTS; o++) line_out[p * OUTPUTS + o] = parts[o][p] + job->bias[o];
            for (int i = 0; i < count * OUTPUTS; i += NK_LANES) {
                const int left = count * OUTPUTS - i;
                write_lanes(job->y, job->type, place + (size_t)i, vload(line_out + i), left < NK_LANES ? left : NK_LANES);
            }
        }
}

static void to_x_band(const head_job *job, int item, int first, int rows, float *laid) {
    const size_t line = line_of(job, OUTPUTS), wide = (size_t)job->padded;
    lay_band(job, job->y, item, first, OUTPUTS, OUTPUTS, laid);
    for (int row = 0; row < rows; row++)
        for (int x = 0; x < job->width; x += PIXELS) {
            const size_t place = ((size_t)item * (size_t)job->height + (size_t)(first + row)) * (size_t)job->width + (size_t)x;
            const int count = job->width - x < PIXELS ? job->width - x : PIXELS;
            for (int c = 0; c < job->channels; c += NK_LANES) {
                vf sums[PIXELS] = {{0}};
                for (int tap = 0; tap < TAPS; tap++) {
                    const float *g = laid + (size_t)(row + 2 - tap / 3) * line + (size_t)((x + 2 - tap % 3) * OUTPUTS);
                    NK_UNROLL for (int o = 0; o < OUTPUTS; o++) {
                        const vf w = vload(job->weights + (size_t)(tap * OUTPUTS + o) * wide + (size_t)c);
                        NK_UNROLL for (int p = 0; p < PIXELS; p++) sums[p] += w * g[p * OUTPUTS + o];
                    }
                }
                const int n = job->channels - c < NK_LANES ? job->channels - c : NK_LANES;
                for (int p = 0; p < count; p++)
                    write_lanes(job->x, job->type, (place + (size_t)p) * (size_t)job->channels + (size_t)c, sums[p], n);
            }
        }
}

static void to_weights_band(const head_job *job, int item, int first, int rows, float *laid, float *out) {
    const size_t line = line_of(job, job->padded), wide = (size_t)job->padded, short_line = line_of(job, OUTPUTS);
    float *slopes = laid + line * (BAND + 2);
    lay_band(job, job->x, item, first, job->channels, job->padded, laid);
    lay_band(job, job->y, item, first, OUTPUTS, OUTPUTS, slopes);
    for (size_t c = 0; c < wide; c += NK_LANES) {
        vf sums[TAPS][OUTPUTS] = {{{0}}};
        for (int row = 0; row < rows; row++)
            for (int x = 0; x < job->width; x++) {
                const float *g = slopes + (size_t)(row + 1) * short_line + (size_t)((x + 1) * OUTPUTS);
                const float *from = laid + (size_t)row * line + (size_t)x * wide + c;
                NK_UNROLL for (int tap = 0; tap < TAPS; tap++) {
                    const vf v = vload(from + (size_t)(tap / 3) * line + (size_t)(tap % 3) * wide);
                    NK_UNROLL for (int o = 0; o < OUTPUTS; o++) sums[tap][o] += v * g[o];
                }
            }
        for (int tap = 0; tap < TAPS; tap++)
            for (int o = 0; o < OUTPUTS; o++) vstore(out + (size_t)(tap * OUTPUTS + o) * wide + c, sums[tap][o]);
    }
}

static void head_task(void *context, int number, int worker) {
    const head_job *job = context;
    const int item = number / job->bands, first = number % job->bands * BAND;
    const int rows = job->height - first < BAND ? job->height - first : BAND;
    float *laid = (float *)(void *)(job->work + (size_t)worker * job->scratch);
    if (job->what == NT_VALUE) value_band(job, item, first, rows, laid);
    else if (job->what == NT_TO_X) to_x_band(job, item, first, rows, laid);
    else to_weights_band(job, item, first, rows, laid, job->sums + (size_t)number * (size_t)(TAPS * OUTPUTS * job->padded));
}

int nt_head(nk_pool *pool, int what, int type, void *x, float *weights, const float *bias, void *y, int items, int height,
            int width, int channels) {
    head_job job = {.what = what, .type = type, .x = x, .y = y, .weights = weights, .bias = bias};
    job.height = height, job.width = width, job.channels = channels, job.padded = up_to(channels, 16);
    job.bands = (height + BAND - 1) / BAND;
    const size_t size = (size_t)(TAPS * OUTPUTS * job.padded), tasks = (size_t)(items * job.bands);
    const size_t lines = (line_of(&job, job.padded) + line_of(&job, OUTPUTS)) * (BAND + 2) + 2 * NK_LANES;
    job.scratch = (sizeof(float) * lines + 4095) & ~(size_t)4095;
    job.work = nk_pool_memory(pool, job.scratch * (size_t)nt_threads(pool) + sizeof(float) * tasks * size);
    if (!job.work) return -1;
    job.sums = (float *)(void *)(job.work + job.scratch * (size_t)nt_threads(pool));
    nt_parallel(pool, head_task, &job, (int)tasks);
    if (what == NT_TO_WEIGHTS) {
        memset(weights, 0, sizeof(float) * size);
        for (size_t t = 0; t < tasks; t++)
            for (size_t i = 0; i < size; i++) weights[i] += job.sums[t * size + i];
    }
    return 0;
}
