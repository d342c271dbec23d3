/* Vectors of maps in float32 or bfloat16, the latter being the upper half of a float32. */
#ifndef NT_LANES_H
#define NT_LANES_H

#include "train.h"

typedef uint16_t vu16 __attribute__((vector_size(2 * NK_LANES)));
typedef uint16_t vu16_any __attribute__((vector_size(2 * NK_LANES), aligned(2), may_alias));
typedef uint32_t vu32 __attribute__((vector_size(4 * NK_LANES)));

NK_INLINE vf from_half(vu16 h) { return (vf)(__builtin_convertvector(h, vu32) << 16); }
NK_INLINE vu16 to_half(vf v) { /* to the nearest, half to even */
    vu32 u = (vu32)v;
    return __builtin_convertvector((u + 0x7fff + ((u >> 16) & 1)) >> 16, vu16);
}

/* n lanes from element `at` on, n >= 1; the others are 0. */
NK_INLINE vf read_lanes(const void *from, int type, size_t at, int n) {
    if (type == NT_FLOAT32) return vload_n((const float *)from + at, n);
    if (n >= NK_LANES) return from_half(*(const vu16_any *)((const uint16_t *)from + at));
#if defined(NK_AVX512)
    return from_half((vu16)_mm256_maskz_loadu_epi16((__mmask16)((1u << n) - 1), (const uint16_t *)from + at));
#else
    vu16 part = {0};
    memcpy(&part, (const uint16_t *)from + at, 2 * (size_t)n);
    return from_half(part);
#endif
}

NK_INLINE void write_lanes(void *to, int type, size_t at, vf v, int n) {
    if (type == NT_FLOAT32) {
        vstore_part((float *)to + at, v, 0, n);
    } else if (n >= NK_LANES) {
        *(vu16_any *)((uint16_t *)to + at) = to_half(v);
    } else {
        const vu16 part = to_half(v);
#if defined(NK_AVX512)
        _mm256_mask_storeu_epi16((uint16_t *)to + at, (__mmask16)((1u << n) - 1), (__m256i)part);
#else
        memcpy((uint16_t *)to + at, &part, 2 * (size_t)n);
#endif
    }
}

#endif
