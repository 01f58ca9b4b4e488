// The portable level: it defines what the others must give.
#pragma once

#include "kernels.h"

void vk_encode_scalar(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
                      const float *scale, uint8_t *codes, float *self_dot, float *code_dot);
void vk_scan_codes_scalar(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count);
void vk_dot_f16_scalar(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride);
void vk_dot_f32_scalar(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride);
void vk_dot_i8_scalar(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                      int32_t *out, size_t out_stride);
void vk_dot_f16_gather_scalar(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out);
void vk_dot_f32_gather_scalar(const float *probe, const float *const *rows, size_t n, size_t dim, float *out);
void vk_f32_to_f16_scalar(const float *in, size_t count, uint16_t *out);
void vk_f16_to_f32_scalar(const uint16_t *in, size_t count, float *out);

// Last step of a lane sum.
static inline float vk_tree_sum(float lane[16]) {
    for (int h = 8; h > 0; h /= 2) {
        for (int l = 0; l < h; l++) lane[l] += lane[l + h];
    }
    return lane[0];
}
