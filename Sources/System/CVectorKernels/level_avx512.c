#if defined(__x86_64__)

#include "kernels_avx512.h"

const struct vk_kernels vk_kernels_avx512 = {
    .level = VK_LEVEL_AVX512,
    .encode = vk_encode_avx512,
    .scan_codes = vk_scan_codes_avx512,
    .dot_f16 = vk_dot_f16_avx512,
    .dot_f32 = vk_dot_f32_avx512,
    .dot_i8 = vk_dot_i8_avx512,
    .dot_f16_gather = vk_dot_f16_gather_avx512,
    .dot_f32_gather = vk_dot_f32_gather_avx512,
    .f32_to_f16 = vk_f32_to_f16_avx512,
    .f16_to_f32 = vk_f16_to_f32_avx512,
};

#endif
