#if defined(__x86_64__)

#include "kernels_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

typedef __m512i vk_sums;

// vpermb looks 64 nibbles up in 4 tables of 16 at once (byte j of each dword in table j), vpdpbusd adds the 4 bytes
// of each row.
VK_INLINE void add_planes(const uint8_t *const *planes, size_t first, size_t end, size_t offset,
                          const uint8_t *const *luts, size_t probe_count, vk_sums *sums) {
    const __m512i nibble = _mm512_set1_epi8(15), table_of_byte = _mm512_set1_epi32(0x30201000);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i high_sums[VK_MAX_SCAN_PROBES];
    for (size_t probe = 0; probe < probe_count; probe++) high_sums[probe] = _mm512_setzero_si512();
    for (size_t p = first; p < end; p++) {
        const uint8_t *group = planes[p] + offset;
#pragma clang loop unroll(full)
        for (size_t z = 0; z < 4; z++) {
            const __m512i bytes = _mm512_loadu_si512(group + 64 * z);
            // (bytes & nibble) | table_of_byte
            const __m512i low = _mm512_ternarylogic_epi32(bytes, nibble, table_of_byte, 0xea);
            const __m512i high =
                _mm512_ternarylogic_epi32(_mm512_srli_epi32(bytes, 4), nibble, table_of_byte, 0xea);
#pragma clang loop unroll(full)
            for (size_t probe = 0; probe < probe_count; probe++) {
                const uint8_t *tables = luts[probe] + p * VK_LUT_PLANE_BYTES + 128 * z;
                const __m512i low_values = _mm512_permutexvar_epi8(low, _mm512_loadu_si512(tables));
                const __m512i high_values = _mm512_permutexvar_epi8(high, _mm512_loadu_si512(tables + 64));
                sums[probe] = _mm512_dpbusd_epi32(sums[probe], low_values, ones);
                high_sums[probe] = _mm512_dpbusd_epi32(high_sums[probe], high_values, ones);
            }
        }
    }
    for (size_t probe = 0; probe < probe_count; probe++) {
        sums[probe] = _mm512_add_epi32(sums[probe], high_sums[probe]);
    }
}

VK_INLINE unsigned rows_above(vk_sums sums, int32_t threshold) {
    return _mm512_cmpgt_epi32_mask(sums, _mm512_set1_epi32(threshold));
}

VK_INLINE size_t append_rows(vk_sums sums, unsigned mask, uint32_t first_row, uint32_t *rows, uint16_t *scores,
                             size_t count) {
    const __m512i in_group = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i row = _mm512_add_epi32(in_group, _mm512_set1_epi32((int)first_row));
    const __m512i kept_sums = _mm512_maskz_compress_epi32((__mmask16)mask, sums);
    _mm512_storeu_si512(rows + count, _mm512_maskz_compress_epi32((__mmask16)mask, row));
    _mm256_storeu_si256((__m256i *)(scores + count), _mm512_cvtepi32_epi16(kept_sums));
    return count + (size_t)__builtin_popcount(mask);
}

#include "scan_stages.h"

void vk_scan_codes_avx512(const uint8_t *const *planes, size_t plane_count, size_t group_count, size_t row_count,
                          const uint8_t *const *luts, size_t probe_count, const int32_t *thresholds,
                          uint32_t *const *rows_out, uint16_t *const *scores_out, size_t *counts_out) {
    VK_SCAN_BODY
}

#pragma clang attribute pop

#endif
