/* Convolutions by Winograd's method, in float32 or with products of 16-bit integers.

   A tile of the output is tall x wide pixels, its input 8 positions in each direction that has taps (1 in the others),
   so 3x3, 5x5, 1x3, 3x1, 1x5 and 5x1 are one code. A piece is `block` tiles of one row of tiles: transform all channels
   of the input; for each panel of output channels and each line of 8 positions multiply a few tiles and transform back
   at once, from the first-level cache; then the other direction, bias, activation, shuffle, store. What a piece touches
   stays in the second-level cache, but for the weights.

   16 bits: a transformed value is counted in units of its position and channel, chosen so that twice the calibrated
   maximum fits; beyond that it saturates. The weights are scaled so that no sum can leave 32 bits. Units of sums are
   products of one factor per row of positions, one per column and one per output channel (`packing.py`). Where the
   processor adds beside multiplying, products are in pairs (`wino_pairs.h`). */
#ifndef NK_WINO_H
#define NK_WINO_H

#include "wino_back.h"
#include "wino_in.h"
#include "wino_pairs.h"

/* A piece of work. */
typedef struct {
    const nk_op *op;
    const nk_plan *plan;
    void *values;
    int32_t *off; /* of pairs, by position and tile */
    float *sums, *half, *heads;
    int tile0, tiles, rows, panel; /* tiles of the block, rows of theirs that are asked for; the first panel */
    float **out_rows;
    const nk_added *added;
} nk_piece;

/* What pairs take off of one line of positions, of at most NK_ROWS tiles from tile `first` on. */
static void take_off(const nk_piece *w, int first, int line) {
    const nk_plan *p = w->plan;
    const size_t stride = (size_t)p->room / 2, step = p->value_step / 2;
    const int words = (w->op->channels + 1) / 2;
    const int32_t *values = (const int32_t *)w->values + (size_t)(line * POINTS) * step + (size_t)first * stride;
    int32_t *off = w->off + (size_t)(line * POINTS * p->padded_tiles + first);
    for (int k = 0; k < POINTS; k++) pairs_off(values + (size_t)k * step, stride, words, off + k * p->padded_tiles);
}

typedef void nk_input(const nk_op *op, const nk_plan *p, const nk_source *sources, int tile0, int tiles, void *values);
typedef void nk_span(const nk_piece *w, int panel, int panels);
/* The output of the vectors of a span, from `half` or the sums of the only line: `tiles` tiles from `first` on. */
typedef void nk_finish(const nk_piece *w, const float *from, int vector, int vectors, int first, int tiles);

/* Sums of one line of positions of a batch of tiles from tile `first` on, for `count` vectors of a panel from
   `vector`. range: see `nk_op.ranges`, or NULL. */
static void multiply(const nk_piece *w, int first, int tiles, int line, int vector, int count, const int32_t *range,
                     float *sums) {
    const nk_op *op = w->op;
    const nk_plan *p = w->plan;
    const int whole = op->kind == NK_WINO16, outputs = op->out_channels - vector * NK_LANES;
    /* Of floats, or pairs of integers: as many bytes. */
    const int depth = range ? range[1] : whole ? (op->channels + 1) / 2 : op->channels;
    const size_t stride = (size_t)(whole ? p->room / 2 : p->room), from = range ? (size_t)range[0] : 0;
    const size_t each = whole ? sizeof(int16_t) : sizeof(float);
    const size_t off = op->pairs ? (size_t)(count * NK_LANES) : 0; /* what pairs take off stands before the weights */
    const size_t matrix = (size_t)(depth * count) * NK_LANES + off;
    const size_t start = range ? (size_t)range[2] : (size_t)vector * NK_LANES * (size_t)(p->lines * POINTS * (depth + op->pairs));
    const float *weights = (const float *)op->weights + start;
    const nk_ahead ahead = look_ahead(sizeof(float) * matrix, depth, tiles);
    const int most = NK_ROWS / 2 - 1, least = up_to(tiles % NK_ROWS, 2) / 2 - 1; /* of all rows, and of the last ones */
    nk_product *const all = product_of(most, count, outputs, whole);
    nk_product *const last = tiles % NK_ROWS ? product_of(least, count, outputs, whole) : all;
    for (int k = 0; k < POINTS; k++) {
        const size_t position = (size_t)(line * POINTS + k), at = position * p->value_step + (size_t)(first * p->room) + from;
        const float *matrices = weights + position * matrix;
        const char *values = (const char *)w->values + at * each, *early = ahead_of(&ahead, matrices, 0);
        float *to = sums + (size_t)(k * p->batch) * p->pitch;
        for (int t = 0; t < tiles; t += NK_ROWS) {
            const int full = t + NK_ROWS <= tiles;
            if (op->pairs)
                pairs_of(full ? most : least, count)((const int32_t *)values, stride,
                                                     w->off + position * (size_t)p->padded_tiles + first + t,
                                                     (const int32_t *)matrices, depth, (int32_t *)to, p->pitch);
            else (full ? all : last)(values, stride, matrices, depth, to, p->pitch, early, ahead.step);
            values += (size_t)(NK_ROWS * p->room) * each, to += NK_ROWS * p->pitch, early += ahead.share;
        }
    }
}

