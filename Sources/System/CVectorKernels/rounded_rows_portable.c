// Rows rounded to int8, and the rows whose products may reach a similarity: one implementation for every level.
#include <float.h>
#include <math.h>

#include "kernels.h"

#pragma STDC FP_CONTRACT OFF

// Scales between these leave no product of two of them, and of 2^30, beyond the range of a float.
static const float least_magnitude = 0x1p-100f, greatest_magnitude = 0x1p40f;

// The greatest absolute value of a row; NaN counts as none.
static float magnitude_of(const float *row, size_t dim) {
    float lane[8] = {0};
    for (size_t i = 0; i < dim; i += 8) {
        for (size_t l = 0; l < 8; l++) {
            const float value = fabsf(row[i + l]);
            lane[l] = value > lane[l] ? value : lane[l];
        }
    }
    for (size_t h = 4; h > 0; h /= 2) {
        for (size_t l = 0; l < h; l++) lane[l] = lane[l + h] > lane[l] ? lane[l + h] : lane[l];
    }
    return lane[0];
}

static double sum_of(double lane[8]) {
    for (size_t h = 4; h > 0; h /= 2) {
        for (size_t l = 0; l < h; l++) lane[l] += lane[l + h];
    }
    return lane[0];
}

// A float that is not below a value computed in double with a relative error below 2^-24, as sums of squares here are.
static float not_below(double value) {
    const float above = (float)(value * (1 + 0x1p-20));
    return above > 0 && above < FLT_MIN ? FLT_MIN : above;
}

static struct vk_rounding round_row(const float *restrict row, size_t dim, int8_t *restrict rounded) {
    const float magnitude = magnitude_of(row, dim);
    const int is_scalable = magnitude >= least_magnitude && magnitude <= greatest_magnitude;
    const float scale = is_scalable ? magnitude / 127 : 0, inverse = is_scalable ? 1 / scale : 0;
    double squares[8] = {0}, errors[8] = {0};
    for (size_t i = 0; i < dim; i += 8) {
        float steps[8];
        for (size_t l = 0; l < 8; l++) {
            const float step = row[i + l] * inverse;
            // To the nearest integer: 1.5 * 2^23 leaves no bit below 1. Only NaN is not between -127 and 127.
            steps[l] = (step >= -127.5f && step <= 127.5f ? step : 0) + 0x1.8p23f - 0x1.8p23f;
        }
        for (size_t l = 0; l < 8; l++) rounded[i + l] = (int8_t)(int)steps[l];
        for (size_t l = 0; l < 8; l++) {
            // The product is exact: 24 bits times 7.
            const double value = row[i + l], error = value - (double)scale * (double)steps[l];
            errors[l] += error * error;
            squares[l] += value * value;
        }
    }
    const double error = sqrt(sum_of(errors)), norm = sqrt(sum_of(squares));
    const float norm_bound = not_below(norm + error);
    return (struct vk_rounding){
        .scale = scale,
        .error = not_below(error),
        .norm = norm_bound < 0x1p-60f ? 0x1p-60f : norm_bound,
    };
}

void vk_round_rows(const float *rows, size_t row_count, size_t dim, int8_t *rounded, float *scales, float *errors,
                   float *norms) {
    for (size_t r = 0; r < row_count; r++) {
        const struct vk_rounding rounding = round_row(rows + r * dim, dim, rounded + r * dim);
        scales[r] = rounding.scale;
        errors[r] = rounding.error;
        norms[r] = rounding.norm;
    }
}

struct vk_rounding vk_round_probe(const float *probe, size_t dim, int8_t *rounded) {
    struct vk_rounding rounding = round_row(probe, dim, rounded);
    // Roundings of a lane sum on the way of one product, and those of vk_reaching_rows with some to spare.
    const double roundings = (double)((dim + 15) / 16) + 4 + 16;
    rounding.error = not_below(rounding.error + roundings * 0x1p-24 * (1 + 0x1p-10) * rounding.norm);
    return rounding;
}

VK_INLINE float estimate_of(int32_t product, float scale, struct vk_rounding probe) {
    return (float)product * scale * probe.scale;
}

VK_INLINE float left_open(float error, float norm, struct vk_rounding probe) {
    return probe.norm * error + probe.error * norm;
}

VK_INLINE int reaches(int32_t product, float scale, float error, float norm, struct vk_rounding probe, float least) {
    return !(estimate_of(product, scale, probe) + left_open(error, norm, probe) < least);
}

struct vk_bounds vk_product_bounds(int32_t product, float scale, float error, float norm, struct vk_rounding probe) {
    const float estimate = estimate_of(product, scale, probe), bound = left_open(error, norm, probe);
    return (struct vk_bounds){.least = estimate - bound, .greatest = estimate + bound};
}

size_t vk_reaching_rows(const int32_t *products, size_t row_count, const float *scales, const float *errors,
                        const float *norms, struct vk_rounding probe, float least, uint32_t *reaching) {
    enum { BLOCK = 16 };
    size_t count = 0, r = 0;
    // Few rows reach: a block without any is passed over by one branch.
    for (; r + BLOCK <= row_count; r += BLOCK) {
        int any = 0;
        for (size_t l = r; l < r + BLOCK; l++) {
            any |= reaches(products[l], scales[l], errors[l], norms[l], probe, least);
        }
        if (!any) continue;
        for (size_t l = r; l < r + BLOCK; l++) {
            reaching[count] = (uint32_t)l;
            count += (size_t)reaches(products[l], scales[l], errors[l], norms[l], probe, least);
        }
    }
    for (; r < row_count; r++) {
        reaching[count] = (uint32_t)r;
        count += (size_t)reaches(products[r], scales[r], errors[r], norms[r], probe, least);
    }
    return count;
}
