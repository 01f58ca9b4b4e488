// Gathers comparisons into one dword of a code (byte j: position j low, position 4 + j high).
#pragma once

#include "kernels_neon.h"

// Four dimensions of 16 in each byte, bit t for the one at t; of the others of `selected`, all bits or none are set.
VK_INLINE unsigned vk_nibbles_of_16(uint8x16_t selected) {
    const uint8x16_t weights = vreinterpretq_u8_u32(vdupq_n_u32(0x08040201));
    const uint8x16_t weighted = vandq_u8(selected, weights);
    const uint8x16_t pairs = vpaddq_u8(weighted, weighted);
    return vgetq_lane_u32(vreinterpretq_u32_u8(vpaddq_u8(pairs, pairs)), 0);
}

// One bit for each of two times 16 dimensions, as vk_nibbles_of_16 gives them.
VK_INLINE uint32_t vk_code_of_32(unsigned first, unsigned second) {
    return first | second << 4;
}
