#include "kernels_scalar.h"

// Sums of 16 slots, in order.
typedef struct {
    int32_t of_slot[VK_GROUP_ROWS];
} vk_sums;

VK_INLINE void add_heads(const uint8_t *const *heads, size_t head_count, const struct vk_scan_probe *probes,
                         size_t probe_count, vk_sums *sums) {
    for (size_t p = 0; p < head_count; p++) {
        const uint8_t *group = heads[p];
        for (size_t probe = 0; probe < probe_count; probe++) {
            const uint8_t *lut = probes[probe].lut + p * VK_LUT_PLANE_BYTES;
            for (size_t v = 0; v < VK_GROUP_ROWS; v++) {
                for (size_t z = 0; z < 4; z++) {
                    for (size_t j = 0; j < 4; j++) {
                        const uint8_t byte = group[64 * z + 4 * v + j];
                        sums[probe].of_slot[v] +=
                            lut[(8 * z + j) * 16 + (byte & 15)] + lut[(8 * z + 4 + j) * 16 + (byte >> 4)];
                    }
                }
            }
        }
    }
}

VK_INLINE unsigned rows_above(vk_sums sums, int32_t threshold) {
    unsigned mask = 0;
    for (unsigned v = 0; v < VK_GROUP_ROWS; v++) mask |= (unsigned)(sums.of_slot[v] > threshold) << v;
    return mask;
}

VK_INLINE size_t append_slots(vk_sums sums, unsigned mask, uint32_t first_slot, uint32_t *entries, size_t count) {
    for (unsigned v = 0; v < VK_GROUP_ROWS; v++) {
        if (!(mask >> v & 1)) continue;
        entries[count++] = (first_slot + v) << 16 | (uint32_t)sums.of_slot[v];
    }
    return count;
}

VK_INLINE int32_t tail_sum(const uint8_t *planes, const int8_t *weights, size_t tail_count) {
    int32_t sum = 0;
    for (size_t bit = 0; bit < tail_count * VK_PLANE_DIMS; bit++) {
        sum += planes[bit / 8] >> bit % 8 & 1 ? weights[bit] : 0;
    }
    return sum;
}

#include "scan_stages.h"

void vk_scan_codes_scalar(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count) {
    VK_SCAN_BODY
}
