#if defined(__x86_64__)

#include "kernels_avx2.h"

#pragma clang attribute push(VK_TARGET_AVX2, apply_to = function)

void vk_f32_to_f16_avx2(const float *in, size_t count, uint16_t *out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(out + i), halves);
    }
    for (; i < count; i++) out[i] = vk_scalar_f32_to_f16(in[i]);
}

void vk_f16_to_f32_avx2(const uint16_t *in, size_t count, float *out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(in + i))));
    }
    for (; i < count; i++) out[i] = vk_scalar_f16_to_f32(in[i]);
}

#pragma clang attribute pop

#endif
