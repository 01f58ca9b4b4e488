// One row against 1...4 probes, with the lanes of the level that includes this file. Rows are read one at a time, in
// memory order: interleaved rows are several times slower from DRAM. `probe_count` is a constant wherever these are
// inlined.
#pragma once

VK_INLINE void dot_f16_row(const float *probes, const size_t probe_count, const uint16_t *row, size_t dim,
                           float *out, size_t out_stride) {
    struct lanes sums[4];
    for (size_t p = 0; p < probe_count; p++) sums[p] = zero_lanes();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        const struct lanes values = load_16_halves(row + i);
        for (size_t p = 0; p < probe_count; p++) {
            sums[p] = add_product(sums[p], load_16(probes + p * dim + i), values);
        }
    }
    if (i < dim) {
        const struct lanes values = load_8_halves(row + i);
        for (size_t p = 0; p < probe_count; p++) {
            sums[p] = add_product(sums[p], load_8(probes + p * dim + i), values);
        }
    }
    for (size_t p = 0; p < probe_count; p++) out[p * out_stride] = tree_sum(sums[p]);
}

VK_INLINE void dot_f32_row(const float *probes, const size_t probe_count, const float *row, size_t dim,
                           float *out, size_t out_stride) {
    struct lanes sums[4];
    for (size_t p = 0; p < probe_count; p++) sums[p] = zero_lanes();
    size_t i = 0;
    for (; i + 16 <= dim; i += 16) {
        const struct lanes values = load_16(row + i);
        for (size_t p = 0; p < probe_count; p++) {
            sums[p] = add_product(sums[p], load_16(probes + p * dim + i), values);
        }
    }
    if (i < dim) {
        const struct lanes values = load_8(row + i);
        for (size_t p = 0; p < probe_count; p++) {
            sums[p] = add_product(sums[p], load_8(probes + p * dim + i), values);
        }
    }
    for (size_t p = 0; p < probe_count; p++) out[p * out_stride] = tree_sum(sums[p]);
}

// Runs a row kernel over all rows, compiled once per number of probes; further arguments end
// with a comma.
#define VK_ROWS(row_kernel, probe_count, ...) \
    for (size_t r = 0; r < row_count; r++, rows += dim, out++) \
        row_kernel(probes, probe_count, __VA_ARGS__ rows, dim, out, out_stride)
#define VK_PROBES(row_kernel, ...) \
    switch (probe_count) { \
        case 1: VK_ROWS(row_kernel, 1, __VA_ARGS__); break; \
        case 2: VK_ROWS(row_kernel, 2, __VA_ARGS__); break; \
        case 3: VK_ROWS(row_kernel, 3, __VA_ARGS__); break; \
        case 4: VK_ROWS(row_kernel, 4, __VA_ARGS__); break; \
    }
