#include <math.h>

#include "kernels_scalar.h"

#pragma STDC FP_CONTRACT OFF

static float dot_f16(const float *probe, const uint16_t *row, size_t dim) {
    float lane[16] = {0};
    for (size_t i = 0; i < dim; i += 16) {
        for (size_t l = 0; l < 16; l++) {
            const int present = i + l < dim;
            lane[l] = fmaf(present ? probe[i + l] : 0, present ? vk_scalar_f16_to_f32(row[i + l]) : 0, lane[l]);
        }
    }
    return vk_tree_sum(lane);
}

static float dot_f32(const float *probe, const float *row, size_t dim) {
    float lane[16] = {0};
    for (size_t i = 0; i < dim; i += 16) {
        for (size_t l = 0; l < 16; l++) {
            const int present = i + l < dim;
            lane[l] = fmaf(present ? probe[i + l] : 0, present ? row[i + l] : 0, lane[l]);
        }
    }
    return vk_tree_sum(lane);
}

void vk_dot_f16_scalar(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride) {
    for (size_t r = 0; r < row_count; r++) {
        for (size_t p = 0; p < probe_count; p++) {
            out[p * out_stride + r] = dot_f16(probes + p * dim, rows + r * dim, dim);
        }
    }
}

void vk_dot_f32_scalar(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                       float *out, size_t out_stride) {
    for (size_t r = 0; r < row_count; r++) {
        for (size_t p = 0; p < probe_count; p++) {
            out[p * out_stride + r] = dot_f32(probes + p * dim, rows + r * dim, dim);
        }
    }
}

void vk_dot_i8_scalar(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
                      int32_t *out, size_t out_stride) {
    for (size_t r = 0; r < row_count; r++) {
        for (size_t p = 0; p < probe_count; p++) {
            int32_t sum = 0;
            for (size_t d = 0; d < dim; d++) sum += probes[p * dim + d] * rows[r * dim + d];
            out[p * out_stride + r] = sum;
        }
    }
}

void vk_dot_f16_gather_scalar(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(uint16_t), out[r] = dot_f16(probe, rows[r], dim))
}

void vk_dot_f32_gather_scalar(const float *probe, const float *const *rows, size_t n, size_t dim, float *out) {
    VK_GATHER(dim * sizeof(float), out[r] = dot_f32(probe, rows[r], dim))
}
