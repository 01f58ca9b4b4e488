// Code layout and look-up tables: one implementation for every level.
#include <string.h>

#include "kernels.h"

#pragma STDC FP_CONTRACT OFF

void vk_pack_codes(const uint8_t *const *row_codes, size_t rows, size_t plane_count, uint8_t *const *planes) {
    for (size_t first = 0; first < rows; first += VK_GROUP_ROWS) {
        const size_t present = rows - first < VK_GROUP_ROWS ? rows - first : VK_GROUP_ROWS;
        for (size_t p = 0; p < plane_count; p++) {
            uint8_t *group = planes[p] + first * VK_PLANE_BYTES;
            if (present < VK_GROUP_ROWS) memset(group, 0, VK_GROUP_BYTES);
            for (size_t v = 0; v < present; v++) {
                const uint8_t *code = row_codes[first + v] + p * VK_PLANE_BYTES;
                for (size_t z = 0; z < 4; z++) memcpy(group + 64 * z + 4 * v, code + 4 * z, 4);
            }
        }
    }
}

void vk_unpack_code(const uint8_t *const *planes, size_t plane_count, size_t row, uint8_t *code) {
    const size_t group = row / VK_GROUP_ROWS, v = row % VK_GROUP_ROWS;
    for (size_t p = 0; p < plane_count; p++) {
        const uint8_t *source = planes[p] + group * VK_GROUP_BYTES + 4 * v;
        for (size_t z = 0; z < 4; z++) memcpy(code + p * VK_PLANE_BYTES + 4 * z, source + 64 * z, 4);
    }
}

// Values of the 16 entries of position `i`, counted over all planes.
static void position_values(const float *y, const float *scale, size_t i, int bits, float values[16]) {
    if (bits == 2) {
        const float low = y[2 * i] * scale[2 * i], high = y[2 * i + 1] * scale[2 * i + 1];
        const float level[4] = {-VK_OUTER_LEVEL, -VK_INNER_LEVEL, VK_INNER_LEVEL, VK_OUTER_LEVEL};
        for (int n = 0; n < 16; n++) values[n] = low * level[n & 3] + high * level[n >> 2];
    } else {
        float part[4];
        for (int t = 0; t < 4; t++) part[t] = y[4 * i + t] * scale[4 * i + t] * VK_SIGN_LEVEL;
        for (int n = 0; n < 16; n++) {
            const float low = (n & 1 ? part[0] : -part[0]) + (n & 2 ? part[1] : -part[1]);
            const float high = (n & 4 ? part[2] : -part[2]) + (n & 8 ? part[3] : -part[3]);
            values[n] = low + high;
        }
    }
}

static float least_of(const float values[16]) {
    float least = values[0];
    for (int n = 1; n < 16; n++) least = values[n] < least ? values[n] : least;
    return least;
}

static float greatest_of(const float values[16]) {
    float greatest = values[0];
    for (int n = 1; n < 16; n++) greatest = values[n] > greatest ? values[n] : greatest;
    return greatest;
}

void vk_build_lut(const float *y, size_t dims, int bits, const float *scale, uint8_t *lut, float *step, float *bias) {
    const size_t positions = dims * (size_t)bits / 4;
    float widest = 0, sum_of_least = 0;
    for (size_t i = 0; i < positions; i++) {
        float values[16];
        position_values(y, scale, i, bits, values);
        const float least = least_of(values), range = greatest_of(values) - least;
        widest = range > widest ? range : widest;
        sum_of_least += least;
    }
    const float unit = widest / 255 > 0 ? widest / 255 : 1;
    for (size_t i = 0; i < positions; i++) {
        // Positions 8 z + j and 8 z + 4 + j are the tables (z, 0, j) and (z, 1, j): tables lie in position order.
        uint8_t *table = lut + 16 * i;
        float values[16];
        position_values(y, scale, i, bits, values);
        const float least = least_of(values);
        for (int n = 0; n < 16; n++) {
            const float rounded = (values[n] - least) / unit + 0.5f;
            table[n] = (uint8_t)(int)(rounded < 255 ? rounded : 255);
        }
    }
    *step = unit;
    *bias = sum_of_least;
}
