#include <math.h>
#include <string.h>

#include "kernels_scalar.h"

#pragma STDC FP_CONTRACT OFF

void vk_encode_scalar(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                      const float *scale, uint8_t *codes, float *self_dot, float *code_dot) {
    for (size_t r = 0; r < rows; r++, y += dims, codes += plane_count * VK_PLANE_BYTES) {
        float self_lane[16] = {0}, code_lane[16] = {0};
        memset(codes, 0, plane_count * VK_PLANE_BYTES);
        for (size_t p = 0; p < plane_count; p++) {
            if (planes[p].bit != 0) continue;
            const int bits = planes[p].bits, half = 1 << (bits - 1);
            uint8_t *by_bit[4];
            vk_planes_of_segment(planes, plane_count, p, codes, by_bit);
            for (size_t i = 0; i < VK_PLANE_DIMS; i++) {
                const size_t d = planes[p].first_dim + i, position = i / 4, in_half = position % 8;
                const size_t byte = position / 8 * 4 + in_half % 4;
                const unsigned shift = (in_half < 4 ? 0 : 4) + (unsigned)(i % 4);
                const float unit = vk_step((unsigned)bits) * scale[d];
                const float lowest = (float)-half, highest = (float)(half - 1);
                float whole = floorf(y[d] / unit);
                whole = whole > lowest ? whole : lowest;
                whole = whole < highest ? whole : highest;
                const unsigned u = (unsigned)((int)whole + half);
                for (int b = 0; b < bits; b++) by_bit[b][byte] |= (uint8_t)((u >> (bits - 1 - b) & 1) << shift);
                self_lane[d % 16] = fmaf(y[d], y[d], self_lane[d % 16]);
                code_lane[d % 16] = fmaf(y[d], (whole + 0.5f) * unit, code_lane[d % 16]);
            }
        }
        self_dot[r] = vk_tree_sum(self_lane);
        code_dot[r] = vk_tree_sum(code_lane);
    }
}
