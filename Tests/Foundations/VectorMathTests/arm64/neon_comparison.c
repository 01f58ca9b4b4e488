// Compares every NEON kernel with its scalar twin, bit by bit, on random and hostile input. deploy/test-arm64 runs it.
//
//   neon_comparison neon|neon-dotprod     the kernels that this CPU must be given
//
// Prints how many comparisons held. MIEN_TEST_SEED repeats a failure or varies the random cases. With
// MIEN_KERNEL_LEVEL only the choice of a level is checked.
#include <math.h>
#include <stdarg.h>

#include "guarded_memory.h"
#include "kernels.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static uint64_t seed, state;
static size_t comparison_count, failure_count;
static const char *tested;  // name of the kernels under test

// SplitMix64.
static uint64_t random_bits(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static size_t random_below(size_t bound) {
    return (size_t)(random_bits() % bound);
}

// -limit ..< limit.
static float random_float(float limit) {
    return ((float)(random_bits() >> 40) * 0x1p-23f - 1) * limit;
}

// How the floats of a case are drawn.
enum { VALUES_PLAIN, VALUES_TINY, VALUES_HOSTILE, VALUES_KINDS };

static float value_of_kind(int kind) {
    static const float hostile[] = {0.0f, -0.0f, 0x1p-149f, -0x1p-126f, 3e38f, -3e38f, INFINITY, -INFINITY, 1, -1};
    if (kind == VALUES_TINY) return random_float(1) * 0x1p-70f;
    if (kind == VALUES_HOSTILE && random_below(16) == 0) return hostile[random_below(COUNT_OF(hostile))];
    return random_float(1);
}

static uint16_t half_of_kind(int kind) {
    return kind == VALUES_HOSTILE && random_below(16) == 0 ? (uint16_t)random_bits()
                                                           : vk_scalar_f32_to_f16(value_of_kind(kind));
}

// Counts one comparison; what failed is named with its shape.
__attribute__((format(printf, 3, 4))) static void expect(int holds, const char *what, const char *shape, ...) {
    comparison_count++;
    if (holds || failure_count++ >= 20) return;
    fprintf(stderr, "%s: %s, ", tested, what);
    va_list arguments;
    va_start(arguments, shape);
    vfprintf(stderr, shape, arguments);
    va_end(arguments);
    fprintf(stderr, ", seed %llu\n", (unsigned long long)seed);
}

static int equal(const void *a, const void *b, size_t byte_count) {
    return byte_count == 0 || memcmp(a, b, byte_count) == 0;
}

// Bits, except that any NaN equals any other: which of two NaNs goes through a sum is not stated.
static int equal_floats(const float *a, const float *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (vk_bits_of(a[i]) != vk_bits_of(b[i]) && !(isnan(a[i]) && isnan(b[i]))) return 0;
    }
    return 1;
}

// An unaligned place for elements of `size` bytes, or the very end of the memory.
static void *elements(size_t count, size_t size) {
    return guarded_memory(count * size, random_below(3) == 0 ? 0 : size * random_below(64 / size));
}

// MARK: Scan of codes

enum { SCAN_OPEN, SCAN_WHOLE_ONLY, SCAN_HEADS_ONLY, SCAN_BOTH, SCAN_EXTREME, SCAN_KINDS };
enum { TABLES_RANDOM, TABLES_FULL, TABLES_EMPTY, TABLES_KINDS };

static size_t group_count_of(const struct vk_code_batch *batch) {
    size_t count = 0;
    for (size_t b = 0; b < batch->block_count; b++) count += batch->blocks[b].group_count;
    return count;
}

// Scans with fresh places for what is found.
static void scan(const struct vk_kernels *kernels, const struct vk_code_batch *batch, struct vk_scan_probe *probes,
                 size_t probe_count) {
    for (size_t probe = 0; probe < probe_count; probe++) {
        probes[probe].row_ids = elements(group_count_of(batch) * VK_GROUP_ROWS, sizeof(uint32_t));
        probes[probe].estimates = elements(group_count_of(batch) * VK_GROUP_ROWS, sizeof(float));
        probes[probe].count = SIZE_MAX;
    }
    kernels->scan_codes(batch, probes, probe_count);
}

