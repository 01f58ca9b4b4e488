#if defined(__x86_64__)

#include "append_each.h"
#include "kernels_avx2.h"

#pragma clang attribute push(VK_TARGET_AVX2, apply_to = function)

// Sums of 16 rows, in row order, modulo 2^16 (which no full sum reaches).
typedef __m256i vk_sums;

// Two 128-bit halves from two places.
VK_INLINE __m256i load_halves(const uint8_t *low, const uint8_t *high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)low)),
                                   _mm_loadu_si128((const __m128i *)high), 1);
}

// The bytes of 16 rows at one z, as 4 vectors: byte j of every row, in row order, in both halves.
VK_INLINE void columns_of(const uint8_t *group, __m256i column[4]) {
    const __m256i by_byte = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,  //
                                             0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    // Rows 0-3 and 8-11, rows 4-7 and 12-15; after the shuffle dword j of a half is byte j of its 4 rows.
    const __m256i even = _mm256_shuffle_epi8(load_halves(group, group + 32), by_byte);
    const __m256i odd = _mm256_shuffle_epi8(load_halves(group + 16, group + 48), by_byte);
    const __m256i first = _mm256_unpacklo_epi32(even, odd), second = _mm256_unpackhi_epi32(even, odd);
    column[0] = _mm256_permute4x64_epi64(first, 0x88);
    column[1] = _mm256_permute4x64_epi64(first, 0xdd);
    column[2] = _mm256_permute4x64_epi64(second, 0x88);
    column[3] = _mm256_permute4x64_epi64(second, 0xdd);
}

// vpshufb looks up the low nibbles of 16 rows in its low half and the high nibbles in its high half. Values are added
// as 16-bit words, whole and shifted down by 8; the words' low bytes come out at the end.
VK_INLINE void add_heads(const uint8_t *const *heads, size_t head_count, const struct vk_scan_probe *probes,
                         size_t probe_count, vk_sums *sums) {
    const __m256i nibble = _mm256_set1_epi8(15), half_shift = _mm256_setr_epi32(0, 0, 0, 0, 4, 4, 4, 4);
    __m256i whole[VK_MAX_SCAN_PROBES], odd_rows[VK_MAX_SCAN_PROBES];
    for (size_t probe = 0; probe < probe_count; probe++) whole[probe] = odd_rows[probe] = _mm256_setzero_si256();
    for (size_t p = 0; p < head_count; p++) {
        const uint8_t *group = heads[p];
        for (size_t z = 0; z < 4; z++) {
            __m256i column[4];
            columns_of(group + 64 * z, column);
#pragma clang loop unroll(full)
            for (size_t j = 0; j < 4; j++) {
                const __m256i nibbles = _mm256_and_si256(_mm256_srlv_epi32(column[j], half_shift), nibble);
#pragma clang loop unroll(full)
                for (size_t probe = 0; probe < probe_count; probe++) {
                    const uint8_t *low_table = probes[probe].lut + p * VK_LUT_PLANE_BYTES + 128 * z + 16 * j;
                    const __m256i values = _mm256_shuffle_epi8(load_halves(low_table, low_table + 64), nibbles);
                    whole[probe] = _mm256_add_epi16(whole[probe], values);
                    odd_rows[probe] = _mm256_add_epi16(odd_rows[probe], _mm256_srli_epi16(values, 8));
                }
            }
        }
    }
    for (size_t probe = 0; probe < probe_count; probe++) {
        const __m256i even_rows = _mm256_sub_epi16(whole[probe], _mm256_slli_epi16(odd_rows[probe], 8));
        const __m128i even = _mm_add_epi16(_mm256_castsi256_si128(even_rows), _mm256_extracti128_si256(even_rows, 1));
        const __m128i odd =
            _mm_add_epi16(_mm256_castsi256_si128(odd_rows[probe]), _mm256_extracti128_si256(odd_rows[probe], 1));
        const __m256i in_order = _mm256_setr_m128i(_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd));
        sums[probe] = _mm256_add_epi16(sums[probe], in_order);
    }
}

VK_INLINE unsigned rows_above(vk_sums sums, int32_t threshold) {
    if (threshold < 0) return 0xffff;
    const int32_t clamped = threshold < 0xffff ? threshold : 0xffff;
    const __m256i excess = _mm256_subs_epu16(sums, _mm256_set1_epi16((short)clamped));
    const __m256i not_above = _mm256_cmpeq_epi16(excess, _mm256_setzero_si256());
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(not_above), _mm256_extracti128_si256(not_above, 1));
    return ~(unsigned)_mm_movemask_epi8(bytes) & 0xffff;
}

VK_INLINE size_t append_slots(vk_sums sums, unsigned mask, uint32_t first_slot, uint32_t *entries, size_t count) {
    uint16_t sum_of_slot[VK_GROUP_ROWS];
    _mm256_storeu_si256((__m256i *)sum_of_slot, sums);
    return append_each(sum_of_slot, mask, first_slot, entries, count);
}

// Spreads 32 bits of a plane to bytes of all ones or zeros, which select weights.
VK_INLINE int32_t tail_sum(const uint8_t *planes, const int8_t *weights, size_t tail_count) {
    const __m256i byte_of_bit = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1,  //
                                                 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201), ones = _mm256_set1_epi8(1);
    // 16-bit sums of pairs: at most 6 planes x 4 x 2 x 127.
    __m256i sums = _mm256_setzero_si256();
    for (size_t p = 0; p < tail_count; p++) {
        for (size_t z = 0; z < 4; z++) {
            int32_t bits;
            __builtin_memcpy(&bits, planes + p * VK_PLANE_BYTES + 4 * z, sizeof bits);
            const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), byte_of_bit), bit);
            const __m256i chosen = _mm256_cmpeq_epi8(spread, bit);
            const __m256i values = _mm256_loadu_si256((const __m256i *)(weights + p * VK_PLANE_DIMS + 32 * z));
            sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(ones, _mm256_and_si256(values, chosen)));
        }
    }
    const __m256i eight = _mm256_madd_epi16(sums, _mm256_set1_epi16(1));
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

#include "scan_stages.h"

void vk_scan_codes_avx2(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count) {
    VK_SCAN_BODY
}

#pragma clang attribute pop

#endif
