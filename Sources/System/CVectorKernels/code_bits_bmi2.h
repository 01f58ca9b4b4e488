// Spreads comparison bits into one dword of a code (byte j: position j low, position 4 + j high).
#pragma once

#include <immintrin.h>
#include <stdint.h>

#pragma clang attribute push(__attribute__((target("bmi2"))), apply_to = function)

// 2-bit codes of 16 dimensions. The low bit of a level is set when sign and outer bit agree.
static inline uint32_t vk_code_of_16(unsigned positive, unsigned outer) {
    const unsigned agree = ~(positive ^ outer);
    return _pdep_u32(agree, 0x05050505) | _pdep_u32(positive, 0x0a0a0a0a) | _pdep_u32(agree >> 8, 0x50505050) |
           _pdep_u32(positive >> 8, 0xa0a0a0a0);
}

// 1-bit codes of two times 16 dimensions.
static inline uint32_t vk_code_of_32(unsigned first, unsigned second) {
    return _pdep_u32(first, 0x0f0f0f0f) | _pdep_u32(second, 0xf0f0f0f0);
}

#pragma clang attribute pop
