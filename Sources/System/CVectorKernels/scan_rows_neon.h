// What the scans with and without dot product share: sums of a group, and the rows among them above a threshold.
#pragma once

#include "kernels_neon.h"

// Sums of 16 rows, in row order.
typedef struct {
    uint16x8_t low, high;
} vk_sums;

VK_INLINE unsigned rows_above(vk_sums sums, int32_t threshold) {
    if (threshold < 0) return 0xffff;
    const uint16x8_t clamped = vdupq_n_u16((uint16_t)(threshold < 0xffff ? threshold : 0xffff));
    const uint16x8_t low = vcgtq_u16(sums.low, clamped), high = vcgtq_u16(sums.high, clamped);
    const uint8x16_t above = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
    const uint8x16_t weights = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    const uint8x16_t weighted = vandq_u8(above, weights);
    const uint8x16_t pairs = vpaddq_u8(weighted, weighted), fours = vpaddq_u8(pairs, pairs);
    return vgetq_lane_u16(vreinterpretq_u16_u8(vpaddq_u8(fours, fours)), 0);
}

VK_INLINE size_t append_rows(vk_sums sums, unsigned mask, uint32_t first_row, uint32_t *rows, uint16_t *scores,
                             size_t count) {
    uint16_t sum_of_row[VK_GROUP_ROWS];
    vst1q_u16(sum_of_row, sums.low);
    vst1q_u16(sum_of_row + 8, sums.high);
    for (; mask; mask &= mask - 1, count++) {
        const unsigned v = (unsigned)__builtin_ctz(mask);
        rows[count] = first_row + v;
        scores[count] = sum_of_row[v];
    }
    return count;
}
