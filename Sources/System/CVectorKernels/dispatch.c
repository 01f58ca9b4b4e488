// Chooses the level and cuts blocks of inner products into pieces that stay in cache.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "kernels.h"

static _Atomic(const struct vk_kernels *) chosen = &vk_kernels_scalar;

static const struct vk_kernels *in_force(void) {
    return atomic_load_explicit(&chosen, memory_order_relaxed);
}

#if defined(__aarch64__)
static int has_dot_product(void) {
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#elif defined(__ARM_FEATURE_DOTPROD)
    return 1;
#else
    return 0;
#endif
}
#endif

const struct vk_kernels *vk_best_kernels(int level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const int has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi") &&
                         __builtin_cpu_supports("bmi2");
    const int has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
    if (level >= VK_LEVEL_AVX512 && has_avx512) return &vk_kernels_avx512;
    if (level >= VK_LEVEL_AVX2 && has_avx2) return &vk_kernels_avx2;
#elif defined(__aarch64__)
    if (level >= VK_LEVEL_NEON) return has_dot_product() ? &vk_kernels_neon_dotprod : &vk_kernels_neon;
#else
    (void)level;
#endif
    return &vk_kernels_scalar;
}

int vk_level(void) {
    return in_force()->level;
}

int vk_set_level(int level) {
    const struct vk_kernels *kernels = vk_best_kernels(level);
    atomic_store_explicit(&chosen, kernels, memory_order_relaxed);
    return kernels->level;
}

__attribute__((constructor)) static void choose_at_start(void) {
    int level = VK_LEVEL_AVX512;
    const char *name = getenv("MIEN_KERNEL_LEVEL");
    if (name && strcmp(name, "scalar") == 0) level = VK_LEVEL_SCALAR;
    if (name && strcmp(name, "neon") == 0) level = VK_LEVEL_NEON;
    if (name && strcmp(name, "avx2") == 0) level = VK_LEVEL_AVX2;
    vk_set_level(level);
}

void vk_encode(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
               const float *scale, uint8_t *codes, float *self_dot, float *code_dot) {
    in_force()->encode(y, rows, dims, planes, plane_count, scale, codes, self_dot, code_dot);
}

void vk_scan_codes(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count) {
    in_force()->scan_codes(batch, probes, probe_count);
}

// Rows of one piece: about 128 KiB, so that it stays in the second-level cache while every probe passes over it.
static size_t rows_per_piece(size_t row_bytes) {
    const size_t piece_bytes = 128 * 1024;
    return row_bytes > 0 && row_bytes < piece_bytes ? piece_bytes / row_bytes : 1;
}

#define VK_FOR_EACH_PIECE(kernel, row_bytes) \
    const struct vk_kernels *kernels = in_force(); \
    const size_t piece = probe_count > 4 ? rows_per_piece(row_bytes) : row_count; \
    for (size_t r = 0; r < row_count; r += piece) { \
        const size_t row_part = row_count - r < piece ? row_count - r : piece; \
        for (size_t p = 0; p < probe_count; p += 4) { \
            const size_t probe_part = probe_count - p < 4 ? probe_count - p : 4; \
            kernels->kernel(probes + p * dim, probe_part, rows + r * dim, row_part, dim, \
                            out + p * row_count + r, row_count); \
        } \
    }

void vk_dot_f16(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                float *out) {
    VK_FOR_EACH_PIECE(dot_f16, dim * sizeof(uint16_t))
}

void vk_dot_f32(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                float *out) {
    VK_FOR_EACH_PIECE(dot_f32, dim * sizeof(float))
}

void vk_dot_i8(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
               int32_t *out) {
    VK_FOR_EACH_PIECE(dot_i8, dim)
}

void vk_dot_f16_gather(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out) {
    in_force()->dot_f16_gather(probe, rows, n, dim, out);
}

void vk_dot_f32_gather(const float *probe, const float *const *rows, size_t n, size_t dim, float *out) {
    in_force()->dot_f32_gather(probe, rows, n, dim, out);
}

void vk_f32_to_f16(const float *in, size_t count, uint16_t *out) {
    in_force()->f32_to_f16(in, count, out);
}

void vk_f16_to_f32(const uint16_t *in, size_t count, float *out) {
    in_force()->f16_to_f32(in, count, out);
}