/* All of one span of panels. */
NK_INLINE void run_span(const nk_piece *w, int panel, int panels, const int whole, nk_finish *finish, const int tall,
                        const int wide) {
    const nk_plan *p = w->plan;
    const int start = panel_start(panel, p->vectors), vectors = panel_start(panel + panels, p->vectors) - start;
    for (int line = 0; line < p->lines; line++) {
        for (int first = 0; first < w->tiles; first += p->batch) {
            const int tiles = w->tiles - first < p->batch ? w->tiles - first : p->batch;
            /* Just before their first product, for they come from the second-level cache. */
            if (whole && w->op->pairs && panel == w->panel)
                for (int t = 0; t < tiles; t += NK_ROWS) take_off(w, first + t, line);
            for (int i = panel; i < panel + panels; i++) {
                const int vector = panel_start(i, p->vectors), count = panel_start(i + 1, p->vectors) - vector;
                const int32_t *range = w->op->ranges ? w->op->ranges + NK_RANGE * i : NULL;
                multiply(w, first, tiles, line, vector, count, range, w->sums + (size_t)(vector - start) * NK_LANES);
            }
            if (tall > 1 && wide > 1)
                line_back(w->op, p, w->sums, whole, vectors, tiles, line, w->half + (size_t)first * p->tile_step, wide);
            else finish(w, w->sums, start, vectors, first, tiles);
        }
    }
    if (tall > 1 && wide > 1) finish(w, w->half, start, vectors, 0, w->tiles);
}

/* The parts of a stage for one size of tile, in float32 and with integers: functions of their own, for within one large
   one the compiler takes long and runs out of registers. */
typedef struct {
    nk_input *input[2];
    nk_span *span[2];
} nk_shape;

#define APART static __attribute__((noinline)) void
#define PARTS(tall, wide, whole)                                                                                       \
    APART input_##tall##x##wide##_##whole(const nk_op *op, const nk_plan *p, const nk_source *sources, int tile0,      \
                                          int tiles, void *values) {                                                   \
        input_tiles(op, p, sources, tile0, tiles, values, whole ? INTEGERS : FLOATS, tall == 1 ? 1 : POINTS,              \
                    wide == 1 ? 1 : POINTS);                                                                           \
    }                                                                                                                  \
    APART store_##tall##x##wide##_##whole(const nk_piece *w, const float *from, int vector, int vectors, int first,    \
                                          int tiles) {                                                                 \
        store_tiles(w->op, w->plan, from, whole, vector, vectors, (w->tile0 + first) * wide, tiles, w->out_rows,       \
                    w->added, w->rows, tall, wide);                                                                    \
    }                                                                                                                  \
    APART head_##tall##x##wide##_##whole(const nk_piece *w, const float *from, int vector, int vectors, int first,     \
                                         int tiles) {                                                                  \
        head_tiles(w->op, w->plan, from, whole, vector, vectors, first, tiles, w->heads, tall, wide);                  \
    }                                                                                                                  \
    APART span_##tall##x##wide##_##whole(const nk_piece *w, int panel, int panels) {                                   \
        run_span(w, panel, panels, whole,                                                                              \
                 w->op->head ? head_##tall##x##wide##_##whole : store_##tall##x##wide##_##whole, tall, wide);          \
    }
