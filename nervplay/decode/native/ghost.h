/* Ghost modules: a map and, behind it, what a convolution of each of its channels makes of it; both through one gate, if there
   is one, and one activation. The map was stored through a pixel shuffle that belongs behind all that: so pixels of one
   place of it are `factor` apart, and have weights of their own. The gate is made for a block where it is used, and a head
   of 1x1 computed there: neither what goes through the gate nor the gate is ever a map. */
#ifndef NK_GHOST_H
#define NK_GHOST_H

#include "apart.h"
#include "gate.h"
#include "head.h"
#include "nk.h"
#include "simd.h"

#define GHOST_PIXELS APART_VECTORS /* of one place that are computed together, */
#define GHOST_TAPS 3               /* where so many taps lie side by side */

typedef struct {
    const float *rows[8];   /* of the input, by tap; NULL above and below the map */
    const float *weights;   /* [taps down][taps across][padded] of one place */
    const float *bias;      /* the same, [padded] */
    const float *centre;    /* the row of the pixels themselves */
    const float *gate;      /* of the pixels from column `first` on, or NULL */
    float *out;             /* the same of the output */
    int channels, padded, width, left, first;
} nk_ghost_row;

/* Products of one row of GHOST_TAPS taps with GHOST_PIXELS neighbours of one place, all inside: each input is read once. */
NK_INLINE void ghost_taps(const float *from, size_t step, const float *weights, size_t padded, int n, vf *w) {
    vf x[GHOST_PIXELS + GHOST_TAPS - 1];
    NK_UNROLL for (int i = 0; i < GHOST_PIXELS + GHOST_TAPS - 1; i++) {
        x[i] = vload_n(from + (size_t)i * step, n);
        NK_KEEP(x[i]);
    }
    NK_UNROLL for (int u = 0; u < GHOST_TAPS; u++) {
        const vf weight = vload(weights + (size_t)u * padded);
        NK_UNROLL for (int i = 0; i < GHOST_PIXELS; i++) w[i] += x[i + u] * weight;
    }
}

/* The vector from channel c on, of n channels, of pixels x, x + factor, ...; inside: all that they read lies in the row. */
NK_INLINE void ghost_vector(const nk_op *op, const nk_ghost_row *r, int x, int c, int n, const int inside, const int pixels) {
    const nk_ghost *ghost = op->ghost;
    const size_t each = (size_t)r->channels, step = (size_t)ghost->factor * each, padded = (size_t)r->padded;
    vf v[GHOST_PIXELS] = {{0}}, w[GHOST_PIXELS] = {{0}};
    NK_UNROLL for (int i = 0; i < pixels; i++) {
        v[i] = vload_n(r->centre + (size_t)x * each + (size_t)i * step + c, n);
        w[i] = vload(r->bias + c);
    }
    for (int t = 0; t < ghost->down; t++) {
        if (!r->rows[t]) continue;
        const float *weights = r->weights + (size_t)(t * ghost->across) * padded + c;
        if (inside) {
            ghost_taps(r->rows[t] + (size_t)(x - r->left) * each + c, step, weights, padded, n, w);
            continue;
        }
        for (int u = 0; u < ghost->across; u++) {
            const int from = x + u * ghost->factor - r->left;
            NK_UNROLL for (int i = 0; i < pixels; i++) {
                const int at = from + i * ghost->factor;
                if (at >= 0 && at < r->width)
                    w[i] += vload_n(r->rows[t] + (size_t)at * each + c, n) * vload(weights + (size_t)u * padded);
            }
        }
    }
    if (r->gate) {
        NK_UNROLL for (int i = 0; i < pixels; i++) {
            const float *gate = r->gate + 2 * ((size_t)(x - r->first) * each + (size_t)i * step) + c;
            v[i] *= vload_n(gate, n), w[i] *= vload_n(gate + each, n);
        }
    }
    if (op->act != NK_NONE) activate_apart(v, op->act, op->slope), activate_apart(w, op->act, op->slope);
    NK_UNROLL for (int i = 0; i < pixels; i++) {
        float *to = r->out + 2 * ((size_t)(x - r->first) * each + (size_t)i * step) + c;
        if (n >= NK_LANES) {
            vstore(to, v[i]);
            vstore(to + each, w[i]);
        } else {
            vstore_part(to, v[i], 0, n);
            vstore_part(to + each, w[i], 0, n);
        }
    }
}

