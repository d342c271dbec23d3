/* The head: a convolution of any kernel by plain multiplication, at most 4 output channels, stored as planes; in float32,
   or with products of 16-bit integers.

   Lanes are channels, HEAD_PIXELS pixels at a time so that their sums for 3 outputs stay in registers. whole: a lane is a
   pair of channels in 16-bit integers. Everything below counts pairs as floats then.

   Where there are 32 registers, the weights of HEAD_TAPS taps side by side, which share what they read, stay there, too;
   weights [tap][out_channels][padded channels]. AVX2 has 16: there a row of taps is one line of channels, as it lies in the
   map, which is fewer vectors; weights [row of taps][out_channels][padded line]. (`packing.py`) */
#ifndef NK_HEAD_H
#define NK_HEAD_H

#include "activation.h"
#include "direct.h"

#if defined(NK_AVX2)
#define HEAD_LINES
#define HEAD_PIXELS 4
#define HEAD_STEP(whole) (whole ? 3 : HEAD_PIXELS) /* products of integers need a register before they are added */
#else
#define HEAD_TAPS 3
#define HEAD_PIXELS (NK_ROWS == 8 ? 6 : 4)
#define HEAD_STEP(whole) HEAD_PIXELS
#endif
/* Pixels at the ends of a row that are computed apart: their input is copied, to have zeros around. */
#define HEAD_EDGE 16

/* The sums of lanes, from copies: what has an address is kept in memory. */
NK_INLINE void head_ends(vf acc[4][HEAD_PIXELS], const int outs, const int whole, float *sums, size_t pitch) {
    NK_UNROLL for (int o = 0; o < outs; o++) {
        vf ends[HEAD_PIXELS];
        NK_UNROLL for (int i = 0; i < HEAD_STEP(whole); i++) ends[i] = whole ? vtofloat((vi)acc[o][i]) : acc[o][i];
        vsum_each(ends, HEAD_STEP(whole), sums + (size_t)o * pitch);
    }
}

typedef void nk_head_sums(const nk_op *op, const float *const *lines, int x, float *sums, size_t pitch);

/* Sums of HEAD_PIXELS pixels from column x on; functions of their own, for within a larger one the compiler runs out of
   registers. */
#if defined(HEAD_LINES)

/* One vector of a line: those of pixels that are `step` floats apart that are in `lanes`. */
NK_INLINE void head_vector(vf acc[4][HEAD_PIXELS], const float *p, size_t step, const float *w, size_t weight_step,
                           vlanes lanes, const int outs, const int part) {
    vf weight[4];
    NK_UNROLL for (int o = 0; o < outs; o++) weight[o] = vload(w + (size_t)o * weight_step);
    NK_UNROLL for (int i = 0; i < HEAD_PIXELS; i++) {
        vf v = part ? vload_lanes(p + (size_t)i * step, lanes) : vload(p + (size_t)i * step);
        NK_KEEP(v);
        NK_UNROLL for (int o = 0; o < outs; o++) acc[o][i] += v * weight[o];
    }
}

NK_INLINE void head_lines(const nk_op *op, const float *const *lines, int x, float *sums, size_t pitch, const int outs) {
    const size_t channels = (size_t)op->channels;
    const int line = op->kw * op->channels, padded = up_to(line, NK_LANES);
    const vlanes rest = first_lanes(line % NK_LANES);
    const float *w = op->weights;
    vf acc[4][HEAD_PIXELS] = {{{0}}};
    for (int tap = 0; tap < op->kh; tap++, w += outs * padded) {
        const float *p = lines[tap] + (size_t)x * channels;
        int c = 0;
        for (; c + NK_LANES <= line; c += NK_LANES) head_vector(acc, p + c, channels, w + c, (size_t)padded, rest, outs, 0);
        if (c < line) head_vector(acc, p + c, channels, w + c, (size_t)padded, rest, outs, 1);
    }
    head_ends(acc, outs, 0, sums, pitch);
}

#define HEAD_SUMS(outs)                                                                                                \
    static __attribute__((noinline)) void head_sums_##outs(const nk_op *op, const float *const *lines, int x,          \
                                                           float *sums, size_t pitch) {                                \
        head_lines(op, lines, x, sums, pitch, outs);                                                                   \
    }

