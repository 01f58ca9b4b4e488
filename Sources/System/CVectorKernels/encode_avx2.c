#if defined(__x86_64__)

#include "code_bits_bmi2.h"
#include "kernels_avx2.h"
#include "lanes_avx2.h"

#pragma clang attribute push(VK_TARGET_AVX2, apply_to = function)

// 8 dimensions of one row: bits of each of `bits` planes, shifted up by `shift`; adds to the lanes of that half.
VK_INLINE void encode_8(const float *y, const float *scale, const int bits, const int shift, unsigned *masks,
                        __m256 *self_lanes, __m256 *code_lanes) {
    const int half = 1 << (bits - 1);
    const __m256 value = _mm256_loadu_ps(y);
    const __m256 unit = _mm256_mul_ps(_mm256_set1_ps(vk_step((unsigned)bits)), _mm256_loadu_ps(scale));
    __m256 whole = _mm256_floor_ps(_mm256_div_ps(value, unit));
    whole = _mm256_max_ps(whole, _mm256_set1_ps((float)-half));
    whole = _mm256_min_ps(whole, _mm256_set1_ps((float)(half - 1)));
    const __m256i u = _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(half));
    for (int b = 0; b < bits; b++) {
        const __m256i at_top = _mm256_slli_epi32(u, 31 - (bits - 1 - b));
        masks[b] |= (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(at_top)) << shift;
    }
    *self_lanes = _mm256_fmadd_ps(value, value, *self_lanes);
    const __m256 level = _mm256_mul_ps(_mm256_add_ps(whole, _mm256_set1_ps(0.5f)), unit);
    *code_lanes = _mm256_fmadd_ps(value, level, *code_lanes);
}

VK_INLINE void encode_16(const float *y, const float *scale, const int bits, unsigned *masks,
                         struct lanes *self_lanes, struct lanes *code_lanes) {
    for (int b = 0; b < bits; b++) masks[b] = 0;
    encode_8(y, scale, bits, 0, masks, &self_lanes->low, &code_lanes->low);
    encode_8(y + 8, scale + 8, bits, 8, masks, &self_lanes->high, &code_lanes->high);
}

#include "encode_rows.h"

void vk_encode_avx2(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                      const float *scale, uint8_t *codes, float *self_dot, float *code_dot) {
    encode_rows(y, rows, dims, planes, plane_count, scale, codes, self_dot, code_dot);
}

#pragma clang attribute pop

#endif
