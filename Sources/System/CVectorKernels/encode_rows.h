// Encodes rows with the encode_16 of the level that includes this file.
#pragma once

VK_INLINE void encode_segment(const float *y, const float *scale, const int bits, uint8_t *const *by_bit,
                              struct lanes *self_lanes, struct lanes *code_lanes) {
    // One dword of each plane at a time: 32 dimensions.
    for (size_t z = 0; z < 4; z++) {
        unsigned low[4], high[4];
        encode_16(y + 32 * z, scale + 32 * z, bits, low, self_lanes, code_lanes);
        encode_16(y + 32 * z + 16, scale + 32 * z + 16, bits, high, self_lanes, code_lanes);
        for (int b = 0; b < bits; b++) {
            const uint32_t code = vk_code_of_32(low[b], high[b]);
            __builtin_memcpy(by_bit[b] + 4 * z, &code, sizeof code);
        }
    }
}

VK_INLINE void encode_rows(const float *y, size_t rows, size_t dims, const struct vk_plane *planes,
                           size_t plane_count, const float *scale, uint8_t *codes, float *self_dot, float *code_dot) {
    for (size_t r = 0; r < rows; r++, y += dims, codes += plane_count * VK_PLANE_BYTES) {
        struct lanes self_lanes = zero_lanes(), code_lanes = zero_lanes();
        for (size_t p = 0; p < plane_count; p++) {
            if (planes[p].bit != 0) continue;
            const float *segment = y + planes[p].first_dim, *segment_scale = scale + planes[p].first_dim;
            uint8_t *by_bit[4];
            vk_planes_of_segment(planes, plane_count, p, codes, by_bit);
            switch (planes[p].bits) {
                case 1: encode_segment(segment, segment_scale, 1, by_bit, &self_lanes, &code_lanes); break;
                case 2: encode_segment(segment, segment_scale, 2, by_bit, &self_lanes, &code_lanes); break;
                case 3: encode_segment(segment, segment_scale, 3, by_bit, &self_lanes, &code_lanes); break;
                default: encode_segment(segment, segment_scale, 4, by_bit, &self_lanes, &code_lanes); break;
            }
        }
        self_dot[r] = tree_sum(self_lanes);
        code_dot[r] = tree_sum(code_lanes);
    }
}
