/* The gate of a ghost module, a few pixels at a time: a convolution of each channel by itself, down and across the map,
   then one of 1x1 with its activation. In full it would be the largest map of the network, written and read once. */
#ifndef NK_GATE_H
#define NK_GATE_H

#include "flat.h"
#include "nk.h"

#define GATE_PIXELS 64 /* of the map that a block has at most, */
#define GATE_REACH 6   /* and how many more the taps across read */

/* Pixels of the map that the gate of a block is made from. */
static int gate_pixels(const nk_op *op) { return op->block / op->ghost->factor; }

/* Floats of the gate of one row of a block. */
static size_t gate_row(const nk_op *op) { return (size_t)(2 * op->block * op->channels) + 16; }

static size_t gate_scratch(const nk_op *op) {
    const size_t pixels = (size_t)up_to(gate_pixels(op), NK_ROWS);
    return sizeof(float) * ((size_t)op->ghost->factor * gate_row(op) + pixels * (flat_pitch(op->ghost->made->op) + NK_COLUMNS));
}

/* One vector of n channels, from channel c on, of `pixels` pixels of row y from column x on. sums: one vector for each pixel
   and GATE_REACH more; to: the first pixel, as floats or, where norm is there, as 16-bit integers. */
NK_INLINE void gate_vector(const nk_gate *gate, int y, int x, int pixels, int c, int n, vf *sums, void *to, const float *norm) {
    const nk_op *op = gate->op;
    const size_t channels = (size_t)op->channels, padded = (size_t)up_to(op->channels, NK_LANES), pitch = flat_pitch(op);
    const float *taps = gate->taps + c;
    const vlanes lanes = first_lanes(n);
    const int left = gate->across / 2, first = y - gate->down / 2;
    for (int i = 0; i < pixels + gate->across - 1; i++) {
        const int column = x - left + i, exists = column >= 0 && column < op->width;
        vf sum = {0};
        for (int t = 0; exists && t < gate->down; t++) {
            if (first + t < 0 || first + t >= op->height) continue;
            const float *from = gate->map + ((size_t)(first + t) * (size_t)op->width + (size_t)column) * channels + c;
            __builtin_prefetch(from + (size_t)pixels * channels); /* for the block behind this one */
            sum += vload_lanes(from, lanes) * vload(taps + (size_t)t * padded);
        }
        sums[i] = sum;
    }
    taps += (size_t)gate->down * padded;
    for (int i = 0; i < pixels; i++) {
        vf sum = {0};
        for (int t = 0; t < gate->across; t++) sum += sums[i + t] * vload(taps + (size_t)t * padded);
        if (norm) *(vh_any *)((int16_t *)to + (size_t)i * pitch + c) = vshort(sum * vload(norm + c));
        else vstore((float *)to + (size_t)i * pitch + c, sum);
    }
}

/* The gate of a block: of the `factor` rows that row y makes, from its column x on. made: room for them, `gate_row` floats
   from one to the next; work: the rest of `gate_scratch`. */
static void gate_block(const nk_op *ghost_op, int y, int x, int pixels, float *made, float *work) {
    const nk_gate *gate = ghost_op->ghost->made;
    const nk_op *op = gate->op;
    const int whole = op->kind == NK_FLAT16, room = up_to(gate_pixels(ghost_op), NK_ROWS);
    const size_t pitch = flat_pitch(op);
    float *values = work + (size_t)room * NK_COLUMNS, *rows[16];
    vf sums[GATE_PIXELS + GATE_REACH];
    for (int c = 0; c < op->channels; c += NK_LANES)
        gate_vector(gate, y, x, pixels, c, op->channels - c, sums, values, whole ? op->norm : NULL);
    for (int i = 0; i < op->shuffle; i++) rows[i] = made + (size_t)i * gate_row(ghost_op);
    const nk_flat w = {op, values, whole ? pitch / 2 : pitch, NULL, rows, work, 0, 0, pixels};
    const int panels = ((op->out_channels + NK_LANES - 1) / NK_LANES + NK_PANEL - 1) / NK_PANEL;
    if (whole) flat_integer_panels(&w, 0, panels);
    else flat_float_panels(&w, 0, panels);
}

#endif
