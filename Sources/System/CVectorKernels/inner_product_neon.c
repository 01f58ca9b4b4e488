#if defined(__aarch64__)

#include "kernels_neon.h"
#include "lanes_neon.h"

#include "inner_product_rows.h"

// Products of bytes fit 16 bits, the sum of two need not: each is added to 32 bits before the next.
VK_INLINE void dot_i8_row(const int8_t *probes, const size_t probe_count, const int8_t *row, size_t dim, int32_t *out,
                          size_t out_stride) {
    int32x4_t even[4], odd[4];
    for (size_t p = 0; p < probe_count; p++) even[p] = odd[p] = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        const int8x16_t values = vld1q_s8(row + i);
        for (size_t p = 0; p < probe_count; p++) {
            const int8x16_t probe = vld1q_s8(probes + p * dim + i);
            even[p] = vpadalq_s16(even[p], vmull_s8(vget_low_s8(values), vget_low_s8(probe)));
            odd[p] = vpadalq_s16(odd[p], vmull_high_s8(values, probe));
        }
    }
    if (i < dim) {
        const int8x8_t values = vld1_s8(row + i);
        for (size_t p = 0; p < probe_count; p++) {
            even[p] = vpadalq_s16(even[p], vmull_s8(values, vld1_s8(probes + p * dim + i)));
        }
    }
    for (size_t p = 0; p < probe_count; p++) out[p * out_stride] = vaddvq_s32(vaddq_s32(even[p], odd[p]));
}

void vk_dot_f16_neon(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                     float *out, size_t out_stride) {
    VK_PROBES(dot_f16_row, )
}

void vk_dot_f32_neon(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                     float *out, size_t out_stride) {
    VK_PROBES(dot_f32_row, )
}

void vk_dot_i8_neon(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                    int32_t *out, size_t out_stride) {
    VK_PROBES(dot_i8_row, )
}

void vk_dot_f16_gather_neon(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(uint16_t), dot_f16_row(probe, 1, rows[r], dim, out + r, 1))
}

void vk_dot_f32_gather_neon(const float *probe, const float *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(float), dot_f32_row(probe, 1, rows[r], dim, out + r, 1))
}

#endif
