// Encodes rows with the encode_16 of the level that includes this file.
#pragma once

VK_INLINE void encode_rows(const float *y, size_t rows, size_t dims, const int bits, const float *scale,
                           uint8_t *codes, float *self_dot, float *code_dot) {
    for (size_t r = 0; r < rows; r++, y += dims) {
        struct lanes self_lanes = zero_lanes(), code_lanes = zero_lanes();
        // One dword of the code at a time: 16 dimensions of 2 bits, 32 of 1 bit.
        for (size_t d = 0; d < dims; d += bits == 2 ? 16 : 32, codes += 4) {
            const struct vk_encoded low = encode_16(y + d, scale + d, bits, &self_lanes, &code_lanes);
            uint32_t code;
            if (bits == 2) {
                code = vk_code_of_16(low.positive, low.outer);
            } else {
                const struct vk_encoded high =
                    encode_16(y + d + 16, scale + d + 16, bits, &self_lanes, &code_lanes);
                code = vk_code_of_32(low.positive, high.positive);
            }
            __builtin_memcpy(codes, &code, sizeof code);
        }
        self_dot[r] = tree_sum(self_lanes);
        code_dot[r] = tree_sum(code_lanes);
    }
}
