// Spreads comparison bits into one dword of a code (byte j: position j low, position 4 + j high).
#pragma once

#include <immintrin.h>
#include <stdint.h>

#pragma clang attribute push(__attribute__((target("bmi2"))), apply_to = function)

// One bit for each of two times 16 dimensions.
static inline uint32_t vk_code_of_32(unsigned first, unsigned second) {
    return _pdep_u32(first, 0x0f0f0f0f) | _pdep_u32(second, 0xf0f0f0f0);
}

#pragma clang attribute pop
