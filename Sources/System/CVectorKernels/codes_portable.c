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

// What one bit of a plane adds or takes off, in units of the scale: 2^(bits - 2 - bit) steps.
static float level_of(struct vk_plane plane) {
    return vk_step(plane.bits) * (float)(1u << (plane.bits - 1 - plane.bit)) * 0.5f;
}

// The 16 values of one position: +-part[0] +- part[1] +- part[2] +- part[3], by the bits of the nibble.
static void position_values(const float *y, const float *scale, float level, float values[16]) {
    float part[4];
    for (int t = 0; t < 4; t++) part[t] = y[t] * scale[t] * level;
    float low[4], high[4];
    for (int n = 0; n < 4; n++) {
        low[n] = (n & 1 ? part[0] : -part[0]) + (n & 2 ? part[1] : -part[1]);
        high[n] = (n & 1 ? part[2] : -part[2]) + (n & 2 ? part[3] : -part[3]);
    }
    for (int n = 0; n < 16; n++) values[n] = low[n & 3] + high[n >> 2];
}

static float least_of(const float values[16]) {
    float least = values[0];
    for (int n = 1; n < 16; n++) least = values[n] < least ? values[n] : least;
    return least;
}

void vk_build_lut(const float *y, const struct vk_plane *planes, size_t plane_count, const float *scale, uint8_t *lut,
                  float *step, float *biases) {
    float values[VK_MAX_PLANES][VK_PLANE_DIMS / 4][16], least[VK_MAX_PLANES][VK_PLANE_DIMS / 4];
    float widest = 0, bias = 0;
    for (size_t p = 0; p < plane_count; p++) {
        const float level = level_of(planes[p]);
        const float *plane_y = y + planes[p].first_dim, *plane_scale = scale + planes[p].first_dim;
        for (size_t i = 0; i < VK_PLANE_DIMS / 4; i++) {
            position_values(plane_y + 4 * i, plane_scale + 4 * i, level, values[p][i]);
            least[p][i] = least_of(values[p][i]);
            // The signs of a position can all be turned: the range is twice the least value.
            widest = -2 * least[p][i] > widest ? -2 * least[p][i] : widest;
            bias += least[p][i];
        }
        biases[p] = bias;
    }
    const float unit = widest / 255 > 0 ? widest / 255 : 1;
    for (size_t p = 0; p < plane_count; p++) {
        // Positions 8 z + j and 8 z + 4 + j are the tables (z, 0, j) and (z, 1, j): tables lie in position order.
        for (size_t i = 0; i < VK_PLANE_DIMS / 4; i++) {
            uint8_t *table = lut + p * VK_LUT_PLANE_BYTES + 16 * i;
            for (int n = 0; n < 16; n++) {
                const float rounded = (values[p][i][n] - least[p][i]) / unit + 0.5f;
                table[n] = (uint8_t)(int)(rounded < 255 ? rounded : 255);
            }
        }
    }
    *step = unit;
}
