#if defined(__x86_64__)

#include "kernels_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

void vk_f32_to_f16_avx512(const float *in, size_t count, uint16_t *out) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m256i halves = _mm512_cvtps_ph(_mm512_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_storeu_si256((__m256i *)(out + i), halves);
    }
    for (; i < count; i++) out[i] = vk_scalar_f32_to_f16(in[i]);
}

void vk_f16_to_f32_avx512(const uint16_t *in, size_t count, float *out) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        _mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(in + i))));
    }
    for (; i < count; i++) out[i] = vk_scalar_f16_to_f32(in[i]);
}

#pragma clang attribute pop

#endif
