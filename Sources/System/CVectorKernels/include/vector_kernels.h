// Kernels for inner products, codes and list scans; one file per instruction set, one level chosen at start-up.
//
// Every level gives bit-identical results: integers are exact, float sums follow one stated order.
//
// Order of float sums ("lane sum"): 16 accumulators start at +0; accumulator l takes the products of dimensions
// 16 i + l for i = 0, 1, ... by fused multiply-add, absent dimensions of the last step count as 0 * 0; then
// accumulator l += accumulator l + h for h = 8, 4, 2, 1. Accumulator 0 is the result.
//
// Code layout. A code is plane_count planes of 16 bytes. A plane holds 32 positions of 4 bits: byte 4 z + j
// (z, j in 0..3) has position 8 z + j in its low and position 8 z + 4 + j in its high nibble. A row-major code has
// plane p in bytes 16 p ..< 16 p + 16. Packed codes lie in slots, 16 of which form a group:
//   heads        the first VK_HEAD_PLANES planes, or all of fewer, each in an array of its own: group g starts at
//                256 g; byte 64 z + 4 v + j of a group is byte 4 z + j of that plane of slot v of the group.
//   records      what only slots that pass the heads are asked for, slot by slot, vk_record_bytes apart: the other
//                planes as in a row-major code, the row id (uint32, VK_ABSENT_ROW in a slot without a row), the factor
//                (float16, normal, above 0 and finite), zeros. A record of a code of 5 planes is 64 bytes, one cache
//                line where it is aligned.
// A plane has one bit for each of 128 dimensions: position i holds dimensions 4 i + t behind its first as bit t. A
// dimension of n bits (1...4) is quantized uniformly: with unit = step[n] * scale[d], u = floor(y[d] / unit) + 2^(n-1),
// clamped to 0 ... 2^n - 1, stands for (u - 2^(n-1) + 0.5) unit. Bit b of n, the most significant being bit 0, adds
// +-2^(n-2-b) unit, so each plane is a sum of its own and a scan may stop after any plane. The steps 1.596, 0.9957,
// 0.586 and 0.3352 are those of least error for N(0, 1) (Max, "Quantizing for minimum distortion", 1960).
//
// Pointers need no alignment beyond their type's (byte pointers: none); 64 bytes is fastest. Counts may be 0, and
// a pointer with no element behind it may be null. No function allocates, blocks or keeps a pointer.
#pragma once

#include <stddef.h>
#include <stdint.h>

// By width of vectors, so that the best level of a CPU is the highest one it has. NEON is that of arm64, with or
// without its dot product; the AVX levels are those of x86-64.
enum { VK_LEVEL_SCALAR = 0, VK_LEVEL_NEON = 1, VK_LEVEL_AVX2 = 2, VK_LEVEL_AVX512 = 3 };

enum {
    VK_GROUP_ROWS = 16,        // rows of one group
    VK_PLANE_BYTES = 16,       // bytes of one plane of one code
    VK_GROUP_BYTES = 256,      // bytes of one group of one plane
    VK_LUT_PLANE_BYTES = 512,  // bytes of one plane of a look-up table
    VK_PLANE_DIMS = 128,       // dimensions of one plane
    VK_MAX_PLANES = 8,
    VK_HEAD_PLANES = 2,        // planes that every slot of a scan is asked for
    VK_MAX_SCAN_GROUPS = 64,
    VK_MAX_SCAN_PROBES = 4
};

// What one plane of a code holds: one bit of 128 dimensions. Bit b comes after bit b - 1 of the same dimensions.
struct vk_plane {
    uint32_t first_dim;  // a multiple of 128
    uint16_t bit;        // 0 ... bits - 1
    uint16_t bits;       // 1...4, the same in all planes of these dimensions
};

enum { VK_ROW_OK = 0, VK_ROW_NOT_FINITE = 1, VK_ROW_BAD_NORM = 2 };

// Level in force: chosen from the CPU at start-up, lowered by MIEN_KERNEL_LEVEL=scalar|neon|avx2|avx512.
int vk_level(void);

// Takes the given level, or the best one below it that the CPU has; returns the level in force. Process-wide.
int vk_set_level(int level);

// Encodes rows of rotated embeddings.
//   y          [rows x dims], dims % 128 == 0
//   planes     [plane_count]
//   scale      [dims], > 0
//   codes      [rows x 16 plane_count], row-major codes
//   self_dot   [rows], lane sum of y * y over the coded dimensions, in the order of their bits 0
//   code_dot   [rows], lane sum of y * reconstruction of y, likewise
// y / unit, unit and the reconstruction are rounded once each.
void vk_encode(const float *y, size_t rows, size_t dims, const struct vk_plane *planes, size_t plane_count,
               const float *scale, uint8_t *codes, float *self_dot, float *code_dot);

