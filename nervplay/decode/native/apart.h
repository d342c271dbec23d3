/* Activations of a few vectors in memory, compiled once: for kernels in which calling them costs next to nothing. */
#ifndef NK_APART_H
#define NK_APART_H

#include "activation.h"

#define APART_VECTORS 4

static __attribute__((noinline)) void activate_apart(vf v[APART_VECTORS], int act, float slope) {
    vf own[APART_VECTORS];
    NK_UNROLL for (int i = 0; i < APART_VECTORS; i++) own[i] = v[i];
    activate(own, APART_VECTORS, act, slope, 0);
    NK_UNROLL for (int i = 0; i < APART_VECTORS; i++) v[i] = own[i];
}

#endif
