/* A step of HiNeRV in one pass, `pixels` of a row at a time:

       x --> [each channel by itself 3x3] --> [norm] --> product --> GELU --> product --> (+ x)

   What is between, which is as wide as the second product is deep, lies in the caches and never in a map. Source: arXiv
   2306.09818, sec. 3; official models/blocks. The products are in float32, or in pairs of 16-bit integers whose sums of
   32 bits become floats every MIX_CHUNK channels: shorter sums leave their weights finer units. */
#ifndef NK_MIX_H
#define NK_MIX_H

#include "activation.h"
#include "gemm.h"

#define MIX_CHUNK 256
/* Integers lie within +- this; `packing_mix.py` makes weights so that no sum can overflow. */
#define MIX_LIMIT 8191.0f
/* Taps of the convolution in each direction, and pixels of it that are computed together. */
#define MIX_TAPS 3
#define MIX_TOGETHER 4

/* Bytes by which the input is fetched early. A strip of it was written a while ago. */
#define MIX_AHEAD 2048

static size_t mix_pitch(int channels) { return (size_t)up_to(channels, 16) + 16; }

/* Sums of a register block that are apart until they are floats. */
NK_INLINE int mix_chunks(int depth, const int whole) { return whole ? (depth + MIX_CHUNK - 1) / MIX_CHUNK : 1; }

static size_t mix_sums_size(const nk_op *op) {
    const int most = op->channels > op->step->hidden ? op->channels : op->step->hidden;
    return (size_t)(mix_chunks(most, op->kind == NK_MIX16) * NK_ROWS * NK_COLUMNS);
}

static size_t mix_scratch(const nk_op *op) {
    const size_t pixels = (size_t)up_to(op->block, NK_ROWS);
    return sizeof(float) * (pixels * (mix_pitch(op->channels) + mix_pitch(op->step->hidden)) + mix_sums_size(op)) + 256;
}

/* One vector of n channels of one pixel; `first` and `last` bound the columns of the taps that lie in the map. rows: the
   inputs of the leftmost tap, NULL outside. */
NK_INLINE void mix_taps(const nk_op *op, const float *const *rows, int c, int n, int first, int last, float *out) {
    const size_t channels = (size_t)op->channels, padded = (size_t)up_to(op->channels, NK_LANES);
    vf sum = {0};
    for (int r = 0; r < MIX_TAPS; r++)
        for (int s = first; rows[r] && s < last; s++)
            sum += vload_n(rows[r] + (size_t)s * channels + c, n) * vload(op->step->taps + (size_t)(r * MIX_TAPS + s) * padded + c);
    vstore(out + c, sum);
}

/* The same of MIX_TOGETHER pixels side by side, whose columns all lie in the map: each input is read once. */
NK_INLINE void mix_taps_together(const nk_op *op, const float *const *rows, int c, int n, float *out, size_t pitch) {
    const size_t channels = (size_t)op->channels, padded = (size_t)up_to(op->channels, NK_LANES);
    vf sum[MIX_TOGETHER] = {{0}};
    for (int r = 0; r < MIX_TAPS; r++) {
        if (!rows[r]) continue;
        const float *w = op->step->taps + (size_t)(r * MIX_TAPS) * padded + (size_t)c;
        vf x[MIX_TOGETHER + MIX_TAPS - 1];
        NK_UNROLL for (int i = 0; i < MIX_TOGETHER + MIX_TAPS - 1; i++) {
            x[i] = vload_n(rows[r] + (size_t)i * channels + c, n);
            NK_KEEP(x[i]);
            if (i >= MIX_TAPS - 1) __builtin_prefetch((const char *)(rows[r] + (size_t)i * channels + c) + MIX_AHEAD);
        }
        NK_UNROLL for (int s = 0; s < MIX_TAPS; s++) {
            const vf weight = vload(w + (size_t)s * padded);
            NK_UNROLL for (int i = 0; i < MIX_TOGETHER; i++) sum[i] += x[i + s] * weight;
        }
    }
    NK_UNROLL for (int i = 0; i < MIX_TOGETHER; i++) vstore(out + (size_t)i * pitch + c, sum[i]);
}

