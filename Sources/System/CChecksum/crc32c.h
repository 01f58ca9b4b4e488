// Forms of the inner loop of CRC-32C. They take and give the register itself, without initial value and final xor.
#pragma once

#include "checksum.h"

uint32_t ck_crc32c_table_register(uint32_t crc, const uint8_t *bytes, size_t count);

#if defined(__x86_64__)
// Needs SSE4.2 and PCLMULQDQ.
uint32_t ck_crc32c_sse42_register(uint32_t crc, const uint8_t *bytes, size_t count);
#endif
