#if defined(__x86_64__)

#include "kernels_avx512.h"
#include "lanes_avx512.h"
#include "sums_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

#include "inner_product_rows.h"

// vpdpbusd multiplies unsigned by signed bytes: rows are raised by 128, 128 times the probe's sum comes off again.
// Four rows at a time, so that their sums are added up together; `together` of them, 1 or 4, are read at once.
VK_INLINE void dot_i8_rows(const int8_t *probes, const size_t probe_count, const int32_t *raised, const int8_t *rows,
                           const size_t row_count, size_t dim, const size_t together, int32_t *out,
                           size_t out_stride) {
    const __m512i raise = _mm512_set1_epi8((char)0x80);
    __m512i sums[4][4];
    for (size_t p = 0; p < probe_count; p++) {
        for (size_t r = 0; r < 4; r++) sums[p][r] = _mm512_setzero_si512();
    }
    for (size_t first = 0; first < row_count; first += together) {
        const size_t end = first + together < row_count ? first + together : row_count;
        for (size_t i = 0; i < dim; i += 64) {
            const __mmask64 present = dim - i < 64 ? ((__mmask64)1 << (dim - i)) - 1 : ~(__mmask64)0;
            __m512i raised_rows[4];
            for (size_t r = first; r < end; r++) {
                raised_rows[r] = _mm512_xor_si512(_mm512_maskz_loadu_epi8(present, rows + r * dim + i), raise);
            }
            for (size_t p = 0; p < probe_count; p++) {
                const __m512i probe = _mm512_maskz_loadu_epi8(present, probes + p * dim + i);
                for (size_t r = first; r < end; r++) {
                    sums[p][r] = _mm512_dpbusd_epi32(sums[p][r], raised_rows[r], probe);
                }
            }
        }
    }
    for (size_t p = 0; p < probe_count; p++) {
        const __m128i totals = _mm_sub_epi32(four_sums(sums[p][0], sums[p][1], sums[p][2], sums[p][3]),
                                             _mm_set1_epi32(raised[p]));
        _mm_mask_storeu_epi32(out + p * out_stride, (__mmask8)((1u << row_count) - 1), totals);
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

// Long rows, by one probe alone, are read one after the other: four at a time come from memory at less than half its
// rate, for the processor's read-ahead follows one of them. Short ones are mostly in cache, where four at a time are
// faster.
enum { VK_SHORT_ROW = 256 };

#define VK_DOT_I8(probe_count, together) \
    for (size_t r = 0; r < row_count; r += 4, rows += 4 * dim, out += 4) { \
        if (row_count - r >= 4) { \
            dot_i8_rows(probes, probe_count, raised, rows, 4, dim, together, out, out_stride); \
        } else { \
            dot_i8_rows(probes, probe_count, raised, rows, row_count - r, dim, together, out, \
                        out_stride); \
        } \
    }

void vk_dot_i8_avx512(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                      int32_t *out, size_t out_stride) {
    int32_t raised[4] = {0};
    for (size_t p = 0; p < probe_count; p++) {
        for (size_t d = 0; d < dim; d++) raised[p] += 128 * probes[p * dim + d];
    }
    switch (probe_count) {
        case 1:
            if (dim > VK_SHORT_ROW) {
                VK_DOT_I8(1, 1)
            } else {
                VK_DOT_I8(1, 4)
            }
            break;
        case 2: VK_DOT_I8(2, 4); break;
        case 3: VK_DOT_I8(3, 4); break;
        case 4: VK_DOT_I8(4, 4); break;
    }
}

void vk_dot_f16_gather_avx512(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(uint16_t), dot_f16_row(probe, 1, rows[r], dim, out + r, 1))
}

void vk_dot_f32_gather_avx512(const float *probe, const float *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(float), dot_f32_row(probe, 1, rows[r], dim, out + r, 1))
}

#pragma clang attribute pop

#endif
