#if defined(__aarch64__)

#include "kernels_neon.h"

const struct vk_kernels vk_kernels_neon = {
    .level = VK_LEVEL_NEON,
    .encode = vk_encode_neon,
    .scan_codes = vk_scan_codes_neon,
    .dot_f16 = vk_dot_f16_neon,
    .dot_f32 = vk_dot_f32_neon,
    .dot_i8 = vk_dot_i8_neon,
    .dot_f16_gather = vk_dot_f16_gather_neon,
    .dot_f32_gather = vk_dot_f32_gather_neon,
    .f32_to_f16 = vk_f32_to_f16_neon,
    .f16_to_f32 = vk_f16_to_f32_neon,
};

const struct vk_kernels vk_kernels_neon_dotprod = {
    .level = VK_LEVEL_NEON,
    .encode = vk_encode_neon,
    .scan_codes = vk_scan_codes_neon_dotprod,
    .dot_f16 = vk_dot_f16_neon,
    .dot_f32 = vk_dot_f32_neon,
    .dot_i8 = vk_dot_i8_neon_dotprod,
    .dot_f16_gather = vk_dot_f16_gather_neon,
    .dot_f32_gather = vk_dot_f32_gather_neon,
    .f32_to_f16 = vk_f32_to_f16_neon,
    .f16_to_f32 = vk_f16_to_f32_neon,
};

#endif
