/* Convolutions of any kernel by plain multiplication, in float32: dense, and each channel by itself. */
#ifndef NK_DIRECT_H
#define NK_DIRECT_H

#include "activation.h"
#include "gemm.h"
#include "store.h"

#define MAX_TAPS 64

static int row_pieces(const nk_op *op, int row0, int row1) {
    return (row1 - row0) * ((op->out_width + op->block - 1) / op->block) * op->groups;
}

static size_t direct_scratch(const nk_op *op) {
    size_t block = (size_t)up_to(op->block, NK_ROWS);
    size_t patch = (size_t)op->kh * (block + (size_t)op->kw) * (size_t)op->channels;
    return 4 * (patch + block * NK_COLUMNS) + 256;
}

/* The same where channels lie in several maps, or beside others: always a copy. */
static void gather_parts(const nk_op *op, const nk_map *in, int y, int x, int pixels, float *patch, const float **lines) {
    const int need = up_to(pixels, NK_ROWS) + op->kw - 1, x0 = x - op->left;
    const size_t channels = (size_t)op->channels, whole = (size_t)need * channels;
    const int first = x0 < 0 ? -x0 : 0, last = op->width - x0 < need ? op->width - x0 : need;
    memset(patch, 0, sizeof(float) * (size_t)op->kh * whole);
    for (int tap = 0; tap < op->kh; tap++) {
        const int from = y + tap - op->top;
        float *copy = patch + (size_t)tap * whole;
        lines[tap] = copy;
        if (from < 0 || from >= op->height) continue;
        for (const nk_map *map = in; map == in || map < in + op->sources; copy += map->channels, map++) {
            const float *row = nk_row(map, from) + (ptrdiff_t)x0 * map->step;
            for (int i = first; i < last; i++)
                memcpy(copy + (size_t)i * channels, row + (ptrdiff_t)i * map->step, sizeof(float) * (size_t)map->channels);
        }
    }
}

/* Point lines[tap] at the input of `pixels` outputs from column x, in row y of the output: into the map where all of it
   lies inside, else into a copy with zeros around. Behind the last pixel there are rows enough for a register block.
   channels: of a pixel, in floats. */
static void gather(const nk_op *op, const nk_map *in, int y, int x, int pixels, size_t channels, float *patch,
                   const float **lines) {
    if (op->kind == NK_DIRECT && (op->sources > 1 || in->step != op->channels)) {
        gather_parts(op, in, y, x, pixels, patch, lines);
        return;
    }
    const int need = up_to(pixels, NK_ROWS) + op->kw - 1, x0 = x - op->left;
    for (int tap = 0; tap < op->kh; tap++) {
        const int from = y + tap - op->top, exists = from >= 0 && from < op->height;
        const float *row = exists ? nk_row(in, from) : NULL;
        if (exists && x0 >= 0 && x0 + need <= op->width) {
            lines[tap] = row + (size_t)x0 * channels;
            continue;
        }
        float *copy = patch + (size_t)tap * (size_t)need * channels;
        int first = x0 < 0 ? -x0 : 0, last = op->width - x0 < need ? op->width - x0 : need;
        memset(copy, 0, sizeof(float) * (size_t)need * channels);
        if (exists && last > first)
            memcpy(copy + (size_t)first * channels, row + (size_t)(x0 + first) * channels,
                   sizeof(float) * (size_t)(last - first) * channels);
        lines[tap] = copy;
    }
}

NK_INLINE void direct_panel(const nk_op *op, const float *const *lines, int pixels, int vector, float *sums,
                            const int count) {
    const int depth = op->kw * op->channels;
    const float *weights = (const float *)op->weights + (size_t)vector * NK_LANES * (size_t)(op->kh * depth);
    const nk_ahead ahead = look_ahead(sizeof(float) * (size_t)(op->kh * depth * count) * NK_LANES, op->kh * depth, pixels);
    const float *at[MAX_TAPS];
    for (int i = 0; i < pixels; i += NK_ROWS) {
        for (int tap = 0; tap < op->kh; tap++) at[tap] = lines[tap] + (size_t)i * (size_t)op->channels;
        product(at, op->kh, (size_t)op->channels, weights, depth, sums + (size_t)i * NK_COLUMNS, NK_COLUMNS,
                ahead_of(&ahead, weights, i), ahead.step, NK_ROWS, count);
    }
}

/* Compiled apart: beside what `direct_piece` does, the compiler has a register too few and keeps a sum in memory. */
#define DIRECT_PANEL_OF(name)                                                                                          \
    void name(const nk_op *op, const float *const *lines, int pixels, int vector, float *sums)
typedef DIRECT_PANEL_OF(direct_panel_of);