#define SHAPE(tall, wide)                                                                                              \
    PARTS(tall, wide, 0)                                                                                               \
    PARTS(tall, wide, 1)                                                                                               \
    static const nk_shape shape_##tall##x##wide = {{input_##tall##x##wide##_0, input_##tall##x##wide##_1},             \
                                                   {span_##tall##x##wide##_0, span_##tall##x##wide##_1}};

SHAPE(6, 6)
SHAPE(4, 4)
SHAPE(6, 1)
SHAPE(1, 6)
SHAPE(4, 1)
SHAPE(1, 4)

static const nk_shape *shape_of(const nk_op *op) {
    switch (op->kh * 8 + op->kw) {
    case 3 * 8 + 3: return &shape_6x6;
    case 5 * 8 + 5: return &shape_4x4;
    case 3 * 8 + 1: return &shape_6x1;
    case 1 * 8 + 3: return &shape_1x6;
    case 5 * 8 + 1: return &shape_4x1;
    default: return &shape_1x4;
    }
}

static int wino_pieces(const nk_op *op, int row0, int row1) {
    nk_plan p = plan_of(op);
    int across = (op->out_width + p.wide - 1) / p.wide;
    return (row1 - row0 + p.tall - 1) / p.tall * ((across + op->block - 1) / op->block) * op->groups;
}

static void wino_piece(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch) {
    const nk_plan p = plan_of(op);
    const nk_shape *shape = shape_of(op);
    const int across = (op->out_width + p.wide - 1) / p.wide, blocks = (across + op->block - 1) / op->block;
    const int group = piece % op->groups, tile0 = piece / op->groups % blocks * op->block;
    const int y = row0 + piece / op->groups / blocks * p.tall;
    const int tiles = across - tile0 < op->block ? across - tile0 : op->block;
    const int valid = row1 - y < p.tall ? row1 - y : p.tall, whole = op->kind == NK_WINO16;
    const int count = op->sources > 1 ? op->sources : 1;
    nk_source sources[NK_MAX_SOURCES];
    float *out_rows[6 * 16];
    for (int s = 0, next = 0; s < count; next += in[s].channels, s++) {
        sources[s].step = (size_t)in[s].step, sources[s].channels = in[s].channels, sources[s].first = next;
        sources[s].narrow = in[s].narrow;
        for (int r = 0; r < p.down; r++) {
            const int from = y + r - op->top;
            sources[s].rows[r] = from < 0 || from >= op->height ? NULL : nk_row(&in[s], from);
        }
    }
    nk_added added = {.step = op->added ? (size_t)in[count].step : 0, .units = op->added_units};
    for (int r = 0; op->added && r < valid; r++) added.rows[r] = nk_row(&in[count], y + r);
    for (int r = 0; r < valid * op->shuffle; r++) out_rows[r] = nk_row(out, y * op->shuffle + r);

    float *sums = (float *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63), *half = sums + line_floats(&p);
    float *values = half + (size_t)p.padded_tiles * p.tile_step;
    int32_t *off = (int32_t *)(values + (size_t)(p.lines * POINTS) * p.value_step);
    float *heads = (float *)off + (op->pairs ? off_words(&p) : 0);
    const int panels = (p.vectors + NK_PANEL - 1) / NK_PANEL, start = panels * group / op->groups;
    const int end = panels * (group + 1) / op->groups;
    const nk_piece w = {op, &p, values, off, sums, half, heads, tile0, tiles, valid, start, out_rows,
                        op->added ? &added : NULL};
    if (op->head) memset(heads, 0, sizeof(float) * fused_floats(op, p.strands));
    shape->input[whole](op, &p, sources, tile0, tiles, values);
    for (int panel = start; panel < end; panel += p.span)
        shape->span[whole](&w, panel, end - panel < p.span ? end - panel : p.span);
    if (op->head) fused_store(op, heads, out, y, tile0 * p.wide, tiles, valid, p.tall, p.wide);
}

#endif
