#if defined(__x86_64__)

#include "kernels_avx512.h"
#include "sums_avx512.h"

#pragma clang attribute push(VK_TARGET_AVX512, apply_to = function)

typedef __m512i vk_sums;

// vpermb looks 64 nibbles up in 4 tables of 16 at once (byte j of each dword in table j), vpdpbusd adds the 4 bytes
// of each row.
VK_INLINE void add_heads(const uint8_t *const *heads, size_t head_count, const struct vk_scan_probe *probes,
                         size_t probe_count, vk_sums *sums) {
    const __m512i nibble = _mm512_set1_epi8(15), table_of_byte = _mm512_set1_epi32(0x30201000);
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i high_sums[VK_MAX_SCAN_PROBES];
    for (size_t probe = 0; probe < probe_count; probe++) high_sums[probe] = _mm512_setzero_si512();
    for (size_t p = 0; p < head_count; p++) {
        const uint8_t *group = heads[p];
#pragma clang loop unroll(full)
        for (size_t z = 0; z < 4; z++) {
            const __m512i bytes = _mm512_loadu_si512(group + 64 * z);
            // (bytes & nibble) | table_of_byte
            const __m512i low = _mm512_ternarylogic_epi32(bytes, nibble, table_of_byte, 0xea);
            const __m512i high =
                _mm512_ternarylogic_epi32(_mm512_srli_epi32(bytes, 4), nibble, table_of_byte, 0xea);
#pragma clang loop unroll(full)
            for (size_t probe = 0; probe < probe_count; probe++) {
                const uint8_t *tables = probes[probe].lut + p * VK_LUT_PLANE_BYTES + 128 * z;
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

VK_INLINE size_t append_slots(vk_sums sums, unsigned mask, uint32_t first_slot, uint32_t *entries, size_t count) {
    const __m512i in_group = _mm512_slli_epi32(
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), 16);
    const __m512i slot = _mm512_add_epi32(in_group, _mm512_set1_epi32((int)(first_slot << 16)));
    const __m512i kept = _mm512_maskz_compress_epi32((__mmask16)mask, _mm512_or_si512(sums, slot));
    _mm512_storeu_si512(entries + count, kept);
    return count + (size_t)__builtin_popcount(mask);
}

// The bits of a plane are masks of the weights' bytes.
VK_INLINE __m512i tail_lanes(const uint8_t *planes, const int8_t *weights, size_t tail_count) {
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (size_t p = 0; p < tail_count; p++) {
        uint64_t bits[2];
        __builtin_memcpy(bits, planes + p * VK_PLANE_BYTES, sizeof bits);
        const int8_t *plane_weights = weights + p * VK_PLANE_DIMS;
        even = _mm512_dpbusd_epi32(even, ones, _mm512_maskz_loadu_epi8(bits[0], plane_weights));
        odd = _mm512_dpbusd_epi32(odd, ones, _mm512_maskz_loadu_epi8(bits[1], plane_weights + 64));
    }
    return _mm512_add_epi32(even, odd);
}

#define VK_TAIL_SUMS
VK_INLINE void tail_sums(const uint8_t *const *records, const int8_t *weights, size_t tail_count, int32_t *sums) {
    __m512i lanes[4];
    for (size_t r = 0; r < 4; r++) lanes[r] = tail_lanes(records[r], weights, tail_count);
    const __m128i tails = four_sums(lanes[0], lanes[1], lanes[2], lanes[3]);
    _mm_storeu_si128((__m128i *)sums, _mm_add_epi32(_mm_loadu_si128((const __m128i *)sums), tails));
}

#include "scan_stages.h"

void vk_scan_codes_avx512(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count) {
    VK_SCAN_BODY
}

#pragma clang attribute pop

#endif
