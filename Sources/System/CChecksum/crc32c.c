// Chooses the form of CRC-32C for this CPU.
#include "crc32c.h"

uint32_t ck_crc32c_portable(uint32_t crc, const void *bytes, size_t count) {
    return ~ck_crc32c_table_register(~crc, bytes, count);
}

#if defined(__x86_64__)

static int has_sse42;

__attribute__((constructor)) static void choose_at_start(void) {
    __builtin_cpu_init();
    has_sse42 = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

uint32_t ck_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return has_sse42 ? ~ck_crc32c_sse42_register(~crc, bytes, count) : ck_crc32c_portable(crc, bytes, count);
}

#else

uint32_t ck_crc32c(uint32_t crc, const void *bytes, size_t count) {
    return ck_crc32c_portable(crc, bytes, count);
}

#endif
