// CRC-32C by the crc32 instruction: three streams at once hide its latency, carry-less products join them
// (Gopal et al., "Fast CRC computation for iSCSI polynomial using CRC32 instruction", Intel, 2011).
#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

#include "crc32c.h"

#pragma clang attribute push(__attribute__((target("sse4.2,pclmul"))), apply_to = function)

enum { LONG_STREAM = 1024, SHORT_STREAM = 128 };

// x^(8 n - 33) mod P, bit-reflected, for n = one and two streams: the product with a register, reduced by crc32 over
// 8 bytes (x^32, and x for the reflected product), moves the register over n bytes.
enum {
    LONG_ONE = (int)0x170076fa,
    LONG_TWO = (int)0xa51b6135,
    SHORT_ONE = (int)0x0d3b6092,
    SHORT_TWO = (int)0xb9e02b86,
};

static uint64_t load_u64(const uint8_t *bytes) {
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

// The product of the register and `factor`, still to be reduced.
static uint64_t shifted(uint64_t crc, int factor) {
    const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)crc),
                                                 _mm_cvtsi32_si128(factor), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

// The register after three neighbouring streams of `stream` bytes.
static inline __attribute__((always_inline)) uint64_t three_streams(uint64_t crc, const uint8_t *bytes,
                                                                    size_t stream, int one, int two) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < stream; i += 8) {
        a = _mm_crc32_u64(a, load_u64(bytes + i));
        b = _mm_crc32_u64(b, load_u64(bytes + stream + i));
        c = _mm_crc32_u64(c, load_u64(bytes + 2 * stream + i));
    }
    return c ^ _mm_crc32_u64(0, shifted(a, two) ^ shifted(b, one));
}

uint32_t ck_crc32c_sse42_register(uint32_t start, const uint8_t *bytes, size_t count) {
    uint64_t crc = start;
    for (; count >= 3 * LONG_STREAM; count -= 3 * LONG_STREAM, bytes += 3 * LONG_STREAM) {
        crc = three_streams(crc, bytes, LONG_STREAM, LONG_ONE, LONG_TWO);
    }
    for (; count >= 3 * SHORT_STREAM; count -= 3 * SHORT_STREAM, bytes += 3 * SHORT_STREAM) {
        crc = three_streams(crc, bytes, SHORT_STREAM, SHORT_ONE, SHORT_TWO);
    }
    for (; count >= 8; count -= 8, bytes += 8) crc = _mm_crc32_u64(crc, load_u64(bytes));
    for (; count > 0; count--, bytes++) crc = _mm_crc32_u8((uint32_t)crc, *bytes);
    return (uint32_t)crc;
}

#pragma clang attribute pop

#endif
