/* The C ABI of the kernels of a fit. `library.py` mirrors it.

   Maps are [item][row][column][channel], channels innermost and unpadded, unless said otherwise. Pieces of work and the
   order of all sums depend on sizes alone, so neither the number of threads nor who computes what changes a bit.
   Threads are those of the decoder's kernels (`nervplay/decode/native/pool.c`); nothing keeps a pointer of the caller. */
#ifndef NT_H
#define NT_H

#include "nk.h"
#include "simd.h"

/* Bump when a call changes: a library of another version is not used. */
#define NT_ABI 1

enum nt_type { NT_FLOAT32, NT_BFLOAT16 };
enum nt_act { NT_GELU, NT_SILU };

NK_API int nt_abi(void);

/* Pixel shuffle and activation: x [rows][width][channels * factor^2], whose channels are (c, i, j), to
   y [rows * factor][width * factor][channels]; rows are those of all items. slope has the form of x and is the slope of
   the activation. y and slope are of `type`, x of `in_type`, which is `type` or NT_FLOAT32. With `back`, y is the
   gradient of the result, and x becomes that of the input. channels * factor^2 is at most 4096. */
NK_API void nt_finish(nk_pool *pool, int back, int act, int in_type, int type, void *x, void *y, void *slope, int rows,
                      int width, int channels, int factor);

/* One kernel per channel: taps 3, 5 or 7 per side. float32; channels a multiple of 16, width one of 8.
   x: [items][height + taps - 1][width + taps - 1][channels], weights: [taps * taps][channels], bias: [channels] or NULL,
   y: [items][height][width][channels]. */
NK_API void nt_depthwise(nk_pool *pool, const float *x, const float *weights, const float *bias, float *y, int items,
                         int height, int width, int channels, int taps);
/* What the gradient of y gives to the weights. */
NK_API void nt_depthwise_weights(nk_pool *pool, const float *x, const float *gradient, float *weights, int items,
                                 int height, int width, int channels, int taps);

/* Convolutions of all channels with 3 or 5 taps per side, as large as the map, zeros around it; -1 when memory is short.
   x: [items][height][width][channels], y: [items][height][width][out_channels], weights: [taps * taps][channels][padded],
   bias: [padded], padded being out_channels up to a multiple of 16; transform: [64][taps * taps], of weights to what
   Winograd's method multiplies with. */
NK_API int nt_convolve(nk_pool *pool, const float *x, const float *weights, const float *bias, const float *transform,
                       float *y, int items, int height, int width, int channels, int out_channels, int taps);
/* What the gradient of y gives to the weights. */
NK_API int nt_convolve_weights(nk_pool *pool, const float *x, const float *gradient, const float *transform,
                               float *weights, int items, int height, int width, int channels, int out_channels, int taps);

/* A picture's three channels from all channels of a map, 3x3 taps, zeros around it; -1 when memory is short. x and the
   gradients are of `type`; weights: [9][3][padded], padded being channels up to a multiple of 16; bias: [3].
   NT_VALUE: y = [items][height][width][3] of x = [items][height][width][channels]; NT_TO_X: x from its gradient y;
   NT_TO_WEIGHTS: weights from x and the gradient y. */
enum nt_head { NT_VALUE, NT_TO_X, NT_TO_WEIGHTS };
NK_API int nt_head(nk_pool *pool, int what, int type, void *x, float *weights, const float *bias, void *y, int items,
                   int height, int width, int channels);

/* Mean SSIM of two stacks of planes [planes][height][width], window of 11 taps, and its gradient to x, of x's form;
   -1 when memory is short. mean: one double. Both sides are at least 11. */
NK_API int nt_ssim(nk_pool *pool, const float *x, const float *y, const float taps[11], int planes, int height, int width,
                   float *gradient, double *mean);

#endif