#define DIRECT_PANEL(count)                                                                                            \
    static __attribute__((noinline)) DIRECT_PANEL_OF(direct_panel_##count) {                                           \
        direct_panel(op, lines, pixels, vector, sums, count);                                                          \
    }
DIRECT_PANEL(1)
DIRECT_PANEL(2)
DIRECT_PANEL(3)
static direct_panel_of *const DIRECT_PANELS[NK_PANEL] = {direct_panel_1, direct_panel_2, direct_panel_3};

static void direct_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const int blocks = (op->out_width + op->block - 1) / op->block, group = piece % op->groups;
    const int y = row0 + piece / op->groups / blocks, x = piece / op->groups % blocks * op->block;
    const int pixels = op->out_width - x < op->block ? op->out_width - x : op->block;
    const int vectors = (op->out_channels + NK_LANES - 1) / NK_LANES, panels = (vectors + NK_PANEL - 1) / NK_PANEL;
    const size_t each = pixel_floats(op);
    const nk_map *added = in + (op->sources > 1 ? op->sources : 1);
    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    float *patch = sums + (size_t)up_to(op->block, NK_ROWS) * NK_COLUMNS;
    const float *lines[MAX_TAPS];
    float *out_rows[16];
    gather(op, in, y, x, pixels, (size_t)op->channels, patch, lines);
    for (int r = 0; r < op->shuffle; r++) out_rows[r] = nk_row(out, y * op->shuffle + r);
    for (int panel = panels * group / op->groups; panel < panels * (group + 1) / op->groups; panel++) {
        const int vector = panel_start(panel, vectors), count = panel_start(panel + 1, vectors) - vector;
        DIRECT_PANELS[count - 1](op, lines, pixels, vector, sums);
        for (int j = 0; j < count; j++) {
            nk_run runs[NK_LANES];
            const int channel = (vector + j) * NK_LANES, found = find_runs(op, channel, runs);
            const vf bias = vload(op->bias + channel);
            for (int i = 0; i < pixels; i++) {
                vf v = vload(sums + (size_t)i * NK_COLUMNS + (size_t)(j * NK_LANES)) + bias;
                activate(&v, 1, op->act, op->slope, 0);
                if (op->added)
                    v = v + vload_n(nk_row(added, y) + (size_t)(x + i) * (size_t)added->step + channel, op->out_channels - channel);
                store_pixels(runs, found, out_rows, 0, (size_t)(x + i) * each, each, &v, 1, 1);
            }
        }
    }
}

/* One row of the output, each channel by itself. */
static void depthwise_row(const nk_op *op, const float *in, float *out, int y) {
    const int padded = up_to(op->channels, NK_LANES);
    const float *weights = op->weights;
    for (int x = 0; x < op->out_width; x++) {
        for (int c = 0; c < op->channels; c += NK_LANES) {
            const int left = op->channels - c, n = left < NK_LANES ? left : NK_LANES;
            vf sum = vload(op->bias + c);
            for (int r = 0; r < op->kh; r++) {
                const int from = y + r - op->top;
                if (from < 0 || from >= op->height) continue;
                for (int s = 0; s < op->kw; s++) {
                    const int column = x + s - op->left;
                    if (column < 0 || column >= op->width) continue;
                    const size_t at = ((size_t)from * (size_t)op->width + (size_t)column) * (size_t)op->channels;
                    sum += vload_n(in + at + c, n) * vload(weights + (r * op->kw + s) * padded + c);
                }
            }
            activate(&sum, 1, op->act, op->slope, 0);
            float *to = out + ((size_t)y * (size_t)op->out_width + (size_t)x) * (size_t)op->channels + c;
            if (n == NK_LANES) vstore(to, sum);
            else vstore_part(to, sum, 0, n);
        }
    }
}

/* `count` vectors of a linear layer from vector `first`, weights in panels of one vector: [vector][input][lane]. */
static void linear_part(const float *x, const float *weights, const float *bias, int inputs, int first, int count,
                        int act, float slope, float *out) {
    for (int v = first; v < first + count; v++) {
        const float *w = weights + (size_t)v * (size_t)inputs * NK_LANES;
        vf part[4] = {{0}};
        int k = 0;
        for (; k + 4 <= inputs; k += 4)
            NK_UNROLL for (int i = 0; i < 4; i++) part[i] += vload(w + (size_t)(k + i) * NK_LANES) * x[k + i];
        for (; k < inputs; k++) part[0] += vload(w + (size_t)k * NK_LANES) * x[k];
        vf sum = (part[0] + part[1]) + (part[2] + part[3]) + vload(bias + (size_t)v * NK_LANES);
        activate(&sum, 1, act, slope, 0);
        vstore(out + (size_t)v * NK_LANES, sum);
    }
}

#endif