/* The convolution of pixels [x, x + pixels) of row y. */
static void mix_convolve(const nk_op *op, const nk_map *in, int y, int x, int pixels, float *out, size_t pitch) {
    const int full = op->channels / NK_LANES * NK_LANES, rest = op->channels - full;
    const float *rows[MIX_TAPS];
    for (int i = 0, n; i < pixels; i += n, out += (size_t)n * pitch) {
        const int from = x + i - 1, inside = from >= 0 && from + MIX_TOGETHER + 2 <= op->width && i + MIX_TOGETHER <= pixels;
        const int first = from < 0 ? -from : 0, last = op->width - from < MIX_TAPS ? op->width - from : MIX_TAPS;
        for (int r = 0; r < MIX_TAPS; r++) {
            const int row = y + r - 1;
            rows[r] = row < 0 || row >= op->height ? NULL : nk_row(in, row) + (ptrdiff_t)from * op->channels;
        }
        n = inside ? MIX_TOGETHER : 1;
        if (inside) {
            for (int c = 0; c < full; c += NK_LANES) mix_taps_together(op, rows, c, NK_LANES, out, pitch);
            if (rest) mix_taps_together(op, rows, full, rest, out, pitch);
        } else {
            for (int c = 0; c < full; c += NK_LANES) mix_taps(op, rows, c, NK_LANES, first, last, out);
            if (rest) mix_taps(op, rows, full, rest, first, last, out);
        }
    }
}

/* The first n lanes, the others 0. */
NK_INLINE vf first_of(vf v, int n) {
    static const int32_t lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return n >= NK_LANES ? v : vpick(*(const vi_any *)lanes < n, v, (vf){0});
}

/* What makes the channels of `count` <= 8 pixels, padded with zeros, have mean 0 and variance 1: means and factors. There is
   room for 8 of each. */
static void normal_scales(const float *pixels, size_t pitch, const int count, int channels, float epsilon, float *means, float *scales) {
    const int full = channels / NK_LANES * NK_LANES;
    const float each = 1.0f / (float)channels;
    vf sums[8];
    for (int i = 0; i < count; i++) {
        vf sum = {0};
        for (int c = 0; c < channels; c += NK_LANES) sum += vload(pixels + (size_t)i * pitch + c);
        sums[i] = sum;
    }
    vsum_each(sums, count, means);
    for (int i = 0; i < count; i++) {
        const float *pixel = pixels + (size_t)i * pitch, mean = means[i] *= each;
        vf squares = {0};
        for (int c = 0; c < full; c += NK_LANES) {
            const vf v = vload(pixel + c) - mean;
            squares += v * v;
        }
        if (full < channels) {
            const vf v = first_of(vload(pixel + full) - mean, channels - full);
            squares += v * v;
        }
        sums[i] = squares;
    }
    vsum_each(sums, count, scales);
    for (int i = 0; i < count; i++) scales[i] = 1.0f / sqrtf(scales[i] * each + epsilon);
}

/* To 16-bit integers in the same memory, which is read before it is written. */
NK_INLINE void to_integers(float *values, int c, vf v, vf units) {
    const vf limit = vset(MIX_LIMIT);
#if defined(NK_AVX512)
    v = (vf)_mm512_range_ps((__m512)(v * units), (__m512)limit, 0x02); /* the smaller magnitude, the sign of v */
#else
    v = vmax(-limit, vmin(limit, v * units));
#endif
    ((vh_any *)(void *)values)[c / NK_LANES] = vshort(v);
}

NK_INLINE void mix_norm(const nk_op *op, float *values, size_t pitch, int pixels, const int whole) {
    const int full = op->channels / NK_LANES * NK_LANES;
    for (int start = 0; start < pixels; start += 8) {
        const int count = pixels - start < 8 ? pixels - start : 8;
        float means[8], scales[8];
        normal_scales(values, pitch, count, op->channels, op->step->epsilon, means, scales);
        for (int i = 0; i < count; i++, values += pitch) {
            const vf mean = vset(means[i]), scale = vset(scales[i]);
            for (int c = 0; c < full; c += NK_LANES) {
                const vf v = (vload(values + c) - mean) * scale;
                if (whole) to_integers(values, c, v, vload(op->step->units + c));
                else vstore(values + c, v);
            }
            if (full == op->channels) continue;
            const vf v = first_of((vload(values + full) - mean) * scale, op->channels - full);
            if (whole) to_integers(values, full, v, vload(op->step->units + full));
            else vstore(values + full, v);
        }
    }
}

