#if defined(__aarch64__)

#include "kernels_neon.h"

void vk_f32_to_f16_neon(const float *in, size_t count, uint16_t *out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const float16x4_t low = vcvt_f16_f32(vld1q_f32(in + i));
        vst1q_u16(out + i, vreinterpretq_u16_f16(vcvt_high_f16_f32(low, vld1q_f32(in + i + 4))));
    }
    for (; i < count; i++) out[i] = vk_scalar_f32_to_f16(in[i]);
}

void vk_f16_to_f32_neon(const uint16_t *in, size_t count, float *out) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(in + i));
        vst1q_f32(out + i, vcvt_f32_f16(vget_low_f16(halves)));
        vst1q_f32(out + i + 4, vcvt_high_f32_f16(halves));
    }
    for (; i < count; i++) out[i] = vk_scalar_f16_to_f32(in[i]);
}

#endif