// Of a batch whose blocks lie one behind the other.
static int32_t head_sum(const struct vk_code_batch *batch, const uint8_t *lut, size_t slot) {
    int32_t sum = 0;
    for (size_t p = 0; p < vk_head_count(batch->plane_count); p++) {
        const uint8_t *group =
            batch->blocks[0].heads[p] + slot / VK_GROUP_ROWS * VK_GROUP_BYTES + 4 * (slot % VK_GROUP_ROWS);
        for (size_t z = 0; z < 4; z++) {
            for (size_t j = 0; j < 4; j++) {
                const uint8_t byte = group[64 * z + j], *tables = lut + p * VK_LUT_PLANE_BYTES;
                sum += tables[(8 * z + j) * 16 + (byte & 15)] + tables[(8 * z + 4 + j) * 16 + (byte >> 4)];
            }
        }
    }
    return sum;
}

// Thresholds that some slots meet exactly, or nearly.
static void set_thresholds(const struct vk_code_batch *batch, struct vk_scan_probe *probe, int kind) {
    static const int32_t extremes[] = {INT32_MIN, -1, 0, 0xfffe, 0xffff, 0x10000, INT32_MAX};
    probe->head_threshold = -1;
    probe->least_estimate = -INFINITY;
    if (kind == SCAN_EXTREME) {
        probe->head_threshold = extremes[random_below(COUNT_OF(extremes))];
        probe->least_estimate = random_bits() & 1 ? INFINITY : -INFINITY;
    }
    if (group_count_of(batch) == 0) return;
    if (kind == SCAN_HEADS_ONLY || kind == SCAN_BOTH) {
        const size_t slot = random_below(group_count_of(batch) * VK_GROUP_ROWS);
        probe->head_threshold = head_sum(batch, probe->lut, slot) - (int32_t)random_below(2);
    }
    if (kind == SCAN_WHOLE_ONLY || kind == SCAN_BOTH) {
        struct vk_scan_probe open = *probe;
        open.head_threshold = -1;
        scan(&vk_kernels_scalar, batch, &open, 1);
        probe->least_estimate = open.count > 0 ? open.estimates[random_below(open.count)] : 0;
    }
}

