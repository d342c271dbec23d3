/* Sixteen vectors of sixteen floats, rows becoming columns. */
#ifndef NK_TURN_H
#define NK_TURN_H

#include "simd.h"

#if defined(NK_AVX512)

/* v[i][j] becomes v[j][i]: pairs of floats, of pairs, then of quarters of a vector, twice. */
NK_INLINE void turn(vf v[16]) {
    __m512 a[16], b[16];
    NK_UNROLL for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps((__m512)v[i], (__m512)v[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps((__m512)v[i], (__m512)v[i + 1]);
    }
    NK_UNROLL for (int i = 0; i < 16; i += 4) {
        NK_UNROLL for (int j = 0; j < 2; j++) {
            b[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[i + j]), _mm512_castps_pd(a[i + j + 2])));
            b[i + 2 * j + 1] =
                _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[i + j]), _mm512_castps_pd(a[i + j + 2])));
        }
    }
    NK_UNROLL for (int i = 0; i < 4; i++) {
        NK_UNROLL for (int half = 0; half < 16; half += 8) {
            a[half + i] = _mm512_shuffle_f32x4(b[half + i], b[half + i + 4], 0x88);
            a[half + i + 4] = _mm512_shuffle_f32x4(b[half + i], b[half + i + 4], 0xdd);
        }
    }
    NK_UNROLL for (int i = 0; i < 8; i++) {
        v[i] = (vf)_mm512_shuffle_f32x4(a[i], a[i + 8], 0x88);
        v[i + 8] = (vf)_mm512_shuffle_f32x4(a[i], a[i + 8], 0xdd);
    }
}

#endif
#endif
