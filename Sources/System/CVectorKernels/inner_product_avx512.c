#if defined(__x86_64__)

#include "kernels_avx512.h"
#include "lanes_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

#include "inner_product_rows.h"

// vpdpbusd multiplies unsigned by signed bytes: rows are raised by 128, 128 times the probe's sum comes off again.
VK_INLINE void dot_i8_row(const int8_t *probes, const size_t probe_count, const int32_t *raised, const int8_t *row,
                          size_t dim, int32_t *out, size_t out_stride) {
    const __m512i raise = _mm512_set1_epi8((char)0x80);
    __m512i even[4], odd[4];
    for (size_t p = 0; p < probe_count; p++) even[p] = odd[p] = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 128 <= dim; i += 128) {
        const __m512i first = _mm512_xor_si512(_mm512_loadu_si512(row + i), raise);
        const __m512i second = _mm512_xor_si512(_mm512_loadu_si512(row + i + 64), raise);
        for (size_t p = 0; p < probe_count; p++) {
            even[p] = _mm512_dpbusd_epi32(even[p], first, _mm512_loadu_si512(probes + p * dim + i));
            odd[p] = _mm512_dpbusd_epi32(odd[p], second, _mm512_loadu_si512(probes + p * dim + i + 64));
        }
    }
    for (; i < dim; i += 64) {
        const __mmask64 present = dim - i < 64 ? ((__mmask64)1 << (dim - i)) - 1 : ~(__mmask64)0;
        const __m512i bytes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(present, row + i), raise);
        for (size_t p = 0; p < probe_count; p++) {
            even[p] = _mm512_dpbusd_epi32(even[p], bytes, _mm512_maskz_loadu_epi8(present, probes + p * dim + i));
        }
    }
    for (size_t p = 0; p < probe_count; p++) {
        out[p * out_stride] = _mm512_reduce_add_epi32(_mm512_add_epi32(even[p], odd[p])) - raised[p];
    }
}

void vk_dot_f16_avx512(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride) {
    VK_PROBES(dot_f16_row, )
}

void vk_dot_f32_avx512(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride) {
    VK_PROBES(dot_f32_row, )
}

void vk_dot_i8_avx512(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                      int32_t *out, size_t out_stride) {
    int32_t raised[4] = {0};
    for (size_t p = 0; p < probe_count; p++) {
        for (size_t d = 0; d < dim; d++) raised[p] += 128 * probes[p * dim + d];
    }
    VK_PROBES(dot_i8_row, raised, )
}

void vk_dot_f16_gather_avx512(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(uint16_t), dot_f16_row(probe, 1, rows[r], dim, out + r, 1))
}

void vk_dot_f32_gather_avx512(const float *probe, const float *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(float), dot_f32_row(probe, 1, rows[r], dim, out + r, 1))
}

#pragma clang attribute pop

#endif
