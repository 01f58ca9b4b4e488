#if defined(__aarch64__)

#include "kernels_neon.h"
#include "lanes_neon.h"

#pragma clang attribute push(VK_TARGET_NEON_DOTPROD, apply_to = function)

#include "inner_product_rows.h"

// sdot adds the products of 4 neighbouring bytes to 32 bits.
VK_INLINE void dot_i8_row(const int8_t *probes, const size_t probe_count, const int8_t *row, size_t dim, int32_t *out,
                          size_t out_stride) {
    int32x4_t even[4], odd[4];
    for (size_t p = 0; p < probe_count; p++) even[p] = odd[p] = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 32 <= dim; i += 32) {
        const int8x16_t first = vld1q_s8(row + i), second = vld1q_s8(row + i + 16);
        for (size_t p = 0; p < probe_count; p++) {
            even[p] = vdotq_s32(even[p], first, vld1q_s8(probes + p * dim + i));
            odd[p] = vdotq_s32(odd[p], second, vld1q_s8(probes + p * dim + i + 16));
        }
    }
    for (; i < dim; i += 8) {
        const int8x16_t values = vcombine_s8(vld1_s8(row + i), vdup_n_s8(0));
        for (size_t p = 0; p < probe_count; p++) {
            const int8x16_t probe = vcombine_s8(vld1_s8(probes + p * dim + i), vdup_n_s8(0));
            even[p] = vdotq_s32(even[p], values, probe);
        }
    }
    for (size_t p = 0; p < probe_count; p++) out[p * out_stride] = vaddvq_s32(vaddq_s32(even[p], odd[p]));
}

void vk_dot_i8_neon_dotprod(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count,
                            size_t dim, int32_t *out, size_t out_stride) {
    VK_PROBES(dot_i8_row, )
}

#pragma clang attribute pop

#endif