static void compare_scan(const struct vk_kernels *kernels, size_t plane_count, size_t probe_count, size_t group_count,
                         int kind, int table_kind) {
    const size_t head_count = vk_head_count(plane_count), tail_count = vk_tail_count(plane_count);
    const size_t record_bytes = vk_record_bytes(plane_count), slot_count = group_count * VK_GROUP_ROWS;
    struct vk_code_block whole = {.group_count = group_count};
    for (size_t p = 0; p < head_count; p++) {
        uint8_t *head = elements(group_count * VK_GROUP_BYTES, 1);
        for (size_t i = 0; i < group_count * VK_GROUP_BYTES; i++) head[i] = (uint8_t)random_bits();
        whole.heads[p] = head;
    }
    uint8_t *records = elements(slot_count * record_bytes, 1);
    for (size_t i = 0; i < slot_count * record_bytes; i++) records[i] = (uint8_t)random_bits();
    for (size_t slot = 0; slot < slot_count; slot++) {
        uint8_t *fields = records + slot * record_bytes + tail_count * VK_PLANE_BYTES;
        const uint16_t factor = vk_scalar_f32_to_f16(1 + 0.4f * fabsf(random_float(1)));
        memcpy(fields + VK_RECORD_FACTOR, &factor, sizeof factor);
        if (random_below(8) == 0) memset(fields + VK_RECORD_ROW_ID, 0xff, 4);
    }
    whole.records = records;
    // In pieces of any length, with or without something behind them.
    struct vk_code_block blocks[VK_MAX_SCAN_GROUPS + 1] = {whole};
    struct vk_code_batch batch = {.blocks = blocks, .plane_count = plane_count};
    for (size_t group = 0; group < group_count; batch.block_count++) {
        struct vk_code_block *block = &blocks[batch.block_count];
        block->group_count = 1 + random_below(group_count - group);
        block->records = records + group * VK_GROUP_ROWS * record_bytes;
        for (size_t p = 0; p < head_count; p++) block->heads[p] = whole.heads[p] + group * VK_GROUP_BYTES;
        group += block->group_count;
    }
    if (random_bits() & 1) batch.next = &whole;
    struct vk_scan_probe expected[VK_MAX_SCAN_PROBES], found[VK_MAX_SCAN_PROBES];
    for (size_t probe = 0; probe < probe_count; probe++) {
        uint8_t *lut = elements(head_count * VK_LUT_PLANE_BYTES, 1);
        int8_t *weights = elements(tail_count * VK_PLANE_DIMS, 1);
        const int8_t end = random_bits() & 1 ? 127 : -127;
        for (size_t i = 0; i < head_count * VK_LUT_PLANE_BYTES; i++) {
            lut[i] = table_kind == TABLES_FULL ? 255 : table_kind == TABLES_EMPTY ? 0 : (uint8_t)random_bits();
        }
        for (size_t i = 0; i < tail_count * VK_PLANE_DIMS; i++) {
            const int8_t weight = (int8_t)((int)random_below(255) - 127);
            weights[i] = table_kind == TABLES_FULL ? end : table_kind == TABLES_EMPTY ? 0 : weight;
        }
        expected[probe] = (struct vk_scan_probe){
            .lut = lut,
            .weights = weights,
            .estimator = {.step = 0.001f + fabsf(random_float(0.01f)), .bias = random_float(1)},
            .mean_term = random_float(0.1f),
        };
        set_thresholds(&batch, &expected[probe], kind);
        found[probe] = expected[probe];
    }
    scan(&vk_kernels_scalar, &batch, expected, probe_count);
    scan(kernels, &batch, found, probe_count);
    int same = 1;
    for (size_t probe = 0; probe < probe_count; probe++) {
        const size_t count = expected[probe].count;
        same = same && found[probe].count == count &&
               equal(found[probe].row_ids, expected[probe].row_ids, count * sizeof(uint32_t)) &&
               equal(found[probe].estimates, expected[probe].estimates, count * sizeof(float));
    }
    same &= release_guarded_memory();
    expect(same, "scan_codes", "%zu planes, %zu probes, %zu groups, thresholds %d, tables %d", plane_count,
           probe_count, group_count, kind, table_kind);
}

static void compare_scans(const struct vk_kernels *kernels) {
    static const size_t group_counts[] = {0, 1, 2, 9, 64};
    for (size_t plane_count = 1; plane_count <= VK_MAX_PLANES; plane_count++) {
        for (size_t probe_count = 1; probe_count <= VK_MAX_SCAN_PROBES; probe_count++) {
            for (size_t n = 0; n < COUNT_OF(group_counts); n++) {
                for (int kind = 0; kind < SCAN_KINDS; kind++) {
                    compare_scan(kernels, plane_count, probe_count, group_counts[n], kind, TABLES_RANDOM);
                    if (group_counts[n] > 9) continue;
                    compare_scan(kernels, plane_count, probe_count, group_counts[n], kind, TABLES_FULL);
                    compare_scan(kernels, plane_count, probe_count, group_counts[n], kind, TABLES_EMPTY);
                }
            }
        }
    }
}

// MARK: Inner products

static const size_t dims[] = {0, 8, 16, 24, 32, 40, 56, 64, 72, 128, 136, 248, 512, 520, 2048};
static const size_t row_counts[] = {0, 1, 2, 5, 9};