HEAD_SUMS(1)
HEAD_SUMS(2)
HEAD_SUMS(3)
HEAD_SUMS(4)

/* The same of pairs of integers and 3 outputs. What lies behind a line is read: its weights are 0. */
static __attribute__((noinline)) void head_sums16(const nk_op *op, const float *const *lines, int x, float *sums,
                                                  size_t pitch) {
    const size_t pairs = (size_t)op->channels / 2, padded = (size_t)up_to(op->kw * (int)pairs, NK_LANES);
    const float *w = op->weights;
    vi acc[3][HEAD_STEP(1)] = {{{0}}};
    for (int tap = 0; tap < op->kh; tap++, w += 2 * padded) {
        const float *p = lines[tap] + (size_t)x * pairs;
        for (const float *end = w + padded; w < end; w += NK_LANES, p += NK_LANES) {
            vi v[HEAD_STEP(1)];
            NK_UNROLL for (int i = 0; i < HEAD_STEP(1); i++) v[i] = (vi)vload(p + (size_t)i * pairs);
            NK_UNROLL for (int o = 0; o < 3; o++) {
                const vi weight = (vi)vload(w + (size_t)o * padded);
                NK_UNROLL for (int i = 0; i < HEAD_STEP(1); i++) acc[o][i] = vdot16(acc[o][i], v[i], weight);
            }
        }
    }
    vf floats[4][HEAD_PIXELS];
    NK_UNROLL for (int o = 0; o < 3; o++) NK_UNROLL for (int i = 0; i < HEAD_STEP(1); i++) floats[o][i] = (vf)acc[o][i];
    head_ends(floats, 3, 1, sums, pitch);
}

static nk_head_sums *head_sums_of(const nk_op *op) {
    static nk_head_sums *const each[] = {head_sums_1, head_sums_2, head_sums_3, head_sums_4};
    return op->kind == NK_HEAD16 ? head_sums16 : each[op->out_channels - 1];
}

#else

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

/* One loop, for of loops in each other the compiler would keep the sums in memory. */
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

#define HEAD_SUMS(outs, taps)                                                                                          \
    static __attribute__((noinline)) void head_sums_##outs##x##taps(const nk_op *op, const float *const *lines, int x, \
                                                                    float *sums, size_t pitch) {                       \
        head_sums(op, lines, x, sums, pitch, outs, taps);                                                              \
    }

HEAD_SUMS(1, 1)
HEAD_SUMS(2, 1)
HEAD_SUMS(3, 1)
HEAD_SUMS(4, 1)
HEAD_SUMS(3, 3)

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

static nk_head_sums *head_sums_of(const nk_op *op) {
    static nk_head_sums *const ones[] = {head_sums_1x1, head_sums_2x1, head_sums_3x1, head_sums_4x1};
    if (op->kind == NK_HEAD16) return head_sums16;
    return op->out_channels == 3 && op->kw == 3 ? head_sums_3x3 : ones[op->out_channels - 1];
}

#endif

/* Floats of the sums of one output. */
static size_t head_pitch(const nk_op *op) { return (size_t)up_to(op->block, NK_LANES) + 8; }

static size_t head_scratch(const nk_op *op) {
    const size_t patch = (size_t)op->kh * ((size_t)up_to(op->block, NK_ROWS) + (size_t)op->kw) * (size_t)op->channels;
    return 4 * (patch + 4 * head_pitch(op)) + 256;
}

/* Sums of `pixels` pixels of row y from column x on. */
static void head_run(const nk_op *op, const nk_map *in, int y, int x, int pixels, float *sums, float *patch) {
    const size_t pitch = head_pitch(op);
    const float *lines[MAX_TAPS];
    const int whole = op->kind == NK_HEAD16, step = HEAD_STEP(whole);
    nk_head_sums *const run = head_sums_of(op);
    gather(op, in, y, x, pixels, (size_t)(whole ? op->channels / 2 : op->channels), patch, lines);
    for (int i = 0; i < pixels; i += step) {
        /* The last pixels are computed with those before them, not with memory behind the row. */
        const int at = i + step > pixels && pixels >= step ? pixels - step : i;
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

#endif
