/* The transform of the input of a Winograd stage, and its largest magnitudes for calibration. */
#ifndef NK_WINO_IN_H
#define NK_WINO_IN_H

#include "narrow.h"
#include "wino_plan.h"
#include "winograd.h"

/* What becomes of a transformed input. */
enum nk_sink { FLOATS, INTEGERS, PEAKS };

/* Transform the input of one tile and one vector of channels. to: position 0 of the result, `p->value_step` from one
   position to the next; of peaks `p->padded`. What the tile behind it reads and this one does not is fetched: tiles
   step through memory in a way that the processor does not foresee. */
NK_INLINE void input_vector(const nk_op *op, const nk_plan *p, const nk_source *source, int x0, int channel, void *to,
                            const enum nk_sink sink, const int down, const int across) {
    const float *const *rows = source->rows;
    const vlanes lanes = first_lanes(source->channels - channel);
    const size_t behind = (size_t)p->wide * source->step;
    int inside = x0 >= 0 && x0 + across <= op->width;
    for (int r = 0; r < down; r++) inside &= rows[r] != NULL;
    const int most = op->pairs ? WINO_MOST : INT16_MAX;
    vf grid[POINTS][POINTS], line[POINTS], turned[POINTS];
    for (int c = 0; c < across; c++) {
        const int x = x0 + c;
        const size_t at = (size_t)x * source->step + (size_t)channel;
        if (inside) {
            NK_UNROLL for (int r = 0; r < down; r++) line[r] = vload_lanes(rows[r] + at, lanes);
            if (across > 1 && c + p->wide >= across)
                NK_UNROLL for (int r = 0; r < down; r++) __builtin_prefetch(rows[r] + at + behind, 0, 2);
        } else {
            NK_UNROLL for (int r = 0; r < down; r++)
                line[r] = rows[r] && x >= 0 && x < op->width ? vload_lanes(rows[r] + at, lanes) : vset(0.0f);
        }
        if (down > 1) transform_input(line, turned);
        NK_UNROLL for (int r = 0; r < down; r++) grid[r][c] = down > 1 ? turned[r] : line[r];
    }
    for (int r = 0; r < down; r++) {
        if (across > 1) transform_input(grid[r], line);
        else line[0] = grid[r][0];
        NK_UNROLL for (int c = 0; c < across; c++) {
            const size_t k = (size_t)(r * across + c);
            if (sink == FLOATS) {
                vstore((float *)to + k * p->value_step, line[c]);
            } else if (sink == INTEGERS) {
                const vf norm = vload(op->norm + k * (size_t)p->padded + (size_t)(source->first + channel));
                *(vh_any *)((int16_t *)to + k * p->value_step) = vwithin(line[c] * norm, most);
            } else {
                float *peak = (float *)to + k * (size_t)p->padded;
                vstore(peak, vmax(vload(peak), vabs(line[c])));
            }
        }
    }
}

NK_INLINE void input_tiles(const nk_op *shared_op, const nk_plan *shared_plan, const nk_source *sources, int tile0,
                           int tiles, void *values, const enum nk_sink sink, const int down, const int across) {
    const nk_op copy = *shared_op, *op = &copy; /* copies stay in registers, for no store can change them */
    const nk_plan plan = *shared_plan, *p = &plan;
    const size_t each = sink == INTEGERS ? sizeof(int16_t) : sizeof(float);
    /* The vector behind the last channel of a source is that of the next one, or tile, and written after it. */
    for (int t = 0; t < tiles; t++) {
        for (const nk_source *source = sources; source == sources || source < sources + op->sources; source++) {
            if (sink == INTEGERS && down > 1 && across > 1 && source->narrow) {
                narrow_input(op, p, source, (tile0 + t) * p->wide - op->left, (int16_t *)values + t * p->room + source->first);
                continue;
            }
            for (int c = 0; c < source->channels; c += NK_LANES) {
                char *to = (char *)values + (size_t)(t * p->room + source->first + c) * each;
                input_vector(op, p, source, (tile0 + t) * p->wide - op->left, c, to, sink, down, across);
            }
        }
    }
}

/* Calibration: raise peak[position][padded] to the magnitudes of the whole transformed input. */
NK_INLINE void peak_of(const nk_op *op, const float *in, float *peak, const int down, const int across) {
    const nk_plan p = plan_of(op);
    for (int y = 0; y < op->out_height; y += p.tall) {
        nk_source source = {.step = (size_t)op->channels, .channels = op->channels};
        for (int r = 0; r < down; r++) {
            const int from = y + r - op->top, exists = from >= 0 && from < op->height;
            source.rows[r] = exists ? in + (size_t)from * (size_t)(op->width * op->channels) : NULL;
        }
        for (int x = 0; x < op->out_width; x += p.wide)
            for (int c = 0; c < op->channels; c += NK_LANES)
                input_vector(op, &p, &source, x - op->left, c, peak + c, PEAKS, down, across);
    }
}

static void wino_peak(const nk_op *op, const float *in, float *peak) {
    if (op->kh > 1 && op->kw > 1) peak_of(op, in, peak, POINTS, POINTS);
    else if (op->kh > 1) peak_of(op, in, peak, POINTS, 1);
    else peak_of(op, in, peak, 1, POINTS);
}

#endif
