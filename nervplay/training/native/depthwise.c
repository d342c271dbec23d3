/* Convolutions of each channel by itself, forwards and backwards: the gradient of the input is the same convolution with
   the kernel turned by 180 degrees, the gradient of the weights a sum over all positions. */
#include "depthwise.h"

static void convolve_task(void *context, int item, int worker) {
    (void)worker;
    convolve_any(context, item);
}

static void correlate_task(void *context, int item, int worker) {
    (void)worker;
    correlate_any(context, item);
}

void nt_depthwise(nk_pool *pool, const float *x, const float *weights, const float *bias, float *y, int items, int height,
                  int width, int channels, int taps) {
    depthwise_job job = {x, weights, bias, NULL, y, items, height, width, channels, taps};
    nt_parallel(pool, convolve_task, &job, items * height);
}

void nt_depthwise_weights(nk_pool *pool, const float *x, const float *gradient, float *weights, int items, int height,
                          int width, int channels, int taps) {
    depthwise_job job = {x, NULL, NULL, gradient, weights, items, height, width, channels, taps};
    nt_parallel(pool, correlate_task, &job, channels / NK_LANES * taps);
}
