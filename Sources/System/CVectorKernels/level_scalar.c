#include "kernels_scalar.h"

const struct vk_kernels vk_kernels_scalar = {
    .level = VK_LEVEL_SCALAR,
    .encode = vk_encode_scalar,
    .scan_codes = vk_scan_codes_scalar,
    .dot_f16 = vk_dot_f16_scalar,
    .dot_f32 = vk_dot_f32_scalar,
    .dot_i8 = vk_dot_i8_scalar,
    .dot_f16_gather = vk_dot_f16_gather_scalar,
    .dot_f32_gather = vk_dot_f32_gather_scalar,
    .f32_to_f16 = vk_f32_to_f16_scalar,
    .f16_to_f32 = vk_f16_to_f32_scalar,
};
