#pragma once

#include <arm_neon.h>

#include "kernels.h"

// NEON is there on every arm64 CPU, its dot product is not: dispatch.c asks for that.
#define VK_TARGET_NEON_DOTPROD __attribute__((target("dotprod")))

void vk_encode_neon(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                    const float *scale, uint8_t *codes, float *self_dot, float *code_dot);
void vk_scan_codes_neon(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count);
void vk_scan_codes_neon_dotprod(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count);
void vk_dot_f16_neon(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                     float *out, size_t out_stride);
void vk_dot_f32_neon(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                     float *out, size_t out_stride);
void vk_dot_i8_neon(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                    int32_t *out, size_t out_stride);
void vk_dot_i8_neon_dotprod(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count,
                            size_t dim, int32_t *out, size_t out_stride);
void vk_dot_f16_gather_neon(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out);
void vk_dot_f32_gather_neon(const float *probe, const float *const *rows, size_t n, size_t dim, float *out);
void vk_f32_to_f16_neon(const float *in, size_t count, uint16_t *out);
void vk_f16_to_f32_neon(const uint16_t *in, size_t count, float *out);