// Planes of a code in the heads, and in the records.
static inline size_t vk_head_count(size_t plane_count) {
    return plane_count < VK_HEAD_PLANES ? plane_count : (size_t)VK_HEAD_PLANES;
}
static inline size_t vk_tail_count(size_t plane_count) {
    return plane_count - vk_head_count(plane_count);
}

// Bytes of one record: a multiple of 16.
static inline size_t vk_record_bytes(size_t plane_count) {
    return VK_PLANE_BYTES * (vk_tail_count(plane_count) + 1);
}

// Where a record has its row id and its factor, behind its planes.
enum { VK_RECORD_ROW_ID = 0, VK_RECORD_FACTOR = 4 };

// A slot that has no row has this id.
#define VK_ABSENT_ROW UINT32_MAX

// Writes row-major codes into slots.
//   row_codes, row_ids, factors  [rows]
//   heads     [vk_head_count] arrays of ceil(rows / 16) groups; slots behind the last row are zero
//   records   [16 ceil(rows / 16)] records; slots behind the last row are zero but for the id
void vk_pack_codes(const uint8_t *const *row_codes, const uint32_t *row_ids, const uint16_t *factors, size_t rows,
                   size_t plane_count, uint8_t *const *heads, uint8_t *records);

// Reads one slot back as a row-major code of 16 plane_count bytes.
void vk_unpack_code(const uint8_t *const *heads, const uint8_t *records, size_t plane_count, size_t slot,
                    uint8_t *code);

// What a scan looks up for one probe. An estimate of <y, what planes stand for> is, after the heads,
// step * (sum of their entries) + head_bias, and after all planes
// step * (that sum + sum of the weights of the records' bits that are 1) + bias.
struct vk_estimator {
    float step, head_bias, bias;
};

// Prepares the estimator of one probe.
//   y        [dims], rotated probe
//   lut      [vk_head_count x 512]: the 16 entries of (z, half h: 0 low 1 high, j) start at byte
//            ((z * 2 + h) * 4 + j) * 16 of their plane
//   weights  [vk_tail_count x 128]: one for each bit of a plane, least significant bit of its first byte first
// Entries are rounded to nearest of (value - least value of its table) / step, weights to nearest of what a 1 adds over
// a 0, / step. The step is the least at which entries fit 0...255 and weights -127...127, or 1 when all are zero.
struct vk_estimator vk_build_lut(const float *y, const struct vk_plane *planes, size_t plane_count,
                                 const float *scale, uint8_t *lut, int8_t *weights);

// Some groups of packed codes, one behind the other.
struct vk_code_block {
    const uint8_t *heads[VK_HEAD_PLANES];  // each at the first group
    const uint8_t *records;                // at the first slot
    size_t group_count;
};

// Blocks that are scanned together, as if they were one: 0...64 groups.
struct vk_code_batch {
    const struct vk_code_block *blocks;
    size_t block_count;
    size_t plane_count;  // 1...8
    // Where the scan goes on behind them: its heads are fetched ahead, never read. Null: no heads are fetched, for the
    // batch was scanned just before.
    const struct vk_code_block *next;
};

// One probe of a scan, and what the scan found for it.
struct vk_scan_probe {
    const uint8_t *lut;
    const int8_t *weights;
    struct vk_estimator estimator;
    float mean_term;         // added to every estimate
    int32_t head_threshold;  // slots with a sum of the heads above it are read on; -1 reads all on
    float least_estimate;    // rows with an estimate of at least this are found
    uint32_t *row_ids;       // [16 for each group], found rows in order of blocks and slots; behind them is scratch
    // [16 for each group], likewise: mean_term + factor * (step * sum + bias), each operation rounded.
    float *estimates;
    size_t count;            // rows found
};

// Scans a batch for 1...4 probes at once. Slots without a row are never found.
void vk_scan_codes(const struct vk_code_batch *batch, struct vk_scan_probe *probes, size_t probe_count);

// Inner products of every probe with every row, as lane sums. dim % 8 == 0.
//   probes [probe_count x dim], rows [row_count x dim] (float16 bits or float), out [probe_count x row_count]
void vk_dot_f16(const float *probes, size_t probe_count, const uint16_t *rows, size_t row_count, size_t dim,
                float *out);
