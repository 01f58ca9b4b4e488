// Code layout and look-up tables: one implementation for every level.
#include <string.h>

#include "kernels.h"

#pragma STDC FP_CONTRACT OFF

void vk_pack_codes(const uint8_t *const *row_codes, const uint32_t *row_ids, const uint16_t *factors, size_t rows,
                   size_t plane_count, uint8_t *const *heads, uint8_t *records) {
    const size_t head_count = vk_head_count(plane_count), record_bytes = vk_record_bytes(plane_count);
    const size_t head_bytes = VK_PLANE_BYTES * head_count, tail_bytes = VK_PLANE_BYTES * vk_tail_count(plane_count);
    const size_t slots = (rows + VK_GROUP_ROWS - 1) / VK_GROUP_ROWS * VK_GROUP_ROWS;
    for (size_t p = 0; p < head_count && slots > 0; p++) memset(heads[p], 0, VK_PLANE_BYTES * slots);
    for (size_t slot = 0; slot < slots; slot++, records += record_bytes) {
        memset(records, 0, record_bytes);
        uint32_t row_id = VK_ABSENT_ROW;
        if (slot < rows) {
            for (size_t p = 0; p < head_count; p++) {
                uint8_t *group = heads[p] + slot / VK_GROUP_ROWS * VK_GROUP_BYTES + 4 * (slot % VK_GROUP_ROWS);
                const uint8_t *plane = row_codes[slot] + p * VK_PLANE_BYTES;
                for (size_t z = 0; z < 4; z++) memcpy(group + 64 * z, plane + 4 * z, 4);
            }
            memcpy(records, row_codes[slot] + head_bytes, tail_bytes);
            memcpy(records + tail_bytes + VK_RECORD_FACTOR, factors + slot, sizeof *factors);
            row_id = row_ids[slot];
        }
        memcpy(records + tail_bytes + VK_RECORD_ROW_ID, &row_id, sizeof row_id);
    }
}

void vk_unpack_code(const uint8_t *const *heads, const uint8_t *records, size_t plane_count, size_t slot,
                    uint8_t *code) {
    const size_t head_count = vk_head_count(plane_count);
    for (size_t p = 0; p < head_count; p++) {
        const uint8_t *source = heads[p] + slot / VK_GROUP_ROWS * VK_GROUP_BYTES + 4 * (slot % VK_GROUP_ROWS);
        for (size_t z = 0; z < 4; z++) memcpy(code + p * VK_PLANE_BYTES + 4 * z, source + 64 * z, 4);
    }
    memcpy(code + VK_PLANE_BYTES * head_count, records + slot * vk_record_bytes(plane_count),
           VK_PLANE_BYTES * vk_tail_count(plane_count));
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

// Dimension of each bit of a plane: byte 4 z + j has position 8 z + j low and position 8 z + 4 + j high.
static size_t dimension_of_bit(size_t bit) {
    const size_t byte = bit / 8, position = 8 * (byte / 4) + 4 * (bit % 8 / 4) + byte % 4;
    return 4 * position + bit % 4;
}

struct vk_estimator vk_build_lut(const float *y, const struct vk_plane *planes, size_t plane_count,
                                 const float *scale, uint8_t *lut, int8_t *weights) {
    const size_t head_count = vk_head_count(plane_count);
    float values[VK_HEAD_PLANES][VK_PLANE_DIMS / 4][16], least[VK_HEAD_PLANES][VK_PLANE_DIMS / 4];
    float gains[VK_MAX_PLANES][VK_PLANE_DIMS];
    float widest = 0, greatest_gain = 0, head_bias = 0;
    for (size_t p = 0; p < head_count; p++) {
        const float level = level_of(planes[p]);
        const float *plane_y = y + planes[p].first_dim, *plane_scale = scale + planes[p].first_dim;
        for (size_t i = 0; i < VK_PLANE_DIMS / 4; i++) {
            position_values(plane_y + 4 * i, plane_scale + 4 * i, level, values[p][i]);
            least[p][i] = least_of(values[p][i]);
            // The signs of a position can all be turned: the range is twice the least value.
            widest = -2 * least[p][i] > widest ? -2 * least[p][i] : widest;
            head_bias += least[p][i];
        }
    }
    float bias = head_bias;
    for (size_t p = head_count; p < plane_count; p++) {
        const float level = level_of(planes[p]);
        for (size_t d = 0; d < VK_PLANE_DIMS; d++) {
            const float part = y[planes[p].first_dim + d] * scale[planes[p].first_dim + d] * level;
            const float gain = 2 * part, size = gain < 0 ? -gain : gain;
            gains[p][d] = gain;
            greatest_gain = size > greatest_gain ? size : greatest_gain;
            bias -= part;
        }
    }
    float step = widest / 255 > greatest_gain / 127 ? widest / 255 : greatest_gain / 127;
    step = step > 0 ? step : 1;
    for (size_t p = 0; p < head_count; p++) {
        // Positions 8 z + j and 8 z + 4 + j are the tables (z, 0, j) and (z, 1, j): tables lie in position order.
        for (size_t i = 0; i < VK_PLANE_DIMS / 4; i++) {
            uint8_t *table = lut + p * VK_LUT_PLANE_BYTES + 16 * i;
            for (int n = 0; n < 16; n++) {
                const float rounded = (values[p][i][n] - least[p][i]) / step + 0.5f;
                table[n] = (uint8_t)(int)(rounded < 255 ? rounded : 255);
            }
        }
    }
    for (size_t p = head_count; p < plane_count; p++) {
        int8_t *plane_weights = weights + (p - head_count) * VK_PLANE_DIMS;
        for (size_t bit = 0; bit < VK_PLANE_DIMS; bit++) {
            const float exact = gains[p][dimension_of_bit(bit)] / step;
            const int rounded = (int)(exact < 0 ? exact - 0.5f : exact + 0.5f);
            plane_weights[bit] = (int8_t)(rounded > 127 ? 127 : rounded < -127 ? -127 : rounded);
        }
    }
    return (struct vk_estimator){step, head_bias, bias};
}
