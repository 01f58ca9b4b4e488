#include "kernels_scalar.h"

// Adds the entries of one plane of one group to the sums of its 16 rows.
static void add_plane(const uint8_t *group, const uint8_t *lut, int32_t sums[VK_GROUP_ROWS]) {
    for (size_t v = 0; v < VK_GROUP_ROWS; v++) {
        for (size_t z = 0; z < 4; z++) {
            for (size_t j = 0; j < 4; j++) {
                const uint8_t byte = group[64 * z + 4 * v + j];
                sums[v] += lut[(8 * z + j) * 16 + (byte & 15)] + lut[(8 * z + 4 + j) * 16 + (byte >> 4)];
            }
        }
    }
}

static int any_above(const int32_t sums[VK_GROUP_ROWS], int32_t threshold) {
    for (size_t v = 0; v < VK_GROUP_ROWS; v++) {
        if (sums[v] > threshold) return 1;
    }
    return 0;
}

void vk_scan_codes_scalar(const uint8_t *const *planes, size_t plane_count, size_t group_count, size_t row_count,
                          const uint8_t *const *luts, size_t probe_count, const int32_t *thresholds,
                          uint32_t *const *rows_out, uint16_t *const *scores_out, size_t *counts_out) {
    for (size_t probe = 0; probe < probe_count; probe++) {
        const int32_t *threshold = thresholds + probe * plane_count;
        size_t count = 0;
        for (size_t g = 0; g < group_count; g++) {
            int32_t sums[VK_GROUP_ROWS] = {0};
            size_t p = 0;
            for (; p < plane_count; p++) {
                add_plane(planes[p] + g * VK_GROUP_BYTES, luts[probe] + p * VK_LUT_PLANE_BYTES, sums);
                if (p + 1 < plane_count && !any_above(sums, threshold[p])) break;
            }
            if (p < plane_count) continue;
            for (size_t v = 0; v < VK_GROUP_ROWS && g * VK_GROUP_ROWS + v < row_count; v++) {
                if (sums[v] <= threshold[plane_count - 1]) continue;
                rows_out[probe][count] = (uint32_t)(g * VK_GROUP_ROWS + v);
                scores_out[probe][count] = (uint16_t)sums[v];
                count++;
            }
        }
        counts_out[probe] = count;
    }
}