// Blocks of rows. What lies between the products of two probes must stay as it is, so all of `out` is compared.
#define COMPARE_DOT(kernel, probe_type, draw_probe, row_type, draw_row, out_type, same) \
    { \
        const size_t stride = row_count + random_below(3), out_count = probe_count * stride; \
        probe_type *probes = elements(probe_count * dim, sizeof(probe_type)); \
        row_type *rows = elements(row_count * dim, sizeof(row_type)); \
        for (size_t i = 0; i < probe_count * dim; i++) probes[i] = draw_probe; \
        for (size_t i = 0; i < row_count * dim; i++) rows[i] = draw_row; \
        out_type *expected = elements(out_count, sizeof(out_type)), *found = elements(out_count, sizeof(out_type)); \
        vk_kernels_scalar.kernel(probes, probe_count, rows, row_count, dim, expected, stride); \
        kernels->kernel(probes, probe_count, rows, row_count, dim, found, stride); \
        const int holds = (same) & release_guarded_memory(); \
        expect(holds, #kernel, "dim %zu, %zu probes, %zu rows, values %d", dim, probe_count, row_count, kind); \
    }
#define SAME_FLOATS equal_floats(expected, found, out_count)
#define SAME_BYTES equal(expected, found, out_count * sizeof *found)

// Scattered rows, each in memory of its own.
#define COMPARE_GATHER(kernel, row_type, draw_row) \
    { \
        float *probe = elements(dim, sizeof(float)); \
        const row_type **rows = elements(row_count, sizeof(row_type *)); \
        for (size_t i = 0; i < dim; i++) probe[i] = value_of_kind(kind); \
        for (size_t r = 0; r < row_count; r++) { \
            row_type *row = elements(dim, sizeof(row_type)); \
            for (size_t i = 0; i < dim; i++) row[i] = draw_row; \
            rows[r] = row; \
        } \
        float *expected = elements(row_count, sizeof(float)), *found = elements(row_count, sizeof(float)); \
        vk_kernels_scalar.kernel(probe, rows, row_count, dim, expected); \
        kernels->kernel(probe, rows, row_count, dim, found); \
        const int holds = equal_floats(expected, found, row_count) & release_guarded_memory(); \
        expect(holds, #kernel, "dim %zu, %zu rows, values %d", dim, row_count, kind); \
    }

// Of kind 0 any byte, of kind 1 the one whose square is the largest, of kind 2 both ends.
static int8_t byte_of_kind(int kind) {
    return (int8_t)(kind == 0 ? random_bits() : kind == 1 || random_below(2) == 0 ? 0x80 : 0x7f);
}

static void compare_inner_products(const struct vk_kernels *kernels) {
    for (size_t d = 0; d < COUNT_OF(dims); d++) {
        const size_t dim = dims[d];
        for (size_t n = 0; n < COUNT_OF(row_counts); n++) {
            const size_t row_count = row_counts[n];
            for (int kind = 0; kind < VALUES_KINDS; kind++) {
                for (size_t probe_count = 1; probe_count <= 4; probe_count++) {
                    COMPARE_DOT(dot_f16, float, value_of_kind(kind), uint16_t, half_of_kind(kind), float, SAME_FLOATS)
                    COMPARE_DOT(dot_f32, float, value_of_kind(kind), float, value_of_kind(kind), float, SAME_FLOATS)
                    COMPARE_DOT(dot_i8, int8_t, byte_of_kind(kind), int8_t, byte_of_kind(kind), int32_t, SAME_BYTES)
                }
                COMPARE_GATHER(dot_f16_gather, uint16_t, half_of_kind(kind))
                COMPARE_GATHER(dot_f32_gather, float, value_of_kind(kind))
            }
        }
    }
    // The largest sum there is.
    const size_t dim = 65536, row_count = 1, probe_count = 1;
    const int kind = 1;
    COMPARE_DOT(dot_i8, int8_t, byte_of_kind(kind), int8_t, byte_of_kind(kind), int32_t, SAME_BYTES)
}

// MARK: Encoding

enum { MAX_SEGMENTS = 8 };

// Plain values, so that sums keep their last places, or hostile ones among them.
static float value_to_encode(float unit, int kind) {
    if (kind == VALUES_PLAIN) return random_float(4);
    switch (random_below(12)) {
        case 0: return 0.0f;
        case 1: return -0.0f;
        case 2: return random_bits() & 1 ? 1e30f : -1e30f;
        case 3: return 0x1p-140f;
        // On a decision threshold itself.
        case 4: return unit * (float)((int)random_below(17) - 8);
        default: return random_float(4);
    }
}

// Planes of segments of the given bits, in a random one of the orders that are allowed.
static size_t plan(const unsigned *bits, size_t segment_count, struct vk_plane *planes) {
    unsigned next[MAX_SEGMENTS] = {0};
    size_t total = 0, plane_count = 0;
    for (size_t s = 0; s < segment_count; s++) total += bits[s];
    while (plane_count < total) {
        const size_t s = random_below(segment_count);
        if (next[s] == bits[s]) continue;
        planes[plane_count++] =
            (struct vk_plane){(uint32_t)(s * VK_PLANE_DIMS), (uint16_t)next[s], (uint16_t)bits[s]};
        next[s]++;
    }
    return plane_count;
}

static void compare_encode(const struct vk_kernels *kernels, const unsigned *bits, size_t segment_count,
                           size_t row_count, int kind) {
    struct vk_plane planes[VK_MAX_PLANES];
    const size_t plane_count = plan(bits, segment_count, planes), dim = segment_count * VK_PLANE_DIMS;
    float *scale = elements(dim, sizeof(float)), *y = elements(row_count * dim, sizeof(float));
    for (size_t d = 0; d < dim; d++) scale[d] = 0.01f + fabsf(random_float(2));
    for (size_t i = 0; i < row_count * dim; i++) {
        const unsigned b = bits[i % dim / VK_PLANE_DIMS];
        y[i] = value_to_encode(vk_step(b > 0 ? b : 1) * scale[i % dim], kind);
    }
    const size_t code_bytes = row_count * plane_count * VK_PLANE_BYTES;
    uint8_t *codes[2];
    float *self_dot[2], *code_dot[2];
    for (int n = 0; n < 2; n++) {
        codes[n] = elements(code_bytes, 1);
        self_dot[n] = elements(row_count, sizeof(float));
        code_dot[n] = elements(row_count, sizeof(float));
        const struct vk_kernels *level = n == 0 ? &vk_kernels_scalar : kernels;
        level->encode(y, row_count, dim, planes, plane_count, scale, codes[n], self_dot[n], code_dot[n]);
    }
    int same = equal(codes[0], codes[1], code_bytes) && equal_floats(self_dot[0], self_dot[1], row_count) &&
               equal_floats(code_dot[0], code_dot[1], row_count);
    same &= release_guarded_memory();
    expect(same, "encode", "%zu segments, %zu planes, %zu rows, first of %u bits, values %d", segment_count,
           plane_count, row_count, bits[0], kind);
}

static void compare_encodings(const struct vk_kernels *kernels) {
    static const unsigned plans[][MAX_SEGMENTS] = {
        {1}, {2}, {3}, {4}, {3, 1, 1}, {2, 2}, {0, 1}, {4, 3, 1}, {1, 1, 1, 1, 1, 1, 1, 1}, {2, 0, 4},
    };
    static const size_t segment_counts[] = {1, 1, 1, 1, 3, 2, 2, 3, 8, 3};
    for (size_t n = 0; n < COUNT_OF(plans); n++) {
        for (int repetition = 0; repetition < 4; repetition++) {
            for (size_t row_count = 0; row_count < 4; row_count++) {
                compare_encode(kernels, plans[n], segment_counts[n], row_count, VALUES_PLAIN);
                compare_encode(kernels, plans[n], segment_counts[n], row_count, VALUES_HOSTILE);
            }
        }
    }
}

// MARK: Float16

static void compare_to_half(const struct vk_kernels *kernels, const float *values, size_t count) {
    float *in = elements(count, sizeof(float));
    memcpy(in, values, count * sizeof(float));
    uint16_t *expected = elements(count, sizeof(uint16_t)), *found = elements(count, sizeof(uint16_t));
    vk_kernels_scalar.f32_to_f16(in, count, expected);
    kernels->f32_to_f16(in, count, found);
    int same = equal(expected, found, count * sizeof(uint16_t));
    same &= release_guarded_memory();
    expect(same, "f32_to_f16", "%zu values", count);
}

static void compare_from_half(const struct vk_kernels *kernels, size_t first, size_t count) {
    uint16_t *in = elements(count, sizeof(uint16_t));
    for (size_t i = 0; i < count; i++) in[i] = (uint16_t)(first + i);
    float *expected = elements(count, sizeof(float)), *found = elements(count, sizeof(float));
    vk_kernels_scalar.f16_to_f32(in, count, expected);
    kernels->f16_to_f32(in, count, found);
    int same = equal(expected, found, count * sizeof(float));
    same &= release_guarded_memory();
    expect(same, "f16_to_f32", "%zu values from %zu", count, first);
}

static void compare_conversions(const struct vk_kernels *kernels) {
    compare_from_half(kernels, 0, 65536);
    for (size_t count = 0; count <= 33; count++) compare_from_half(kernels, random_below(65536), count);

    // Around every half and every middle between two halves, and any bits at all.
    static float values[65536 * 6];
    size_t count = 0;
    for (uint32_t half = 0; half < 65536; half++) {
        const uint32_t bits = vk_bits_of(vk_scalar_f16_to_f32((uint16_t)half));
        for (uint32_t middle = 0; middle < 2; middle++) {
            for (uint32_t n = 0; n < 3; n++) values[count++] = vk_float_of(bits + middle * 0x1000 + n - 1);
        }
    }
    compare_to_half(kernels, values, count);
    for (int repetition = 0; repetition < 4; repetition++) {
        for (size_t i = 0; i < count; i++) values[i] = vk_float_of((uint32_t)random_bits());
        compare_to_half(kernels, values, count);
    }
    for (size_t tail = 0; tail <= 33; tail++) compare_to_half(kernels, values, tail);
}

// MARK: Dispatch

static void compare_dispatched(void) {
    enum { probe_count = 9, row_count = 301, dim = 256 };
    int8_t *probes = elements(probe_count * dim, 1), *rows = elements(row_count * dim, 1);
    for (size_t i = 0; i < probe_count * dim; i++) probes[i] = (int8_t)random_bits();
    for (size_t i = 0; i < row_count * dim; i++) rows[i] = (int8_t)random_bits();
    int32_t *expected = elements(probe_count * row_count, 4), *found = elements(probe_count * row_count, 4);
    vk_set_level(VK_LEVEL_SCALAR);
    vk_dot_i8(probes, probe_count, rows, row_count, dim, expected);
    vk_set_level(VK_LEVEL_NEON);
    vk_dot_i8(probes, probe_count, rows, row_count, dim, found);
    const int same = equal(expected, found, probe_count * row_count * sizeof *found) & release_guarded_memory();
    expect(same, "vk_dot_i8", "through dispatch");
}

static void check_levels(const struct vk_kernels *best) {
    const char *name = getenv("MIEN_KERNEL_LEVEL");
    const int at_start = name && strcmp(name, "scalar") == 0 ? VK_LEVEL_SCALAR : VK_LEVEL_NEON;
    expect(vk_level() == at_start, "level at start", "MIEN_KERNEL_LEVEL %s", name ? name : "unset");
    expect(vk_set_level(VK_LEVEL_SCALAR) == VK_LEVEL_SCALAR && vk_level() == VK_LEVEL_SCALAR, "level", "scalar");
    for (int level = VK_LEVEL_NEON; level <= VK_LEVEL_AVX512; level++) {
        expect(vk_set_level(level) == VK_LEVEL_NEON && vk_level() == VK_LEVEL_NEON, "level", "NEON and above");
        expect(vk_best_kernels(level) == best, "kernels of this CPU", "NEON and above");
    }
}

int main(int argument_count, char **arguments) {
    if (argument_count != 2) return 2;
    const char *seed_text = getenv("MIEN_TEST_SEED");
    seed = state = seed_text ? strtoull(seed_text, NULL, 10) : 20261123;
    const int has_dot_product = strcmp(arguments[1], "neon-dotprod") == 0;
    const struct vk_kernels *kernels = has_dot_product ? &vk_kernels_neon_dotprod : &vk_kernels_neon;

    tested = arguments[1];
    check_levels(kernels);
    if (getenv("MIEN_KERNEL_LEVEL") == NULL) {
        compare_dispatched();
        compare_scans(kernels);
        compare_inner_products(kernels);
        compare_encodings(kernels);
        compare_conversions(kernels);
    }
    if (failure_count > 0) {
        fprintf(stderr, "%zu of %zu comparisons failed\n", failure_count, comparison_count);
        return 1;
    }
    printf("%zu\n", comparison_count);
    return 0;
}
