#if defined(__aarch64__)

#include "kernels_neon.h"
#include "scan_rows_neon.h"

#pragma clang attribute push(VK_TARGET_NEON_DOTPROD, apply_to = function)

// tbl looks the nibbles of 4 rows up in 4 tables of 16 at once (byte j of each dword in table j), udot adds the 4
// bytes of each row.
VK_INLINE void add_heads(const uint8_t *const *heads, size_t head_count, const struct vk_scan_probe *probes,
                         size_t probe_count, vk_sums *sums) {
    const uint8x16_t nibble = vdupq_n_u8(15), ones = vdupq_n_u8(1);
    const uint8x16_t table_of_byte = vreinterpretq_u8_u32(vdupq_n_u32(0x30201000));
    uint32x4_t four_rows[VK_MAX_SCAN_PROBES][4];
    for (size_t probe = 0; probe < probe_count; probe++) {
        for (size_t n = 0; n < 4; n++) four_rows[probe][n] = vdupq_n_u32(0);
    }
    for (size_t p = 0; p < head_count; p++) {
        const uint8_t *group = heads[p];
        for (size_t z = 0; z < 4; z++) {
            // Low nibbles of all rows, then high ones: the other half's vectors would not fit the registers.
#pragma clang loop unroll(full)
            for (size_t half = 0; half < 2; half++) {
                uint8x16_t entry[4];
#pragma clang loop unroll(full)
                for (size_t n = 0; n < 4; n++) {
                    const uint8x16_t bytes = vld1q_u8(group + 64 * z + 16 * n);
                    const uint8x16_t nibbles = half == 0 ? vandq_u8(bytes, nibble) : vshrq_n_u8(bytes, 4);
                    entry[n] = vorrq_u8(nibbles, table_of_byte);
                }
#pragma clang loop unroll(full)
                for (size_t probe = 0; probe < probe_count; probe++) {
                    const uint8_t *tables = probes[probe].lut + p * VK_LUT_PLANE_BYTES + 128 * z + 64 * half;
                    const uint8x16x4_t four_tables = vld1q_u8_x4(tables);
#pragma clang loop unroll(full)
                    for (size_t n = 0; n < 4; n++) {
                        const uint8x16_t values = vqtbl4q_u8(four_tables, entry[n]);
                        four_rows[probe][n] = vdotq_u32(four_rows[probe][n], values, ones);
                    }
                }
            }
        }
    }
    for (size_t probe = 0; probe < probe_count; probe++) {
        const uint32x4_t *rows = four_rows[probe];
        const uint16x8_t low = vcombine_u16(vmovn_u32(rows[0]), vmovn_u32(rows[1]));
        const uint16x8_t high = vcombine_u16(vmovn_u32(rows[2]), vmovn_u32(rows[3]));
        sums[probe].low = vaddq_u16(sums[probe].low, low);
        sums[probe].high = vaddq_u16(sums[probe].high, high);
    }
}

#include "scan_stages.h"

void vk_scan_codes_neon_dotprod(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count) {
    VK_SCAN_BODY
}

#pragma clang attribute pop

#endif
