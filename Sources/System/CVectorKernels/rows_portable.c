// Row normalisation: one implementation for every level; memory is its limit.
#include <math.h>

#include "kernels.h"

#pragma STDC FP_CONTRACT OFF

static double sum_of_squares(const float *row, size_t dim) {
    double lane[16] = {0};
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        for (size_t l = 0; l < 16; l++) lane[l] += (double)row[i + l] * (double)row[i + l];
    }
    for (size_t l = 0; i + l < dim; l++) lane[l] += (double)row[i + l] * (double)row[i + l];
    for (size_t h = 8; h > 0; h /= 2) {
        for (size_t l = 0; l < h; l++) lane[l] += lane[l + h];
    }
    return lane[0];
}

void vk_normalise(float *rows, size_t row_count, size_t dim, uint8_t *status) {
    for (size_t r = 0; r < row_count; r++) {
        float *row = rows + r * dim;
        // Squares of finite floats do not overflow a double: the sum is finite exactly when the row is.
        const double sum = sum_of_squares(row, dim);
        const double norm = sqrt(sum);
        if (!isfinite(sum)) {
            status[r] = VK_ROW_NOT_FINITE;
        } else if (norm < 1e-6 || norm > 1e6) {
            status[r] = VK_ROW_BAD_NORM;
        } else {
            const double factor = 1 / norm;
            for (size_t i = 0; i < dim; i++) row[i] = (float)(row[i] * factor);
            status[r] = VK_ROW_OK;
        }
    }
}
