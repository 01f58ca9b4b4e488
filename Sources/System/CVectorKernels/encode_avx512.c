#if defined(__x86_64__)

#include "code_bits_bmi2.h"
#include "kernels_avx512.h"
#include "lanes_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

// 16 dimensions of one row: their bits, a mask for each of `bits` planes; adds to both lane sums.
VK_INLINE void encode_16(const float *y, const float *scale, const int bits, unsigned *masks,
                         struct lanes *self_lanes, struct lanes *code_lanes) {
    const int half = 1 << (bits - 1);
    const __m512 value = _mm512_loadu_ps(y);
    const __m512 unit = _mm512_mul_ps(_mm512_set1_ps(vk_step((unsigned)bits)), _mm512_loadu_ps(scale));
    __m512 whole = _mm512_roundscale_ps(_mm512_div_ps(value, unit), _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    whole = _mm512_max_ps(whole, _mm512_set1_ps((float)-half));
    whole = _mm512_min_ps(whole, _mm512_set1_ps((float)(half - 1)));
    const __m512i u = _mm512_add_epi32(_mm512_cvtps_epi32(whole), _mm512_set1_epi32(half));
    for (int b = 0; b < bits; b++) masks[b] = _mm512_test_epi32_mask(u, _mm512_set1_epi32(1 << (bits - 1 - b)));
    self_lanes->all = _mm512_fmadd_ps(value, value, self_lanes->all);
    const __m512 level = _mm512_mul_ps(_mm512_add_ps(whole, _mm512_set1_ps(0.5f)), unit);
    code_lanes->all = _mm512_fmadd_ps(value, level, code_lanes->all);
}

#include "encode_rows.h"

void vk_encode_avx512(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                      const float *scale, uint8_t *codes, float *self_dot, float *code_dot) {
    encode_rows(y, rows, dims, planes, plane_count, scale, codes, self_dot, code_dot);
}

#pragma clang attribute pop

#endif
