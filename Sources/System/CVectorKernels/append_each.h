// Appends slots one by one, for levels that cannot compress a vector.
#pragma once

#include "kernels.h"

VK_INLINE size_t append_each(const uint16_t sum_of_slot[VK_GROUP_ROWS], unsigned mask, uint32_t first_slot,
                             uint32_t *entries, size_t count) {
    for (; mask; mask &= mask - 1, count++) {
        const unsigned v = (unsigned)__builtin_ctz(mask);
        entries[count] = (first_slot + v) << 16 | sum_of_slot[v];
    }
    return count;
}
