// CRC-32C (Castagnoli; polynomial 0x1EDC6F41, reflected 0x82F63B78, initial value and final xor ~0).
#pragma once

#include <stddef.h>
#include <stdint.h>

// Continues a checksum: `crc` is the checksum of the bytes before (0 for none); returns that of all.
// `bytes` may be null when `count` is 0.
uint32_t ck_crc32c(uint32_t crc, const void *bytes, size_t count);

// The same by tables on every machine; for tests.
uint32_t ck_crc32c_portable(uint32_t crc, const void *bytes, size_t count);
