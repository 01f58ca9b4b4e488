#if defined(__x86_64__)

#include "kernels_avx2.h"
#include "lanes_avx2.h"

#pragma clang attribute push(VK_TARGET_AVX2, apply_to = function)

#include "inner_product_rows.h"

VK_INLINE void dot_i8_row(const int8_t *probes, const size_t probe_count, const int8_t *row, size_t dim, int32_t *out,
                          size_t out_stride) {
    __m256i sums[4];
    for (size_t p = 0; p < probe_count; p++) sums[p] = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        const __m256i values = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(row + i)));
        for (size_t p = 0; p < probe_count; p++) {
            const __m128i probe = _mm_loadu_si128((const __m128i *)(probes + p * dim + i));
            sums[p] = _mm256_add_epi32(sums[p], _mm256_madd_epi16(values, _mm256_cvtepi8_epi16(probe)));
        }
    }
    if (i < dim) {
        const __m256i values = _mm256_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)(row + i)));
        for (size_t p = 0; p < probe_count; p++) {
            const __m128i probe = _mm_loadl_epi64((const __m128i *)(probes + p * dim + i));
            sums[p] = _mm256_add_epi32(sums[p], _mm256_madd_epi16(values, _mm256_cvtepi8_epi16(probe)));
        }
    }
    for (size_t p = 0; p < probe_count; p++) {
        const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(sums[p]), _mm256_extracti128_si256(sums[p], 1));
        const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        out[p * out_stride] = _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
    }
}

void vk_dot_f16_avx2(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride) {
    VK_PROBES(dot_f16_row, )
}

void vk_dot_f32_avx2(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride) {
    VK_PROBES(dot_f32_row, )
}

void vk_dot_i8_avx2(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                      int32_t *out, size_t out_stride) {
    VK_PROBES(dot_i8_row, )
}

void vk_dot_f16_gather_avx2(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(uint16_t), dot_f16_row(probe, 1, rows[r], dim, out + r, 1))
}

void vk_dot_f32_gather_avx2(const float *probe, const float *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(float), dot_f32_row(probe, 1, rows[r], dim, out + r, 1))
}

#pragma clang attribute pop

#endif
