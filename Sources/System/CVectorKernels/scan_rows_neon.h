// What the scans with and without dot product share: sums of a group, the slots among them above a threshold, records.
#pragma once

#include "append_each.h"
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

VK_INLINE size_t append_slots(vk_sums sums, unsigned mask, uint32_t first_slot, uint32_t *entries, size_t count) {
    uint16_t sum_of_slot[VK_GROUP_ROWS];
    vst1q_u16(sum_of_slot, sums.low);
    vst1q_u16(sum_of_slot + 8, sums.high);
    return append_each(sum_of_slot, mask, first_slot, entries, count);
}

// Spreads 16 bits of a plane to bytes of all ones or zeros, which select weights.
VK_INLINE int32_t tail_sum(const uint8_t *planes, const int8_t *weights, size_t tail_count) {
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    // 16-bit sums of pairs: at most 6 planes x 8 x 2 x 127.
    int16x8_t sums = vdupq_n_s16(0);
    for (size_t p = 0; p < tail_count; p++) {
        for (size_t i = 0; i < VK_PLANE_BYTES; i += 2) {
            const uint8_t *bytes = planes + p * VK_PLANE_BYTES + i;
            const uint8x16_t chosen = vtstq_u8(vcombine_u8(vdup_n_u8(bytes[0]), vdup_n_u8(bytes[1])), bit);
            const int8x16_t values = vld1q_s8(weights + p * VK_PLANE_DIMS + 8 * i);
            sums = vpadalq_s8(sums, vandq_s8(values, vreinterpretq_s8_u8(chosen)));
        }
    }
    return vaddlvq_s16(sums);
}
