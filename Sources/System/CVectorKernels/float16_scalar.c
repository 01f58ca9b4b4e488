// IEEE 754 binary16 by integer arithmetic, exactly as the F16C instructions round.
#include "kernels_scalar.h"

float vk_scalar_f16_to_f32(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = (half >> 10) & 31, mantissa = half & 0x3ff;
    if (exponent == 0) return vk_float_of(sign | vk_bits_of((float)mantissa * 0x1p-24f));
    if (exponent < 31) return vk_float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    const uint32_t quiet = mantissa ? 0x400000 : 0;
    return vk_float_of(sign | 0x7f800000 | quiet | mantissa << 13);
}

uint16_t vk_scalar_f32_to_f16(float value) {
    const uint32_t bits = vk_bits_of(value);
    const uint32_t sign = (bits >> 16) & 0x8000, magnitude = bits & 0x7fffffff;
    uint32_t half;
    if (magnitude > 0x7f800000) {
        half = 0x7e00 | ((magnitude >> 13) & 0x3ff);
    } else if (magnitude >= 0x477ff000) {
        half = 0x7c00;  // 65520 and above round to infinity
    } else if (magnitude >= 0x38800000) {
        const uint32_t rebiased = magnitude - 0x38000000;
        half = (rebiased + 0xfff + ((rebiased >> 13) & 1)) >> 13;
    } else {
        // A subnormal half: one unit is 2^-24, the last place of floats in [0.5, 1), so that the sum rounds for us.
        half = vk_bits_of(vk_float_of(magnitude) + 0.5f) - 0x3f000000;
    }
    return (uint16_t)(sign | half);
}

void vk_f32_to_f16_scalar(const float *in, size_t count, uint16_t *out) {
    for (size_t i = 0; i < count; i++) out[i] = vk_scalar_f32_to_f16(in[i]);
}

void vk_f16_to_f32_scalar(const uint16_t *in, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = vk_scalar_f16_to_f32(in[i]);
}
