// The 16 accumulators of a lane sum in two vectors.
#pragma once

#include "kernels_avx2.h"

#pragma clang attribute push(VK_TARGET_AVX2, apply_to = function)

struct lanes {
    __m256 low, high;
};

VK_INLINE struct lanes zero_lanes(void) {
    return (struct lanes){_mm256_setzero_ps(), _mm256_setzero_ps()};
}

VK_INLINE struct lanes add_product(struct lanes sum, struct lanes a, struct lanes b) {
    return (struct lanes){_mm256_fmadd_ps(a.low, b.low, sum.low), _mm256_fmadd_ps(a.high, b.high, sum.high)};
}

VK_INLINE struct lanes load_16(const float *values) {
    return (struct lanes){_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8)};
}

// The tail of a row: 8 values, the other lanes 0.
VK_INLINE struct lanes load_8(const float *values) {
    return (struct lanes){_mm256_loadu_ps(values), _mm256_setzero_ps()};
}

VK_INLINE struct lanes load_16_halves(const uint16_t *values) {
    const __m128i *halves = (const __m128i *)values;
    return (struct lanes){_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}

VK_INLINE struct lanes load_8_halves(const uint16_t *values) {
    return (struct lanes){_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)values)), _mm256_setzero_ps()};
}

// Last step of a lane sum.
VK_INLINE float tree_sum(struct lanes sum) {
    const __m256 eight = _mm256_add_ps(sum.low, sum.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

#pragma clang attribute pop
