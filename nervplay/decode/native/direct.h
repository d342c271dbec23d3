/* Convolutions of any kernel by plain multiplication: dense, the head, and each channel by itself. In float32; the head
   also with products of 16-bit integers. */
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
        if (count == 3) direct_panel(op, lines, pixels, vector, sums, 3);
        else if (count == 2) direct_panel(op, lines, pixels, vector, sums, 2);
        else direct_panel(op, lines, pixels, vector, sums, 1);
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

/* The head: at most 4 output channels, stored as planes. Weights [tap][out_channels][padded channels]; lanes are
   channels, HEAD_PIXELS pixels at a time so that their sums for 3 outputs and the weights of HEAD_TAPS taps side by side,
   which share what they read, stay in registers: AVX2 has 16. whole: a lane is a pair of channels in 16-bit integers.
   Everything below counts pairs as floats then. */
#if defined(NK_AVX2)
#define HEAD_TAPS 1
#define HEAD_PIXELS 3
#else
#define HEAD_TAPS 3
#define HEAD_PIXELS (NK_ROWS == 8 ? 6 : 4)
#endif
/* Pixels at the ends of a row that are computed apart: their input is copied, to have zeros around. */
#define HEAD_EDGE 16

/* One vector of channels of `taps` taps side by side: those of pixels that are `step` floats apart that are in `lanes`. Every
   pixel is read once for all taps. */
NK_INLINE void head_taps(vf acc[4][HEAD_PIXELS], const float *p, size_t step, const float *w, size_t weight_step,
                         vlanes lanes, const int outs, const int taps, const int whole) {
    vf weight[3][4];
    NK_UNROLL for (int s = 0; s < taps; s++)
        NK_UNROLL for (int o = 0; o < outs; o++) weight[s][o] = vload(w + (size_t)(s * outs + o) * weight_step);
    NK_UNROLL for (int q = 0; q < HEAD_PIXELS + taps - 1; q++) {
        vf v = whole ? vload(p + (size_t)q * step) : vload_lanes(p + (size_t)q * step, lanes);
        NK_KEEP(v);
        NK_UNROLL for (int s = 0; s < taps; s++)
            if (q >= s && q - s < HEAD_PIXELS)
                NK_UNROLL for (int o = 0; o < outs; o++) {
                    if (whole) acc[o][q - s] = (vf)vdot16((vi)acc[o][q - s], (vi)v, (vi)weight[s][o]);
                    else acc[o][q - s] += v * weight[s][o];
                }
    }
}

/* The sums of lanes, from copies: what has an address is kept in memory. */
NK_INLINE void head_ends(vf acc[4][HEAD_PIXELS], const int outs, const int whole, float *sums, size_t pitch) {
    NK_UNROLL for (int o = 0; o < outs; o++) {
        vf ends[HEAD_PIXELS];
        NK_UNROLL for (int i = 0; i < HEAD_PIXELS; i++) ends[i] = whole ? vtofloat((vi)acc[o][i]) : acc[o][i];
        vsum_each(ends, HEAD_PIXELS, sums + (size_t)o * pitch);
    }
}

/* Sums of HEAD_PIXELS pixels from column x on. One loop, for of loops in each other the compiler would keep the sums in
   memory. */
NK_INLINE void head_sums(const nk_op *op, const float *const *lines, int x, float *sums, size_t pitch, const int outs,
                         const int taps) {
    const size_t channels = (size_t)op->channels, padded = (size_t)up_to(op->channels, NK_LANES);
    const int kw = op->kw;
    vf acc[4][HEAD_PIXELS] = {{{0}}};
    const float *w = op->weights, *p = lines[0] + (size_t)x * channels;
    for (int tap = 0, side = 0, c = 0; tap < op->kh;) {
        head_taps(acc, p + c, channels, w + c, padded, first_lanes((int)channels - c), outs, taps, 0);
        c += NK_LANES;
        if ((size_t)c < padded) continue;
        c = 0, side += taps, p += (size_t)taps * channels, w += (size_t)(taps * outs) * padded;
        if (side == kw) side = 0, tap++, p = tap < op->kh ? lines[tap] + (size_t)x * channels : p;
    }
    head_ends(acc, outs, 0, sums, pitch);
}

/* Functions of their own, for within a larger one the compiler runs out of registers. */
#define HEAD_SUMS(outs, taps)                                                                                          \
    static __attribute__((noinline)) void head_sums_##outs##x##taps(const nk_op *op, const float *const *lines, int x, \
                                                                    float *sums, size_t pitch) {                       \
        head_sums(op, lines, x, sums, pitch, outs, taps);                                                              \
    }

