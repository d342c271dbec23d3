/* The C ABI of the kernels, and what their files share. Python mirrors the structs in `library.py`.

   Maps are float32 [row][column][channel], channels innermost and unpadded. A convolution has stride 1 and zero padding;
   its output channels are stored in the order (i, j, c) of the pixel shuffle behind it, so that shuffling is storing.
   Nothing here allocates per frame but the scratch of a call; nothing keeps a pointer of the caller. */
#ifndef NK_H
#define NK_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NK_API __attribute__((visibility("default")))
#else
#define NK_API
#endif

/* Bump when a struct or a packed layout changes: a library of another version is not used. */
#define NK_ABI 12
/* Coefficients of `transform_sums`. */
#define NK_AXIS 17
/* Integers of `nk_op.ranges` for a panel. */
#define NK_RANGE 3
/* Most maps that an op reads as one. */
#define NK_MAX_SOURCES 4
/* Most convolutions of one chain. */
#define NK_MAX_CHAIN 32
/* Most rounds of one call to `nk_rounds`. */
#define NK_ROUNDS 64
/* Integers of a turn: an op, its first and last + 1 row, and how many turns are finished before it begins. Two turns that
   follow each other may run at the same time. Python works out an order in which every row is there when it is read, and
   still is (`schedule.py`). */
#define NK_TURN 4

enum nk_kind {
    NK_DIRECT, NK_WINO, NK_WINO16, NK_HEAD, NK_HEAD16, NK_LINE, NK_LINE16, NK_MIX, NK_MIX16, NK_ENLARGE,
    NK_POINT, NK_GHOST, NK_FLAT16, NK_LINE_PAIRS, NK_LINE_PAIRS16
};
enum nk_act {
    NK_NONE, NK_RELU, NK_LEAKY, NK_RELU6, NK_GELU, NK_SILU, NK_SOFTPLUS, NK_HARDSWISH, NK_SIN, NK_SIGMOID, NK_TANH,
    NK_HALF_TANH /* tanh(x) / 2 + 1/2 */
};

/* What a line of NK_POINT does; an activation is NK_ACTIVATE + its number. */
enum nk_code { NK_ADD, NK_SUBTRACT, NK_MULTIPLY, NK_MULTIPLY_ADD, NK_AFFINE, NK_ACTIVATE };
#define NK_POINT_INPUTS 12
#define NK_POINT_SLOTS 12
#define NK_POINT_LINES 24

/* slot[to] = slot[a] (op) slot[b], or slot[a] * slot[b] + slot[c], or slot[a] * scale + shift. Slots below NK_POINT_INPUTS
   are inputs, NK_POINT_SLOTS behind them results; of the last line the result is what is stored. */
typedef struct {
    int32_t code, to, a, b, c;
    float scale, shift;             /* scale: also the slope of NK_LEAKY */
} nk_point_line;

/* What NK_POINT computes of each value. Input 0 is the map that is read as that of any other op. */
typedef struct {
    int32_t lines, inputs;
    int32_t repeated[NK_POINT_INPUTS];    /* 0: a whole map; 1: `block` pixels, the same for all blocks */
    const float *input[NK_POINT_INPUTS];  /* others for each frame */
    nk_point_line line[NK_POINT_LINES];
} nk_point;

/* What makes the gate of NK_GHOST where it never is a whole map: a convolution of each channel by itself, the same down and
   across the map, and one of 1x1. */
typedef struct nk_gate {
    const struct nk_op *op;         /* of 1x1, NK_DIRECT or NK_FLAT16; its shuffle is the ghost's factor */
    const float *map;               /* what it reads, [height][width][channels] of that op. Another one for each frame */
    int32_t down, across;           /* taps, odd, at most 7 */
    const float *taps;              /* [down + across][padded channels] */
} nk_gate;

/* What NK_GHOST has beside its nk_op. The op's channels and sizes are those of the map behind a pixel shuffle, its output
   has twice the channels; its weights are [place of the shuffle][taps][padded channels], its bias [place][padded]. */
typedef struct {
    int32_t factor;                 /* of the shuffle, 1 for none */
    int32_t down, across;           /* taps, at most 8 down */
    const float *gate;              /* [height][width][2 channels], multiplied before the activation; or NULL. Another one
                                       for each frame */
    const nk_gate *made;            /* what makes the gate, which is not there then; or NULL */
} nk_ghost;

/* What NK_MIX and NK_ENLARGE, which are more than a convolution, have beside their nk_op. */
typedef struct nk_step {
    int32_t hidden;                 /* channels between the products of NK_MIX */
    int32_t residual;               /* NK_MIX: the input is added; out_channels == channels then */
    int32_t norm;                   /* NK_ENLARGE: pixels are normalised before */
    float epsilon;                  /* of the norm */
    const float *taps;              /* NK_MIX: [9][padded channels] */
    const void *project;            /* NK_MIX: weights behind the activation; those before it are the nk_op's */
    const float *tile;              /* NK_ENLARGE: [shuffle][shuffle][channels], added; another one for each frame */
    const float *units;             /* 16 bits: integers to 1 of what each product reads, [padded channels] ... */
    const float *hidden_units;      /* ... and [padded hidden]; what a sum of the second is worth is the nk_op's scale, */
    const float *hidden_scale;      /* and of the first this, [padded hidden] */
    float *peaks, *hidden_peaks;    /* raised to the largest magnitudes of what the products read, as long; or NULL */
} nk_step;

