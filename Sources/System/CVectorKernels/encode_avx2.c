#if defined(__x86_64__)

#include "code_bits_bmi2.h"
#include "kernels_avx2.h"
#include "lanes_avx2.h"

#pragma clang attribute push(VK_TARGET_AVX2, apply_to = function)

// 16 dimensions of one row: bit per dimension of the sign and of the outer level.
struct vk_encoded {
    unsigned positive, outer;
};

// One half of them, dimensions shifted up by `shift` bits; adds to the lanes of that half.
VK_INLINE void encode_8(const float *y, const float *scale, const int bits, const int shift,
                        struct vk_encoded *encoded, __m256 *self_lanes, __m256 *code_lanes) {
    const __m256 value = _mm256_loadu_ps(y), unit = _mm256_loadu_ps(scale);
    const __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), value);
    const __m256 positive = _mm256_cmp_ps(value, _mm256_setzero_ps(), _CMP_GT_OQ);
    encoded->positive |= (unsigned)_mm256_movemask_ps(positive) << shift;
    __m256 level = _mm256_set1_ps(VK_SIGN_LEVEL);
    if (bits == 2) {
        const __m256 decision = _mm256_mul_ps(_mm256_set1_ps(VK_OUTER_DECISION), unit);
        const __m256 outer = _mm256_cmp_ps(magnitude, decision, _CMP_GT_OQ);
        level = _mm256_blendv_ps(_mm256_set1_ps(VK_INNER_LEVEL), _mm256_set1_ps(VK_OUTER_LEVEL), outer);
        encoded->outer |= (unsigned)_mm256_movemask_ps(outer) << shift;
    }
    *self_lanes = _mm256_fmadd_ps(value, value, *self_lanes);
    *code_lanes = _mm256_fmadd_ps(magnitude, _mm256_mul_ps(level, unit), *code_lanes);
}

VK_INLINE struct vk_encoded encode_16(const float *y, const float *scale, const int bits, struct lanes *self_lanes,
                                      struct lanes *code_lanes) {
    struct vk_encoded encoded = {0, 0};
    encode_8(y, scale, bits, 0, &encoded, &self_lanes->low, &code_lanes->low);
    encode_8(y + 8, scale + 8, bits, 8, &encoded, &self_lanes->high, &code_lanes->high);
    return encoded;
}

#include "encode_rows.h"

void vk_encode_avx2(const float *y, size_t rows, size_t dims, int bits, const float *scale, uint8_t *codes,
                    float *self_dot, float *code_dot) {
    if (bits == 2) {
        encode_rows(y, rows, dims, 2, scale, codes, self_dot, code_dot);
    } else {
        encode_rows(y, rows, dims, 1, scale, codes, self_dot, code_dot);
    }
}

#pragma clang attribute pop

#endif
