#if defined(__aarch64__)

#include "kernels_neon.h"
#include "scan_rows_neon.h"

// ld4 brings byte j of 16 rows into one vector, in row order; tbl looks their low and then their high nibbles up.
VK_INLINE void add_heads(const uint8_t *const *heads, size_t head_count, const struct vk_scan_probe *probes,
                         size_t probe_count, vk_sums *sums) {
    const uint8x16_t nibble = vdupq_n_u8(15);
    for (size_t p = 0; p < head_count; p++) {
        const uint8_t *group = heads[p];
        for (size_t z = 0; z < 4; z++) {
            const uint8x16x4_t column = vld4q_u8(group + 64 * z);
#pragma clang loop unroll(full)
            for (size_t j = 0; j < 4; j++) {
                const uint8x16_t low = vandq_u8(column.val[j], nibble), high = vshrq_n_u8(column.val[j], 4);
#pragma clang loop unroll(full)
                for (size_t probe = 0; probe < probe_count; probe++) {
                    const uint8_t *low_table = probes[probe].lut + p * VK_LUT_PLANE_BYTES + 128 * z + 16 * j;
                    const uint8x16_t low_values = vqtbl1q_u8(vld1q_u8(low_table), low);
                    const uint8x16_t high_values = vqtbl1q_u8(vld1q_u8(low_table + 64), high);
                    const uint16x8_t first_rows = vaddl_u8(vget_low_u8(low_values), vget_low_u8(high_values));
                    sums[probe].low = vaddq_u16(sums[probe].low, first_rows);
                    sums[probe].high = vaddq_u16(sums[probe].high, vaddl_high_u8(low_values, high_values));
                }
            }
        }
    }
}

#include "scan_stages.h"

void vk_scan_codes_neon(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count) {
    VK_SCAN_BODY
}

#endif
