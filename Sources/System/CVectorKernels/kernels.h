// The table of kernels of one level, and what the levels share. Shapes are in include/vector_kernels.h.
#pragma once

#include "vector_kernels.h"

// For bodies that are compiled once per number of probes.
#define VK_INLINE static inline __attribute__((always_inline))

// How far ahead a gather fetches the first line of a row, and the whole of it.
enum { VK_GATHER_TOUCH = 32, VK_GATHER_AHEAD = 4 };

struct vk_kernels {
    int level;
    void (*encode)(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                   const float *scale, uint8_t *codes, float *self_dot, float *code_dot);
    void (*scan_codes)(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count);
    // Blocks of 1...4 probes; row r of probe p goes to out[p * out_stride + r].
    void (*dot_f16)(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                    float *out, size_t out_stride);
    void (*dot_f32)(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                    float *out, size_t out_stride);
    void (*dot_i8)(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                   int32_t *out, size_t out_stride);
    void (*dot_f16_gather)(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out);
    void (*dot_f32_gather)(const float *probe, const float *const *rows, size_t n, size_t dim, float *out);
    void (*f32_to_f16)(const float *in, size_t count, uint16_t *out);
    void (*f16_to_f32)(const uint16_t *in, size_t count, float *out);
};

extern const struct vk_kernels vk_kernels_scalar;
#if defined(__x86_64__)
extern const struct vk_kernels vk_kernels_avx2;
extern const struct vk_kernels vk_kernels_avx512;
#elif defined(__aarch64__)
extern const struct vk_kernels vk_kernels_neon;
extern const struct vk_kernels vk_kernels_neon_dotprod;
#endif

// The best kernels of this CPU up to `level`.
const struct vk_kernels *vk_best_kernels(int level);

// The unit of a dimension of `bits` bits whose scale is 1.
VK_INLINE float vk_step(unsigned bits) {
    return bits == 1 ? 1.596f : bits == 2 ? 0.9957f : bits == 3 ? 0.586f : 0.3352f;
}

// Bytes of the planes of a segment in one row-major code, by bit; `first` is the plane of bit 0.
VK_INLINE void vk_planes_of_segment(const struct vk_plane *planes, size_t plane_count, size_t first, uint8_t *code,
                                    uint8_t *by_bit[4]) {
    for (size_t p = first; p < plane_count; p++) {
        if (planes[p].first_dim == planes[first].first_dim) by_bit[planes[p].bit] = code + p * VK_PLANE_BYTES;
    }
}

// One value in scalar code, for the portable level and for the tails of the others.
float vk_scalar_f16_to_f32(uint16_t half);
uint16_t vk_scalar_f32_to_f16(float value);

VK_INLINE float vk_float_of(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

VK_INLINE uint32_t vk_bits_of(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

// The factor of a record as a float.
VK_INLINE float vk_factor(uint16_t half) {
    return vk_float_of(((uint32_t)half << 13) + ((uint32_t)(127 - 15) << 23));
}

// Prefetches `bytes` from `base` on, line by line; the range need not exist.
VK_INLINE void vk_prefetch(const void *base, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const void *)((uintptr_t)base + i), 0, 3);
}

// The same, into the second cache. A processor waits for few lines of its first cache at a time, and a line asked for
// there keeps such a place for as long as memory takes.
VK_INLINE void vk_prefetch_l2(const void *base, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const void *)((uintptr_t)base + i), 0, 2);
}

// Runs a statement for each of `n` scattered rows, fetched in time. Each row lies on a page of its own: its first line
// is fetched long before its turn, so that the page's translation is at hand when the rest is fetched.
#define VK_GATHER(row_bytes, statement) \
    for (size_t r = 0; r < n && r < VK_GATHER_TOUCH; r++) vk_prefetch(rows[r], 1); \
    for (size_t r = 0; r < n; r++) { \
        if (r + VK_GATHER_TOUCH < n) vk_prefetch(rows[r + VK_GATHER_TOUCH], 1); \
        if (r + VK_GATHER_AHEAD < n) vk_prefetch(rows[r + VK_GATHER_AHEAD], row_bytes); \
        statement; \
    }
