/* Bilinear enlargement of normalised pixels, plus a tile that repeats over the map: how a stage of HiNeRV begins.

   Half-pixel centres, the edges repeated. Row y of the input makes rows y s .. y s + s - 1 of the output, of rows y - 1,
   y and y + 1. */
#ifndef NK_ENLARGE_H
#define NK_ENLARGE_H

#include "mix.h"

static size_t enlarge_scratch(const nk_op *op) {
    return sizeof(float) * 4 * ((size_t)op->block + 2) * mix_pitch(op->channels) + 256;
}

/* Pixels [x - 1, x + pixels] of a row, those outside the map as their neighbours, padded and normalised. */
static void enlarge_line(const nk_op *op, const float *row, int x, int pixels, float *line) {
    const size_t pitch = mix_pitch(op->channels);
    const int full = op->channels / NK_LANES * NK_LANES;
    for (int i = -1; i <= pixels; i++) {
        const int column = x + i < 0 ? 0 : x + i < op->width ? x + i : op->width - 1;
        const float *from = row + (size_t)column * (size_t)op->channels;
        float *to = line + (size_t)(i + 1) * pitch;
        for (int c = 0; c < full; c += NK_LANES) vstore(to + c, vload(from + c));
        if (full < op->channels) vstore(to + full, vload_n(from + full, op->channels - full));
    }
    for (int start = 0; op->step->norm && start < pixels + 2; start += 8) {
        const int count = pixels + 2 - start < 8 ? pixels + 2 - start : 8;
        float means[8], scales[8];
        normal_scales(line + (size_t)start * pitch, pitch, count, op->channels, op->step->epsilon, means, scales);
        for (int i = 0; i < count; i++) {
            float *pixel = line + (size_t)(start + i) * pitch;
            for (int c = 0; c < op->channels; c += NK_LANES) vstore(pixel + c, (vload(pixel + c) - means[i]) * scales[i]);
        }
    }
}

/* Which of two neighbours: 0 for the one before and this, 1 for this and the next; and the part of the second. */
NK_INLINE int enlarge_place(int place, int factor, float *part) {
    const float at = ((float)place + 0.5f) / (float)factor - 0.5f;
    *part = at < 0.0f ? at + 1.0f : at;
    return at >= 0.0f;
}

/* One vector of n channels of a pixel of the output. */
NK_INLINE void enlarge_vector(const float *from, size_t pitch, float across, const float *tile, float *to, int n) {
    const vf v = vload(from) * (1.0f - across) + vload(from + pitch) * across + vload_n(tile, n);
    if (n == NK_LANES) vstore(to, v);
    else vstore_part(to, v, 0, n);
}

static void enlarge_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const int blocks = (op->out_width + op->block - 1) / op->block, y = row0 + piece / blocks, x = piece % blocks * op->block;
    const int pixels = op->out_width - x < op->block ? op->out_width - x : op->block, s = op->shuffle;
    const int full = op->channels / NK_LANES * NK_LANES, rest = op->channels - full;
    const size_t pitch = mix_pitch(op->channels), size = (size_t)(pixels + 2) * pitch, channels = (size_t)op->channels;
    float *lines = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *blend = lines + 3 * size;
    for (int r = -1; r <= 1; r++) {
        const int row = y + r < 0 ? 0 : y + r < op->height ? y + r : op->height - 1;
        enlarge_line(op, nk_row(in, row), x, pixels, lines + (size_t)(r + 1) * size);
    }
    for (int i = 0; i < s; i++) {
        float down, across;
        const float *above = lines + (size_t)enlarge_place(i, s, &down) * size;
        float *to = nk_row(out, y * s + i) + (size_t)(x * s) * channels;
        for (size_t k = 0; k < size; k += NK_LANES)
            vstore(blend + k, vload(above + k) * (1.0f - down) + vload(above + size + k) * down);
        for (int p = 0; p < pixels; p++)
            for (int j = 0; j < s; j++, to += channels) {
                const float *from = blend + (size_t)(p + enlarge_place(j, s, &across)) * pitch;
                const float *tile = op->step->tile + (size_t)(i * s + j) * channels;
                for (int c = 0; c < full; c += NK_LANES) enlarge_vector(from + c, pitch, across, tile + c, to + c, NK_LANES);
                if (rest) enlarge_vector(from + full, pitch, across, tile + full, to + full, rest);
            }
    }
}

#endif
