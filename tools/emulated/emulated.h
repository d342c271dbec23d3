/* AVX-512 and AVX-VNNI on a processor that has AVX2 alone, for tests: SIMDe's, and what SIMDe 0.7 lacks of what the kernels
   use. Included ahead of a source, by `cc`. */
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>
#include <cpuid.h>
#include <string.h>

/* SIMDe has it, without the native name. */
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 simde_mm512_shuffle_f32x4

/* Masked loads and stores touch no memory of a lane whose bit is 0. */
#define EMULATED_LOAD(name, vector, element, lanes)                                      \
    static inline vector name(__mmask32 mask, const void *from) {                        \
        element value[lanes] = {0};                                                      \
        for (int i = 0; i < lanes; i++)                                                  \
            if (mask >> i & 1) memcpy(value + i, (const element *)from + i, sizeof *value); \
        vector all;                                                                      \
        memcpy(&all, value, sizeof all);                                                 \
        return all;                                                                      \
    }
#define EMULATED_STORE(name, vector, element, lanes)                                     \
    static inline void name(void *to, __mmask32 mask, vector all) {                      \
        element value[lanes];                                                            \
        memcpy(value, &all, sizeof all);                                                 \
        for (int i = 0; i < lanes; i++)                                                  \
            if (mask >> i & 1) memcpy((element *)to + i, value + i, sizeof *value);      \
    }
EMULATED_LOAD(emulated512_load_ps, __m512, float, 16)
EMULATED_LOAD(emulated512_load_epi16, __m512i, int16_t, 32)
EMULATED_LOAD(emulated256_load_epi16, __m256i, int16_t, 16)
EMULATED_STORE(emulated512_store_ps, __m512, float, 16)
EMULATED_STORE(emulated256_store_epi16, __m256i, int16_t, 16)
#define _mm512_maskz_loadu_ps emulated512_load_ps
#define _mm512_maskz_loadu_epi16 emulated512_load_epi16
#define _mm256_maskz_loadu_epi16 emulated256_load_epi16
#define _mm512_mask_storeu_ps emulated512_store_ps
#define _mm256_mask_storeu_epi16 emulated256_store_epi16

static inline __m256i emulated256_shuffle_epi32(__mmask8 mask, __m256i all, const int order) {
    int32_t value[8], picked[8];
    memcpy(value, &all, sizeof all);
    for (int i = 0; i < 8; i++) picked[i] = mask >> i & 1 ? value[(i & 4) + (order >> 2 * (i & 3) & 3)] : 0;
    memcpy(&all, picked, sizeof all);
    return all;
}
#define _mm256_maskz_shuffle_epi32 emulated256_shuffle_epi32

static inline __m512i emulated512_cvtps_epi32(__m512 x) {
    __m256 half[2];
    memcpy(half, &x, sizeof x);
    const __m256i whole[2] = {_mm256_cvtps_epi32(half[0]), _mm256_cvtps_epi32(half[1])};
    __m512i all;
    memcpy(&all, whole, sizeof all);
    return all;
}
#define _mm512_cvtps_epi32 emulated512_cvtps_epi32

/* As coarse as the instruction may be, 2^-14 away: 14 bits of the mantissa, the others 0. */
static inline __m512 emulated512_rcp14_ps(__m512 x) {
    float value[16];
    memcpy(value, &x, sizeof x);
    for (int i = 0; i < 16; i++) {
        const float whole = 1.0f / value[i];
        uint32_t bits;
        memcpy(&bits, &whole, sizeof bits);
        if (whole - whole == 0.0f) bits &= ~0x1ffu;
        memcpy(value + i, &bits, sizeof bits);
    }
    memcpy(&x, value, sizeof x);
    return x;
}
#define _mm512_rcp14_ps emulated512_rcp14_ps

/* Halves first, as GCC has it. */
static inline float emulated512_reduce_add_ps(__m512 x) {
    float value[16];
    memcpy(value, &x, sizeof x);
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++) value[i] += value[i + half];
    return value[0];
}
#define _mm512_reduce_add_ps emulated512_reduce_add_ps

#define _mm256_dpwssd_avx_epi32(sum, a, b) _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))

#define __builtin_cpu_supports(name) 1
#define __get_cpuid_count(leaf, subleaf, a, b, c, d) (*(a) = *(b) = *(c) = *(d) = ~0u, 1)
