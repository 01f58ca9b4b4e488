// The 16 accumulators of a lane sum in four vectors.
#pragma once

#include "kernels_neon.h"

struct lanes {
    float32x4_t quarter[4];
};

VK_INLINE struct lanes zero_lanes(void) {
    const float32x4_t zero = vdupq_n_f32(0);
    return (struct lanes){{zero, zero, zero, zero}};
}

VK_INLINE struct lanes add_product(struct lanes sum, struct lanes a, struct lanes b) {
    return (struct lanes){{
        vfmaq_f32(sum.quarter[0], a.quarter[0], b.quarter[0]),
        vfmaq_f32(sum.quarter[1], a.quarter[1], b.quarter[1]),
        vfmaq_f32(sum.quarter[2], a.quarter[2], b.quarter[2]),
        vfmaq_f32(sum.quarter[3], a.quarter[3], b.quarter[3]),
    }};
}

VK_INLINE struct lanes load_16(const float *values) {
    return (struct lanes){{
        vld1q_f32(values),
        vld1q_f32(values + 4),
        vld1q_f32(values + 8),
        vld1q_f32(values + 12),
    }};
}

// The tail of a row: 8 values, the other lanes 0.
VK_INLINE struct lanes load_8(const float *values) {
    const float32x4_t zero = vdupq_n_f32(0);
    return (struct lanes){{vld1q_f32(values), vld1q_f32(values + 4), zero, zero}};
}

VK_INLINE struct lanes load_16_halves(const uint16_t *values) {
    const float16x8_t low = vreinterpretq_f16_u16(vld1q_u16(values));
    const float16x8_t high = vreinterpretq_f16_u16(vld1q_u16(values + 8));
    return (struct lanes){{
        vcvt_f32_f16(vget_low_f16(low)),
        vcvt_high_f32_f16(low),
        vcvt_f32_f16(vget_low_f16(high)),
        vcvt_high_f32_f16(high),
    }};
}

VK_INLINE struct lanes load_8_halves(const uint16_t *values) {
    const float16x8_t low = vreinterpretq_f16_u16(vld1q_u16(values));
    const float32x4_t zero = vdupq_n_f32(0);
    return (struct lanes){{vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), zero, zero}};
}

// Last step of a lane sum.
VK_INLINE float tree_sum(struct lanes sum) {
    const float32x4_t low = vaddq_f32(sum.quarter[0], sum.quarter[2]);
    const float32x4_t high = vaddq_f32(sum.quarter[1], sum.quarter[3]);
    const float32x4_t four = vaddq_f32(low, high);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(vpadd_f32(two, two), 0);
}