void vk_dot_f32(const float *probes, size_t probe_count, const float *rows, size_t row_count, size_t dim,
                float *out);

// Inner products of one probe with scattered rows, as lane sums. dim % 8 == 0.
//   rows [n] pointers to dim components, out [n]
void vk_dot_f16_gather(const float *probe, const uint16_t *const *rows, size_t n, size_t dim, float *out);
void vk_dot_f32_gather(const float *probe, const float *const *rows, size_t n, size_t dim, float *out);

// Inner products of int8 vectors, exact. dim % 8 == 0, dim <= 65536.
void vk_dot_i8(const int8_t *probes, size_t probe_count, const int8_t *rows, size_t row_count, size_t dim,
               int32_t *out);

// Rounded rows. A row x is stood for by scale * a, where a are int8 between -127 and 127, so that an inner product of
// rows is estimated by an exact integer, <b, a>: with r = x - scale_x a, a probe q and e = q - scale_q b,
//   |<q, x> - scale_q scale_x <b, a>| = |<q, r> + <e, scale_x a>| <= |q| |r| + |e| |scale_x a|    (Cauchy-Schwarz)
// What is stored of |r|, |e| and the norms is not below the true values: they are computed in double, with relative
// errors below 2^-36 (2^16 dimensions), and raised by 2^-20 before they are rounded to float.
struct vk_rounding {
    float scale;  // 0 when the greatest absolute value is not between 2^-100 and 2^40
    float error;  // at least |r|; of a probe, what is to be multiplied by a row's norm, see vk_round_probe
    float norm;   // at least |x| + |r|, so at least |x| and |scale a|, and at least 2^-60
};

// Rounds rows to the nearest int8 of scale = (greatest absolute value) / 127. dim % 8 == 0.
//   rounded                 [row_count x dim]
//   scales, errors, norms   [row_count], as in vk_rounding
// A row with a component that is not finite has an error that is not finite, so that it reaches every similarity.
void vk_round_rows(const float *rows, size_t row_count, size_t dim, int8_t *rounded, float *scales, float *errors,
                   float *norms);

// Rounds a probe likewise; its error has an allowance beyond |e|, so that with u = 2^-24
//   error >= |e| + (ceil(dim / 16) + 4 + 16) u (1 + 2^-10) norm.
// A lane sum of q and x is off <q, x> by at most (ceil(dim / 16) + 4) u (1 + 2^-10) |q| |x|: so many roundings each
// product goes through (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1). The bound of vk_reaching_rows
// goes through three roundings of the estimate, which is at most norm_q norm_x, one of norm_q error_x and of
// error_q norm_x, one of their sum and one of the whole: below 11 u norm_q norm_x. The 5 left over, with norms of at
// least 2^-60, exceed what underflow takes (2^-132).
struct vk_rounding vk_round_probe(const float *probe, size_t dim, int8_t *rounded);

// Finds the rows whose lane sum with a probe may be `least` or more: every row of which
//   (float)product * scale_x * scale_q + (norm_q * error_x + error_q * norm_x),
// each operation rounded, is not below `least`. All other rows have a lane sum below it, at every level.
//   products               [row_count], <b, a> as vk_dot_i8 gives it
//   scales, errors, norms  [row_count], of vk_round_rows
//   reaching               [row_count], the rows found, ascending, and scratch behind them; returns how many
size_t vk_reaching_rows(const int32_t *products, size_t row_count, const float *scales, const float *errors,
                        const float *norms, struct vk_rounding probe, float least, uint32_t *reaching);

// What the lane sum of a probe and one rounded row is at least and at most, at every level: the estimate less and plus
// the bound, as above; the allowance for roundings is the same on both sides. Not a number where a component is not
// finite.
struct vk_bounds {
    float least;
    float greatest;
};
struct vk_bounds vk_product_bounds(int32_t product, float scale, float error, float norm, struct vk_rounding probe);

// Converts between float and float16 bits: round to nearest even, overflow to infinity, NaN quietened, its sign
// and leading payload bits kept.
void vk_f32_to_f16(const float *in, size_t count, uint16_t *out);
void vk_f16_to_f32(const uint16_t *in, size_t count, float *out);

// Scales rows to unit length in place; a rejected row keeps its values.
//   status [row_count]: VK_ROW_OK, VK_ROW_NOT_FINITE, or VK_ROW_BAD_NORM (norm < 1e-6 or > 1e6)
// The sum of squares is a lane sum in double (squares of floats are exact there); x becomes (float)(x * (1 / norm)).
void vk_normalise(float *rows, size_t row_count, size_t dim, uint8_t *status);