/* One convolution with bias, activation and pixel shuffle. */
typedef struct nk_op {
    int32_t kind, act;
    int32_t height, width;          /* of the input, in pixels */
    int32_t channels, out_channels; /* out_channels before the shuffle */
    int32_t kh, kw, top, left;      /* taps, and zeros above and to the left */
    int32_t out_height, out_width;  /* of the convolution, before the shuffle */
    int32_t shuffle;                /* factor, 1 for none */
    int32_t strip;                  /* rows of the convolution computed at a time, a multiple of the tile */
    int32_t ring;                   /* rows of the input that are kept; >= height keeps all */
    int32_t block;                  /* tiles (NK_DIRECT, NK_HEAD, NK_POINT: pixels) of one row that are computed together */
    int32_t groups;                 /* parts of the output channels that are computed apart, for small maps */
    int32_t sources;                /* maps side by side that it reads as one; 0 and 1 are the same */
    int32_t added;                  /* whether another map is added behind the activation; no shuffle then */
    int32_t pairs;                  /* NK_WINO16: whether products are in pairs, see `wino_pairs.h`; AVX-512 only, no ranges then */
    int32_t most;                   /* largest magnitude of an integer that is stored, where `units` is there */
    int32_t out_step;               /* floats from one pixel of the output to the next; 0 where that is all it has */
    float slope;                    /* NK_LEAKY */
    const void *weights;            /* packed by Python, see `packing.py` */
    const float *bias;              /* padded with zeros to whole vectors */
    const float *scale;             /* 16 bits, NK_LINE_PAIRS: what one unit of a result is worth, [padded out_channels] */
    const float *units;             /* the result is stored as 16-bit integers, so many to 1, [padded out_channels]; or NULL.
                                       Only NK_WINO16 of two dimensions and NK_FLAT16 in front of NK_HEAD16, or to a
                                       narrow map */
    const float *added_units;       /* what is added is a narrow map: what one unit of it is worth, [padded out_channels] */
    const float *norm;              /* 16 bits: 16-bit units per unit of the transformed input, [position][padded channels];
                                       NK_FLAT16: of the input, [padded channels]. NK_LINE_PAIRS: powers of two,
                                       [channel][position], see `line_pairs.h` */
    const float *axes;              /* 16 bits: coefficients of the transform back, [rows, columns][NK_AXIS] */
    const struct nk_op *head;       /* a 1x1 NK_HEAD of 3 channels that reads the result at once, which then is stored nowhere; or NULL.
                                       Only where whole vectors belong to one place of the shuffle, and groups == 1.
                                       NK_LINE and all whose names begin so always have one; pairs are for SiLU.
                                       NK_GHOST: any 1x1 NK_HEAD */
    const nk_step *step;            /* NK_MIX, NK_ENLARGE */
    const nk_point *point;          /* NK_POINT */
    const nk_ghost *ghost;          /* NK_GHOST */
    const int32_t *ranges;          /* NK_WINO, NK_WINO16: what each panel of outputs reads, [panel][NK_RANGE]: first channel,
                                       floats (of integers pairs), and where its weights begin, in floats; or NULL for all */
} nk_op;

typedef struct nk_pool nk_pool;
typedef void (*nk_task)(void *context, int item, int worker);

NK_API nk_pool *nk_pool_new(int threads);
NK_API void nk_pool_free(nk_pool *pool);
int nk_pool_threads(const nk_pool *pool);
/* At least `size` bytes at a multiple of 4096, valid until the next call or the end of the pool; NULL when memory is
   short. Kept between calls: fresh pages every frame would cost more than some convolutions. */
void *nk_pool_memory(nk_pool *pool, size_t size);
/* Run task(context, 0 .. items - 1, worker) on all threads of the pool, the caller's among them, and wait. */
void nk_parallel(nk_pool *pool, nk_task task, void *context, int items);

/* The same work, one part of a longer one: its items begin when the first `after` rounds of the call are finished, which is
   at most as many as stand before it. */
typedef struct {
    void *context;
    int items, after;
} nk_round;

/* Run at most NK_ROUNDS rounds, and wait. */
void nk_rounds(nk_pool *pool, nk_task task, const nk_round *rounds, int count);

/* `after` of a turn in a call whose first round is turn `first`. */
static inline int nk_after(const int32_t *turn, int first) { return turn[3] > first ? turn[3] - first : 0; }

/* A map of which only the last `ring` rows exist. */
typedef struct {
    float *base;
    size_t pitch; /* floats per row */
    int ring;
    int step, channels; /* floats from one pixel to the next, and how many of them are read */
    int narrow;         /* whether it holds 16-bit integers, see `narrow.h`; step counts these */
} nk_map;