/* A panel of `wide` vectors of weights. */
typedef struct {
    const char *weights;
    int depth, wide; /* depth: of floats, or pairs of integers */
    nk_ahead ahead;
} nk_mix_panel;

NK_INLINE nk_mix_panel mix_panel(const void *weights, int channels, int vector, int wide, int pixels, const int whole) {
    const int depth = whole ? (channels + 1) / 2 : channels;
    const size_t row = 4 * NK_LANES * (size_t)depth;
    return (nk_mix_panel){(const char *)weights + row * (size_t)vector, depth, wide,
                          look_ahead(row * (size_t)wide, depth, pixels)};
}

/* The products of up to NK_ROWS pixels from pixel `i` on with a panel, chunk by chunk; `rows` is even. */
NK_INLINE void mix_sums(const float *values, size_t pitch, const nk_mix_panel *panel, int i, int rows, float *sums,
                        const int whole) {
    nk_product *const multiply = (whole ? PRODUCT16 : PRODUCT)[(unsigned)rows / 2 - 1][panel->wide - 1];
    const char *weights = panel->weights, *ahead = ahead_of(&panel->ahead, weights, i);
    const int depth = panel->depth, most = whole ? MIX_CHUNK / 2 : depth;
    const size_t row = 4 * NK_LANES * (size_t)panel->wide, step = panel->ahead.step;
    values += (size_t)i * pitch;
    for (int k = 0; k < depth; k += most, sums += NK_ROWS * NK_COLUMNS)
        multiply(values + k, pitch, weights + (size_t)k * row, depth - k < most ? depth - k : most, sums, NK_COLUMNS,
                 ahead + (size_t)k * step, step);
}

/* A vector of what `mix_sums` made; scale: what one unit of integers is worth. */
NK_INLINE vf mix_sum(const float *sums, int chunks, vf scale, const int whole) {
    if (!whole) return vload(sums);
    vf v = vtofloat((vi)vload(sums));
    for (int chunk = 1; chunk < chunks; chunk++) v += vtofloat((vi)vload(sums + chunk * NK_ROWS * NK_COLUMNS));
    return v * scale;
}

