// The 16 accumulators of a lane sum in one vector.
#pragma once

#include "kernels_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

struct lanes {
    __m512 all;
};

VK_INLINE struct lanes zero_lanes(void) {
    return (struct lanes){_mm512_setzero_ps()};
}

VK_INLINE struct lanes add_product(struct lanes sum, struct lanes a, struct lanes b) {
    return (struct lanes){_mm512_fmadd_ps(a.all, b.all, sum.all)};
}

VK_INLINE struct lanes load_16(const float *values) {
    return (struct lanes){_mm512_loadu_ps(values)};
}

// The tail of a row: 8 values, the other lanes 0.
VK_INLINE struct lanes load_8(const float *values) {
    return (struct lanes){_mm512_maskz_loadu_ps(0xff, values)};
}

VK_INLINE struct lanes load_16_halves(const uint16_t *values) {
    return (struct lanes){_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)values))};
}

VK_INLINE struct lanes load_8_halves(const uint16_t *values) {
    return (struct lanes){_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(0xff, values))};
}

// Last step of a lane sum.
VK_INLINE float tree_sum(struct lanes sum) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(sum.all), _mm512_extractf32x8_ps(sum.all, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#pragma clang attribute pop