static inline float *nk_row(const nk_map *map, int y) { return map->base + (size_t)(y % map->ring) * map->pitch; }

/* The kernels of one instruction set. */
typedef struct {
    const char *name;
    int lanes;  /* floats of a vector */
    int panel;  /* vectors of a column panel of packed weights */
    int (*supported)(void);
    int (*adds_apart)(void); /* whether additions cost nothing beside multiplications: NK_LINE_PAIRS pays then */
    /* Bytes of scratch that one worker needs for an op, and pieces of a strip that can be computed apart. in: the sources,
       and behind them what is added. */
    size_t (*scratch)(const nk_op *op);
    int (*pieces)(const nk_op *op, int row0, int row1);
    void (*piece)(const nk_op *op, const nk_map *in, nk_map *out, int row0, int row1, int piece, void *scratch);
    void (*linear)(const float *x, const float *weights, const float *bias, int inputs, int first, int count, int act,
                   float slope, float *out);
    void (*depthwise)(const nk_op *op, const float *in, float *out, int row);
    void (*peak)(const nk_op *op, const float *in, float *peak);
    void (*moments)(const float *row, int width, int channels, const float *origin, float *sums);
} nk_kernels;

/* A picture to planes of samples. matrix: three rows of the weights of R, G and B and an offset, in samples; top: largest
   sample plus one half; wide: samples of 16 bits; subsampled: chroma of half the width and height, rounded up; strides:
   samples from one line of a plane to the next. */
typedef struct {
    const float *rgb; /* [3][height][width] */
    int32_t height, width, wide, subsampled;
    float top, matrix[12];
    void *planes[3];
    int64_t strides[3];
} nk_yuv;

typedef struct {
    void (*rgb8_row)(const float *const planes[3], int width, uint8_t *out);
    void (*yuv_band)(const nk_yuv *job, int band);
} nk_colour;

/* Tables, best first; NULL behind the last. */
extern const nk_kernels *const nk_all[];

NK_API int nk_abi(void);
NK_API int nk_isa_count(void);
NK_API const char *nk_isa_name(int isa);
NK_API int nk_isa_supported(int isa);
NK_API int nk_isa_adds_apart(int isa);
NK_API int nk_isa_lanes(int isa);
NK_API int nk_isa_panel(int isa);

/* Run a chain of convolutions, each reading what the one before it writes; 0, or -1 when memory is short.
   in: [height][width][channels] of the first op. out: [rows][columns][channels] behind the last one, or, when that is
   NK_HEAD, [3][rows][columns]. Of the maps between only a few rows exist at a time. turns: [all][NK_TURN]. */
NK_API int nk_chain(nk_pool *pool, int isa, const nk_op *ops, int count, const int32_t *turns, int all, const float *in,
                    float *out);
/* Some channels of a map of a net. */
typedef struct {
    int32_t map, first, channels;
} nk_part;

/* An op of a net, and where it reads and writes. */
typedef struct {
    const nk_op *op;
    nk_part source[NK_MAX_SOURCES], added, target;
} nk_node;

/* A map of a net. memory: a row after the other, without gaps; NULL for `ring` rows of scratch. */
typedef struct {
    float *memory;
    int32_t width, channels, ring;
    int32_t narrow; /* 16-bit integers, see `narrow.h` */
} nk_place;

/* Run convolutions that read and write maps of a net. turns: [all][NK_TURN]. 0, or -1 when memory is short. */
NK_API int nk_net(nk_pool *pool, int isa, const nk_node *nodes, const nk_place *places, int maps, const int32_t *turns,
                  int all);
/* out[n] = act(bias + sum x[k] weights[k][n]); weights packed in panels, `padded` a whole number of these. */
NK_API void nk_linear(nk_pool *pool, int isa, const float *x, const float *weights, const float *bias, int inputs,
                      int padded, int act, float slope, float *out);
/* Each channel by itself; weights [kh * kw][padded channels]. */
NK_API void nk_depthwise(nk_pool *pool, int isa, const nk_op *op, const float *in, float *out);
/* What makes each channel of a map have mean 0 and variance 1, then gain and shift (NULL: 1 and 0) on top: v * factor +
   offset. out: factors, then offsets, [2][channels]. 0, or -1 when memory is short. */
NK_API int nk_moments(nk_pool *pool, int isa, const float *in, int height, int width, int channels, float epsilon,
                      const float *gain, const float *shift, float *out);
/* [3][height][width] to [height][width][3], rounded. */
NK_API void nk_rgb8(nk_pool *pool, int isa, const float *rgb, int height, int width, uint8_t *out);
NK_API void nk_to_yuv(nk_pool *pool, int isa, const nk_yuv *job);
/* Raise peak[position][padded channels] to the largest magnitudes of the transformed input. */
NK_API void nk_peak(int isa, const nk_op *op, const float *in, float *peak);

#endif
