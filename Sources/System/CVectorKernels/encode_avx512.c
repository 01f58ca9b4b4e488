#if defined(__x86_64__)

#include "code_bits_bmi2.h"
#include "kernels_avx512.h"
#include "lanes_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

// 16 dimensions of one row: bit per dimension of the sign and of the outer level; adds to both lane sums.
struct vk_encoded {
    unsigned positive, outer;
};

VK_INLINE struct vk_encoded encode_16(const float *y, const float *scale, const int bits, struct lanes *self_lanes,
                                      struct lanes *code_lanes) {
    const __m512 value = _mm512_loadu_ps(y), unit = _mm512_loadu_ps(scale);
    const __m512 magnitude = _mm512_abs_ps(value);
    struct vk_encoded encoded = {_mm512_cmp_ps_mask(value, _mm512_setzero_ps(), _CMP_GT_OQ), 0};
    __m512 level = _mm512_set1_ps(VK_SIGN_LEVEL);
    if (bits == 2) {
        const __m512 decision = _mm512_mul_ps(_mm512_set1_ps(VK_OUTER_DECISION), unit);
        const __mmask16 outer = _mm512_cmp_ps_mask(magnitude, decision, _CMP_GT_OQ);
        level = _mm512_mask_blend_ps(outer, _mm512_set1_ps(VK_INNER_LEVEL), _mm512_set1_ps(VK_OUTER_LEVEL));
        encoded.outer = outer;
    }
    self_lanes->all = _mm512_fmadd_ps(value, value, self_lanes->all);
    code_lanes->all = _mm512_fmadd_ps(magnitude, _mm512_mul_ps(level, unit), code_lanes->all);
    return encoded;
}

#include "encode_rows.h"

void vk_encode_avx512(const float *y, size_t rows, size_t dims, int bits, const float *scale, uint8_t *codes,
                      float *self_dot, float *code_dot) {
    if (bits == 2) {
        encode_rows(y, rows, dims, 2, scale, codes, self_dot, code_dot);
    } else {
        encode_rows(y, rows, dims, 1, scale, codes, self_dot, code_dot);
    }
}

#pragma clang attribute pop

#endif
