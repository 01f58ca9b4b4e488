#include <math.h>
#include <string.h>

#include "kernels_scalar.h"

#pragma STDC FP_CONTRACT OFF

void vk_encode_scalar(const float *y, size_t rows, size_t dims, int bits, const float *scale, uint8_t *codes,
                      float *self_dot, float *code_dot) {
    const size_t code_bytes = dims * (size_t)bits / 8;
    for (size_t r = 0; r < rows; r++, y += dims, codes += code_bytes) {
        float self_lane[16] = {0}, code_lane[16] = {0};
        memset(codes, 0, code_bytes);
        for (size_t d = 0; d < dims; d++) {
            const float magnitude = fabsf(y[d]);
            const unsigned positive = y[d] > 0;
            const size_t position = bits == 2 ? d / 2 : d / 4, in_half = position % 8;
            uint8_t *byte = codes + position / 8 * 4 + in_half % 4;
            const unsigned nibble_shift = in_half < 4 ? 0 : 4;
            float level;
            if (bits == 2) {
                const unsigned outer = magnitude > VK_OUTER_DECISION * scale[d];
                const unsigned code = positive ? 2 + outer : 1 - outer;
                *byte |= (uint8_t)(code << (nibble_shift + 2 * (d % 2)));
                level = outer ? VK_OUTER_LEVEL : VK_INNER_LEVEL;
            } else {
                *byte |= (uint8_t)(positive << (nibble_shift + d % 4));
                level = VK_SIGN_LEVEL;
            }
            self_lane[d % 16] = fmaf(y[d], y[d], self_lane[d % 16]);
            code_lane[d % 16] = fmaf(magnitude, level * scale[d], code_lane[d % 16]);
        }
        self_dot[r] = vk_tree_sum(self_lane);
        code_dot[r] = vk_tree_sum(code_lane);
    }
}
