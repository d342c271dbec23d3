/* Winograd's 8-point transforms in one dimension, on vectors: points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity.
   Source: Lavin and Gray, arXiv 1509.09308. F(6,3) and F(4,5) share the input transform; 6 or 4 outputs, 3 or 5 taps.
   The transform of the weights is worked out in Python (`winograd.py`), from these. */
#ifndef NK_WINOGRAD_H
#define NK_WINOGRAD_H

#include "simd.h"

NK_INLINE void transform_input(const vf d[8], vf o[8]) {
    vf a, b;
    o[0] = (d[0] - d[6]) + 5.25f * (d[4] - d[2]);
    a = d[2] + d[6] - 4.25f * d[4], b = d[1] + d[5] - 4.25f * d[3];
    o[1] = a + b, o[2] = a - b;
    a = d[6] + 0.25f * d[2] - 1.25f * d[4], b = 0.5f * d[1] - 2.5f * d[3] + 2.0f * d[5];
    o[3] = a + b, o[4] = a - b;
    a = d[6] + 4.0f * d[2] - 5.0f * d[4], b = 2.0f * d[1] - 2.5f * d[3] + 0.5f * d[5];
    o[5] = a + b, o[6] = a - b;
    o[7] = (d[7] - d[1]) + 5.25f * (d[3] - d[5]);
}

/* m is 4 or 6, a constant wherever this is inlined. */
NK_INLINE void transform_output(const vf d[8], vf o[6], const int m) {
    vf p1 = d[1] + d[2], q1 = d[1] - d[2], p2 = d[3] + d[4], q2 = d[3] - d[4], p3 = d[5] + d[6], q3 = d[5] - d[6];
    o[0] = d[0] + p1 + p2 + p3;
    o[1] = q1 + 2.0f * q2 + 0.5f * q3;
    o[2] = p1 + 4.0f * p2 + 0.25f * p3;
    o[3] = q1 + 8.0f * q2 + 0.125f * q3;
    if (m == 4) {
        o[3] += d[7];
    } else {
        o[4] = p1 + 16.0f * p2 + 0.0625f * p3;
        o[5] = q1 + 32.0f * q2 + 0.03125f * q3 + d[7];
    }
}

/* The same where every position has a unit of its own, that of position 2 being 1: k holds what the units make of the
   coefficients above (`packing.py`), so that nothing is multiplied that was not multiplied anyway. */
NK_INLINE void transform_sums(const vf d[8], vf o[6], const float *k, const int m) {
    vf p1 = k[0] * d[1] + d[2], q1 = k[0] * d[1] - d[2], p2 = k[1] * d[3] + d[4], q2 = k[1] * d[3] - d[4];
    vf p3 = k[2] * d[5] + d[6], q3 = k[2] * d[5] - d[6];
    o[0] = p1 + k[3] * d[0] + k[4] * p2 + k[5] * p3;
    o[1] = q1 + k[6] * q2 + k[7] * q3;
    o[2] = p1 + k[8] * p2 + k[9] * p3;
    o[3] = q1 + k[10] * q2 + k[11] * q3;
    if (m == 4) {
        o[3] += k[16] * d[7];
    } else {
        o[4] = p1 + k[12] * p2 + k[13] * p3;
        o[5] = q1 + k[14] * q2 + k[15] * q3 + k[16] * d[7];
    }
}

#endif
