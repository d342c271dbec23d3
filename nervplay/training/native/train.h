/* The C ABI of the kernels of a fit. `library.py` mirrors it.

   Maps are [item][row][column][channel], channels innermost and unpadded, unless said otherwise. Pieces of work and the
   order of all sums depend on sizes alone, so neither the number of threads nor who computes what changes a bit.
   Threads are those of `team.c`; nothing keeps a pointer of the caller. */
#ifndef NT_H
#define NT_H

#include "nk.h"
#include "simd.h"

/* Bump when a call changes: a library of another version is not used. */
#define NT_ABI 3

enum nt_type { NT_FLOAT32, NT_BFLOAT16 };
enum nt_act { NT_GELU, NT_SILU };

NK_API int nt_abi(void);

/* `GOMP_parallel` of an OpenMP library: runs a function of a context on so many threads and waits. */
typedef void nt_fork(void (*run)(void *context), void *context, unsigned threads, unsigned flags);
/* `omp_get_thread_num` of it. */
typedef int nt_number(void);
/* Compute on `threads` threads of `fork`; NULL: on those of the pool, which otherwise needs none but the caller's. */
NK_API void nt_team(nt_fork *fork, nt_number *number, int threads);
int nt_threads(const nk_pool *pool);
/* As `nk_parallel`, on those threads. */
void nt_parallel(nk_pool *pool, nk_task task, void *context, int items);

/* Pixel shuffle and activation: x [rows][width][channels * factor^2], whose channels are (c, i, j), or (i, j, c) where
   they are `ordered`, to y [rows * factor][width * factor][channels]; rows are those of all items. slope has the form of
   x and is the slope of the activation; each has its type. With `back`, y is the gradient of the result, and x becomes
   that of the input. Unless ordered, channels * factor^2 is at most 4096. */
NK_API void nt_finish(nk_pool *pool, int back, int ordered, int act, int in_type, int type, int slope_type, void *x,
                      void *y, void *slope, int rows, int width, int channels, int factor);

/* One kernel per channel: taps 3, 5 or 7 per side. float32; channels a multiple of 16, width one of 8.
   x: [items][height + taps - 1][width + taps - 1][channels], weights: [taps * taps][channels], bias: [channels] or NULL,
   y: [items][height][width][channels]. */
NK_API void nt_depthwise(nk_pool *pool, const float *x, const float *weights, const float *bias, float *y, int items,
                         int height, int width, int channels, int taps);
/* What the gradient of y gives to the weights. */
NK_API void nt_depthwise_weights(nk_pool *pool, const float *x, const float *gradient, float *weights, int items,
                                 int height, int width, int channels, int taps);

/* Convolutions of all channels with 3 or 5 taps per side, as large as the map, zeros around it; -1 when memory is short.
   weights: [outputs][taps * taps][inputs], bias: [outputs] or NULL; transform: [8][taps], of one direction of weights to
   what Winograd's method multiplies with. Outputs whose number is (c, i, j) for a pixel shuffle by `factor` lie in maps
   as (i, j, c). x: [items][height][width][channels], y: [items][height][width][out_channels]. `turned`: x is a map of
   the outputs and y one of the inputs, the way that gradients take. */
NK_API int nt_convolve(nk_pool *pool, int turned, const float *x, const float *weights, const float *bias,
                       const float *transform, float *y, int items, int height, int width, int channels,
                       int out_channels, int taps, int factor);
/* What the gradient of y gives to weights and bias, which may be NULL. */
NK_API int nt_convolve_weights(nk_pool *pool, const float *x, const float *gradient, const float *transform,
                               float *weights, float *bias, int items, int height, int width, int channels,
                               int out_channels, int taps, int factor);

/* A picture's three channels from all channels of a map, 3x3 taps, zeros around it; -1 when memory is short. x and the
   gradients are of `type`; weights: [9][3][padded], padded being channels up to a multiple of 16; bias: [3].
   NT_VALUE: y = [items][height][width][3] of x = [items][height][width][channels]; NT_TO_X: x from its gradient y;
   NT_TO_WEIGHTS: weights from x and the gradient y. */
enum nt_head { NT_VALUE, NT_TO_X, NT_TO_WEIGHTS };
NK_API int nt_head(nk_pool *pool, int what, int type, void *x, float *weights, const float *bias, void *y, int items,
                   int height, int width, int channels);

/* The ends of a ConvNeXt block, see `convnext.c`; maps of rows are [items][height][width][channels]; -1 when memory is short.
   Enter: 7x7 for each channel by itself, weights [channels][49], then the norm over channels: normed (of `type`) =
   unit * norm_weight + norm_bias; unit, of x's form, and deviation [items][height][width] are kept for the way back. */
NK_API int nt_next_enter(nk_pool *pool, int type, const float *x, const float *weights, const float *bias,
                         const float *norm_weight, const float *norm_bias, void *normed, float *unit, float *deviation,
                         float epsilon, int items, int height, int width, int channels);
/* From the gradient of normed to x, where that of the block's result is added; to weights; and to [3][channels]: bias,
   norm_weight and norm_bias. */
NK_API int nt_next_enter_back(nk_pool *pool, int type, const float *x, const float *weights, const float *norm_weight,
                              const void *normed_gradient, const float *unit, const float *deviation,
                              const float *gradient, float *to_x, float *to_weights, float *to_vectors, int items,
                              int height, int width, int channels);
/* Leave: y = x + scale * product, the product of `type`; rows are those of all items. */
NK_API void nt_next_leave(nk_pool *pool, int type, const float *x, const void *product, const float *scale, float *y,
                          int rows, int width, int channels);
/* From the gradient of y to the product, and to [2][channels]: the bias of the product, and scale. */
NK_API int nt_next_leave_back(nk_pool *pool, int type, const float *gradient, const void *product, const float *scale,
                              void *to_product, float *to_vectors, int rows, int width, int channels);

/* Mean SSIM of two stacks of planes [planes][height][width], window of 11 taps, and its gradient to x, of x's form;
   -1 when memory is short. mean: one double. Both sides are at least 11. */
NK_API int nt_ssim(nk_pool *pool, const float *x, const float *y, const float taps[11], int planes, int height, int width,
                   float *gradient, double *mean);

/* A map to a picture: y = 1 / (1 + e^(-scale x)), x of `type`; with the gradient of y, x becomes that of the input. */
NK_API void nt_picture(nk_pool *pool, int type, void *x, float *y, const float *gradient, float scale, int64_t count);

/* Mean error of x from y for each item of `count` values, and, unless NULL, the gradient of the mean over all to x;
   -1 when memory is short. */
enum nt_error { NT_SQUARE, NT_ABSOLUTE };
NK_API int nt_error(nk_pool *pool, int kind, const float *x, const float *y, float *gradient, double *means, int items,
                    int64_t count);

/* One step of Adam for `count` parameters; -1 when memory is short. addresses: five of each, all float32: values, mean of
   the gradients, mean of their squares, number of steps (one value, counted up), gradient; sizes: how many values. */
NK_API int nt_adam(nk_pool *pool, void *const *addresses, const int64_t *sizes, int count, double rate, double b1, double b2,
                   double eps);

#endif