/* Raise peaks to the magnitudes of values, from any thread: floats of one sign are ordered as their bits are. */
static void mix_peaks(const float *values, size_t pitch, int pixels, int channels, float *peaks) {
    for (int c = 0; c < channels; c++) {
        float most = 0.0f;
        for (int i = 0; i < pixels; i++) {
            const float size = fabsf(values[(size_t)i * pitch + (size_t)c]);
            if (size > most) most = size;
        }
        int32_t bits, *shared = (int32_t *)(void *)(peaks + c), known = __atomic_load_n(shared, __ATOMIC_RELAXED);
        memcpy(&bits, &most, sizeof bits);
        while (known < bits && !__atomic_compare_exchange_n(shared, &known, bits, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
}

NK_INLINE int mix_rows(int pixels, int i) { return pixels - i >= NK_ROWS ? NK_ROWS : up_to(pixels - i, 2); }

/* From `normed` to `hidden`: first product and GELU. */
NK_INLINE void mix_expand(const nk_op *op, const float *normed, float *hidden, int pixels, float *sums, const int whole) {
    const nk_step *step = op->step;
    const size_t from = mix_pitch(op->channels), to = mix_pitch(step->hidden);
    const int vectors = (step->hidden + NK_LANES - 1) / NK_LANES, panels = (vectors + NK_PANEL - 1) / NK_PANEL;
    const int chunks = mix_chunks(op->channels, whole);
    for (int panel = 0; panel < panels; panel++) {
        const int vector = panel_start(panel, vectors), wide = panel_start(panel + 1, vectors) - vector, c = vector * NK_LANES;
        const nk_mix_panel columns = mix_panel(op->weights, op->channels, vector, wide, pixels, whole);
        for (int i = 0; i < pixels; i += NK_ROWS) {
            const int rows = mix_rows(pixels, i);
            mix_sums(normed, from, &columns, i, rows, sums, whole);
            for (int j = 0; j < wide; j++) {
                const int at = c + j * NK_LANES;
                const vf scale = whole ? vload(step->hidden_scale + at) : (vf){0}, units = whole ? vload(step->hidden_units + at) : (vf){0};
                for (int k = 0; k < rows; k++) {
                    float *row = hidden + (size_t)(i + k) * to;
                    const vf v = mix_sum(sums + k * NK_COLUMNS + j * NK_LANES, chunks, scale, whole);
                    if (whole) to_integers(row, at, vgelu_rough(v), units);
                    else vstore(row + at, vgelu(v));
                }
            }
        }
    }
}

/* From `hidden` to the output: second product, and the input on top. */
NK_INLINE void mix_project(const nk_op *op, const float *hidden, int pixels, const float *input, float *out, float *sums,
                           const int whole) {
    const nk_step *step = op->step;
    const size_t from = mix_pitch(step->hidden), channels = (size_t)op->out_channels;
    const int vectors = (op->out_channels + NK_LANES - 1) / NK_LANES, panels = (vectors + NK_PANEL - 1) / NK_PANEL;
    const int chunks = mix_chunks(step->hidden, whole);
    for (int panel = 0; panel < panels; panel++) {
        const int vector = panel_start(panel, vectors), wide = panel_start(panel + 1, vectors) - vector, c = vector * NK_LANES;
        const nk_mix_panel columns = mix_panel(step->project, step->hidden, vector, wide, pixels, whole);
        for (int i = 0; i < pixels; i += NK_ROWS) {
            const int rows = mix_rows(pixels, i), exist = pixels - i < rows ? pixels - i : rows;
            mix_sums(hidden, from, &columns, i, rows, sums, whole);
            for (int j = 0; j < wide; j++) {
                const int at = c + j * NK_LANES, left = op->out_channels - at;
                const vf scale = whole ? vload(op->scale + at) : (vf){0};
                for (int k = 0; k < exist; k++) {
                    const size_t place = (size_t)(i + k) * channels + (size_t)at;
                    vf v = mix_sum(sums + k * NK_COLUMNS + j * NK_LANES, chunks, scale, whole);
                    if (step->residual) v += vload_n(input + place, left);
                    if (left >= NK_LANES) vstore(out + place, v);
                    else vstore_part(out + place, v, 0, left);
                }
            }
        }
    }
}

NK_INLINE void mix_run(const nk_op *op, const nk_map *in, nk_map *out, int y, int x, int pixels, float *scratch, const int whole) {
    const size_t pitch = mix_pitch(op->channels), each = (size_t)up_to(op->block, NK_ROWS);
    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *normed = sums + mix_sums_size(op);
    float *hidden = normed + each * pitch;
    if (pixels % 2) memset(normed + (size_t)pixels * pitch, 0, sizeof(float) * pitch); /* rows of a product are even */
    mix_convolve(op, in, y, x, pixels, normed, pitch);
    mix_norm(op, normed, pitch, pixels, whole);
    if (!whole && op->step->peaks) mix_peaks(normed, pitch, pixels, op->channels, op->step->peaks);
    mix_expand(op, normed, hidden, pixels, sums, whole);
    if (!whole && op->step->peaks) mix_peaks(hidden, mix_pitch(op->step->hidden), pixels, op->step->hidden, op->step->hidden_peaks);
    const float *input = nk_row(in, y) + (size_t)x * (size_t)op->channels;
    mix_project(op, hidden, pixels, input, nk_row(out, y) + (size_t)x * (size_t)op->out_channels, sums, whole);
}

/* A block of pixels of one row. Neighbours in order are below each other: they read the same rows. */
static void mix_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    const int rows = row1 - row0, y = row0 + piece % rows, x = piece / rows * op->block;
    const int pixels = op->out_width - x < op->block ? op->out_width - x : op->block;
    if (op->kind == NK_MIX16) mix_run(op, in, out, y, x, pixels, scratch, 1);
    else mix_run(op, in, out, y, x, pixels, scratch, 0);
}

#endif
