/* What the parts of a Winograd stage share: sizes of tiles and of scratch memory. */
#ifndef NK_WINO_PLAN_H
#define NK_WINO_PLAN_H

#include "fused.h"
#include "gemm.h"
#include "nk.h"
#include "simd.h"

#define POINTS 8 /* input positions of a tile in a direction that has taps */
#define WINO_MOST 24575 /* largest magnitude of a value in pairs, or of a narrow map: weights in pairs are below 2^13 (`packing.py`) */

typedef struct {
    int tall, wide;   /* output pixels of a tile */
    int down, across; /* input positions of a tile */
    int lines;        /* of POINTS positions each: what is transformed back together */
    int strands;      /* of output pixels: what comes out of one transform back */
    int padded;       /* channels rounded up to 16 */
    int room;         /* of a tile for them: a vector more where there are several sources, for each ends where it likes */
    int vectors;      /* of output channels */
    int span;         /* panels whose results are kept together: two where a head adds them */
    size_t pitch;     /* floats of the sums of one tile and position */
    size_t value_step; /* from one position to the next; an odd number of cache lines, so that sets differ */
    size_t tile_step;  /* from one tile to the next behind the first transform back */
    int padded_tiles;  /* of a block: rows that products may touch */
    int batch;         /* tiles of a block whose sums are kept together, a line of positions at a time */
} nk_plan;

/* A source: the rows of a line of tiles, NULL outside; floats from one pixel to the next; how many channels there are, and
   the number of the first among those of the op. */
typedef struct {
    const float *rows[POINTS];
    size_t step;
    int channels, first;
    int narrow; /* whether these are 16-bit integers, see `narrow.h`; step counts them */
} nk_source;

NK_INLINE int tile_of(int taps) { return taps == 1 ? 1 : 9 - taps; }

static nk_plan plan_of(const nk_op *op) {
    nk_plan p;
    p.tall = tile_of(op->kh), p.wide = tile_of(op->kw);
    p.down = op->kh == 1 ? 1 : POINTS, p.across = op->kw == 1 ? 1 : POINTS;
    p.lines = p.down * p.across / POINTS;
    p.strands = p.tall > 1 ? p.wide : 1;
    p.padded = up_to(op->channels, 16);
    p.room = p.padded + (op->sources > 1 ? 16 : 0);
    p.vectors = (op->out_channels + NK_LANES - 1) / NK_LANES;
    p.span = op->head ? 2 : 1;
    p.pitch = (size_t)(p.span * NK_COLUMNS);
    p.padded_tiles = up_to(op->block, NK_ROWS);
    p.batch = p.padded_tiles < NK_BATCH ? p.padded_tiles : NK_BATCH;
    p.value_step = (size_t)p.padded_tiles * (size_t)p.room + 16;
    p.tile_step = p.lines > 1 ? p.pitch * (size_t)(p.wide * POINTS) : 0;
    return p;
}

/* Floats of the sums of one line of a batch. */
static size_t line_floats(const nk_plan *p) { return p->pitch * (size_t)p->batch * POINTS; }

/* Integers of what is taken off of sums of pairs, by position and tile. */
static size_t off_words(const nk_plan *p) { return (size_t)(p->lines * POINTS * p->padded_tiles); }

static size_t wino_scratch(const nk_op *op) {
    const nk_plan p = plan_of(op);
    const size_t values = (size_t)(p.lines * POINTS) * p.value_step;
    const size_t half = (size_t)p.padded_tiles * p.tile_step, off = op->pairs ? off_words(&p) : 0;
    return 4 * (line_floats(&p) + half + values + off + (op->head ? fused_floats(op, p.strands) : 0)) + 256;
}

#endif