HEAD_SUMS(1, 1)
HEAD_SUMS(2, 1)
HEAD_SUMS(3, 1)
HEAD_SUMS(4, 1)
#if HEAD_TAPS > 1
HEAD_SUMS(3, 3)
#else
#define head_sums_3x3 head_sums_3x1
#endif

typedef void nk_head_sums(const nk_op *op, const float *const *lines, int x, float *sums, size_t pitch);

/* The same of pairs of integers, 3 outputs and 3 taps. What lies behind the last channel is read: its weights are 0. One
   loop, for of two in each other the compiler would keep the sums in memory. */
static __attribute__((noinline)) void head_sums16(const nk_op *op, const float *const *lines, int x, float *sums,
                                                  size_t pitch) {
    const size_t pairs = (size_t)op->channels / 2, padded = (size_t)up_to((int)pairs, NK_LANES);
    vf acc[4][HEAD_PIXELS] = {{{0}}};
    const float *w = op->weights;
    const vlanes all = first_lanes(NK_LANES);
    size_t c = 0;
    for (int tap = 0; tap < op->kh;) {
        const float *p = lines[tap] + (size_t)x * pairs + c;
        NK_UNROLL for (int side = 0; side < 3; side += HEAD_TAPS)
            head_taps(acc, p + (size_t)side * pairs, pairs, w + (size_t)(3 * side) * padded + c, padded, all, 3, HEAD_TAPS, 1);
        c += NK_LANES;
        if (c == padded) c = 0, tap++, w += 9 * padded;
    }
    head_ends(acc, 3, 1, sums, pitch);
}

/* Floats of the sums of one output. */
static size_t head_pitch(const nk_op *op) { return (size_t)up_to(op->block, NK_LANES) + 8; }

static size_t head_scratch(const nk_op *op) {
    const size_t patch = (size_t)op->kh * ((size_t)up_to(op->block, NK_ROWS) + (size_t)op->kw) * (size_t)op->channels;
    return 4 * (patch + 4 * head_pitch(op)) + 256;
}

static nk_head_sums *head_sums_of(const nk_op *op) {
    static nk_head_sums *const ones[] = {head_sums_1x1, head_sums_2x1, head_sums_3x1, head_sums_4x1};
    if (op->kind == NK_HEAD16) return head_sums16;
    return op->out_channels == 3 && op->kw == 3 ? head_sums_3x3 : ones[op->out_channels - 1];
}

/* Sums of `pixels` pixels of row y from column x on. */
static void head_run(const nk_op *op, const nk_map *in, int y, int x, int pixels, float *sums, float *patch) {
    const size_t pitch = head_pitch(op);
    const float *lines[MAX_TAPS];
    const int whole = op->kind == NK_HEAD16;
    nk_head_sums *const run = head_sums_of(op);
    gather(op, in, y, x, pixels, (size_t)(whole ? op->channels / 2 : op->channels), patch, lines);
    for (int i = 0; i < pixels; i += HEAD_PIXELS) {
        /* The last pixels are computed with those before them, not with memory behind the row. */
        const int at = i + HEAD_PIXELS > pixels && pixels >= HEAD_PIXELS ? pixels - HEAD_PIXELS : i;
        run(op, lines, at, sums + at, pitch);
    }
}

/* `pixels` pixels of row y from column x on. */
static void head_span(const nk_op *op, const nk_map *in, nk_map *out, int y, int x, int pixels, void *scratch) {
    const size_t plane = (size_t)op->out_height * (size_t)op->out_width, pitch = head_pitch(op);
    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63);
    for (int start = 0, n; start < pixels; start += n) {
        n = pixels - start;
        if (x + start == 0 && n > 2 * HEAD_EDGE) n = HEAD_EDGE;
        else if (x + pixels == op->out_width && n > 2 * HEAD_EDGE) n -= HEAD_EDGE;
        head_run(op, in, y, x + start, n, sums + start, sums + 4 * pitch);
    }
    for (int o = 0; o < op->out_channels; o++) {
        const float unit = op->kind == NK_HEAD16 ? op->scale[o] : 1.0f;
        float *to = out->base + (size_t)o * plane + (size_t)y * (size_t)op->out_width + (size_t)x;
        for (int i = 0; i < pixels; i += NK_LANES) {
            vf v = vload(sums + (size_t)o * pitch + (size_t)i) * unit + op->bias[o];
            activate(&v, 1, op->act, op->slope, 0);
            if (pixels - i >= NK_LANES) vstore(to + i, v);
            else vstore_part(to + i, v, 0, pixels - i);
        }
    }
}

static void head_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const int blocks = (op->out_width + op->block - 1) / op->block, x = piece % blocks * op->block;
    head_span(op, in, out, row0 + piece / blocks, x, op->out_width - x < op->block ? op->out_width - x : op->block, scratch);
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