/* All channels of them. */
NK_INLINE void ghost_pixels(const nk_op *op, const nk_ghost_row *r, int x, const int inside, const int pixels) {
    const int full = op->channels / NK_LANES * NK_LANES;
    for (int c = 0; c < full; c += NK_LANES) ghost_vector(op, r, x, c, NK_LANES, inside, pixels);
    if (full < op->channels) ghost_vector(op, r, x, full, op->channels - full, inside, pixels);
}

/* Pixels [x0, x1) of row y. out, gate: the first one; gate may be NULL. */
static void ghost_row(const nk_op *op, const nk_map *in, int y, int x0, int x1, const float *gate, float *out) {
    const nk_ghost *ghost = op->ghost;
    const int factor = ghost->factor;
    nk_ghost_row r = {.centre = nk_row(in, y), .gate = gate, .out = out, .channels = op->channels,
                      .padded = up_to(op->channels, NK_LANES), .width = op->width, .left = op->left, .first = x0};
    for (int t = 0; t < ghost->down; t++) {
        const int from = y + t * factor - op->top;
        r.rows[t] = from < 0 || from >= op->height ? NULL : nk_row(in, from);
    }
    for (int j = 0; j < factor; j++) {
        const int place = y % factor * factor + (x0 + j) % factor;
        r.weights = (const float *)op->weights + (size_t)(place * ghost->down * ghost->across * r.padded);
        r.bias = op->bias + (size_t)(place * r.padded);
        for (int x = x0 + j; x < x1;) {
            const int last = x + (GHOST_PIXELS - 1) * factor, read = last + (ghost->across - 1) * factor - op->left;
            if (ghost->across == GHOST_TAPS && last < x1 && x >= op->left && read < op->width) {
                ghost_pixels(op, &r, x, 1, GHOST_PIXELS);
                x = last + factor;
            } else {
                ghost_pixels(op, &r, x, 0, 1);
                x += factor;
            }
        }
    }
}

/* Rows that are computed together: all that one row in front of the shuffle makes, where the gate is made here. */
static int ghost_tall(const nk_op *op) { return op->ghost->made ? op->ghost->factor : 1; }

static int ghost_pieces(const nk_op *op, int row0, int row1) { return row_pieces(op, row0, row1) / ghost_tall(op); }

/* Floats of the output of a row of a block, where a head reads it. */
static size_t ghost_line(const nk_op *op) { return op->head ? (size_t)(2 * op->block * op->channels) + 16 : 0; }

static size_t ghost_scratch(const nk_op *op) {
    const size_t head = op->head ? head_scratch(op->head) : 0;
    return (op->ghost->made ? gate_scratch(op) : 0) + sizeof(float) * ghost_line(op) + head + 256;
}

/* A block of pixels of one row, or of `ghost_tall`. */
static void ghost_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    (void)row1;
    const nk_ghost *ghost = op->ghost;
    const int blocks = (op->out_width + op->block - 1) / op->block, tall = ghost_tall(op), x0 = piece % blocks * op->block;
    const int y = row0 + piece / blocks * tall, x1 = op->out_width - x0 < op->block ? op->out_width : x0 + op->block;
    float *line = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *made = line + ghost_line(op);
    float *work = made + (ghost->made ? (size_t)ghost->factor * gate_row(op) : 0);
    if (ghost->made) gate_block(op, y / tall, x0 / tall, (x1 - x0) / tall, made, work);
    for (int i = 0; i < tall; i++) {
        const float *gate = ghost->made ? made + (size_t)i * gate_row(op) : ghost->gate;
        if (ghost->gate && !ghost->made) gate += 2 * ((size_t)(y + i) * (size_t)op->width + (size_t)x0) * (size_t)op->channels;
        ghost_row(op, in, y + i, x0, x1, gate, op->head ? line : nk_row(out, y + i) + 2 * (size_t)x0 * (size_t)op->channels);
        if (!op->head) continue;
        const nk_map from = {line - 2 * (ptrdiff_t)x0 * op->channels, 0, 1, 2 * op->channels, 2 * op->channels};
        head_span(op->head, &from, out, y + i, x0, x1 - x0, work);
    }
}

#endif
