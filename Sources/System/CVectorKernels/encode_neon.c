#if defined(__aarch64__)

#include "code_bits_neon.h"
#include "kernels_neon.h"
#include "lanes_neon.h"

// 4 dimensions of one row: returns their levels u; adds to their lanes of both sums.
VK_INLINE uint32x4_t encode_4(const float *y, const float *scale, const int bits, float32x4_t *self_lanes,
                              float32x4_t *code_lanes) {
    const int half = 1 << (bits - 1);
    const float32x4_t value = vld1q_f32(y);
    const float32x4_t unit = vmulq_f32(vdupq_n_f32(vk_step((unsigned)bits)), vld1q_f32(scale));
    float32x4_t whole = vrndmq_f32(vdivq_f32(value, unit));
    // The maximum that takes the number when the other is none, as the comparisons of the scalar level do.
    whole = vmaxnmq_f32(whole, vdupq_n_f32((float)-half));
    whole = vminnmq_f32(whole, vdupq_n_f32((float)(half - 1)));
    *self_lanes = vfmaq_f32(*self_lanes, value, value);
    const float32x4_t level = vmulq_f32(vaddq_f32(whole, vdupq_n_f32(0.5f)), unit);
    *code_lanes = vfmaq_f32(*code_lanes, value, level);
    return vreinterpretq_u32_s32(vaddq_s32(vcvtq_s32_f32(whole), vdupq_n_s32(half)));
}

// 16 dimensions of one row: their bits, in nibbles, of each of `bits` planes; adds to both lane sums.
VK_INLINE void encode_16(const float *y, const float *scale, const int bits, unsigned *masks,
                         struct lanes *self_lanes, struct lanes *code_lanes) {
    uint16x4_t u[4];
#pragma clang loop unroll(full)
    for (size_t q = 0; q < 4; q++) {
        u[q] = vmovn_u32(
            encode_4(y + 4 * q, scale + 4 * q, bits, &self_lanes->quarter[q], &code_lanes->quarter[q]));
    }
    const uint8x16_t levels =
        vcombine_u8(vmovn_u16(vcombine_u16(u[0], u[1])), vmovn_u16(vcombine_u16(u[2], u[3])));
    for (int b = 0; b < bits; b++) {
        masks[b] = vk_nibbles_of_16(vtstq_u8(levels, vdupq_n_u8((uint8_t)(1 << (bits - 1 - b)))));
    }
}

#include "encode_rows.h"

void vk_encode_neon(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                    const float *scale, uint8_t *codes, float *self_dot, float *code_dot) {
    encode_rows(y, rows, dims, planes, plane_count, scale, codes, self_dot, code_dot);
}

#endif
