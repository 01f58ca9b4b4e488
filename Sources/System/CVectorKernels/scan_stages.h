// The stages of a scan, shared by all levels. A level defines, before it includes this file:
//   vk_sums                                          the sums of one group's 16 slots
//   add_heads(heads, head_count, probes, probe_count, sums)
//                                                    adds the heads of a group
//   rows_above(sums, threshold)                      bit per slot whose sum > threshold
//   append_slots(sums, mask, first_slot, entries, count)
//                                                    writes slot << 16 | sum of the slots of `mask`, returns the new
//                                                    count; may write 16
//   tail_sum(planes, weights, tail_count)            sum of the weights of the bits that are 1; or VK_TAIL_SUMS and
//   tail_sums(records, weights, tail_count, sums)    which adds those of VK_RECORDS_TOGETHER records to their sums
//
// All probes pass over the heads together, so that they share loads and nibbles; then each reads the records of the
// slots that were above its threshold, usually one to four in a hundred. Records are cache lines in no order that the
// processor could guess, so they are asked for at once.
#pragma once

// Groups of heads fetched ahead, at the end of a batch those of the block behind it. Lists are read in runs of few
// pages, each too short for the hardware prefetcher to run up.
enum { VK_SCAN_AHEAD = 16 };

enum { VK_MAX_SCAN_SLOTS = VK_MAX_SCAN_GROUPS * VK_GROUP_ROWS };

// Records summed at a time.
enum { VK_RECORDS_TOGETHER = 4 };

#ifndef VK_TAIL_SUMS
VK_INLINE void tail_sums(const uint8_t *const *records, const int8_t *weights, size_t tail_count, int32_t *sums) {
    for (size_t r = 0; r < VK_RECORDS_TOGETHER; r++) sums[r] += tail_sum(records[r], weights, tail_count);
}
#endif

// The groups of a batch, and behind them those that are fetched ahead.
struct vk_groups {
    size_t count, count_with_next;
    const uint8_t *heads[VK_MAX_SCAN_GROUPS + VK_SCAN_AHEAD][VK_HEAD_PLANES];
    const uint8_t *records[VK_MAX_SCAN_GROUPS];
};

VK_INLINE void add_block(const struct vk_code_block *block, size_t group_count, struct vk_groups *groups) {
    for (size_t g = 0; g < group_count; g++, groups->count_with_next++) {
        for (size_t p = 0; p < VK_HEAD_PLANES; p++) {
            groups->heads[groups->count_with_next][p] =
                (const uint8_t *)((uintptr_t)block->heads[p] + g * VK_GROUP_BYTES);
        }
    }
}

VK_INLINE void find_groups(const struct vk_code_batch *batch, struct vk_groups *groups) {
    const size_t group_record_bytes = VK_GROUP_ROWS * vk_record_bytes(batch->plane_count);
    groups->count_with_next = 0;
    for (size_t b = 0; b < batch->block_count; b++) {
        const struct vk_code_block *block = &batch->blocks[b];
        for (size_t g = 0; g < block->group_count; g++) {
            groups->records[groups->count_with_next + g] = block->records + g * group_record_bytes;
        }
        add_block(block, block->group_count, groups);
    }
    groups->count = groups->count_with_next;
    if (!batch->next) return;
    const size_t next_count = batch->next->group_count;
    add_block(batch->next, next_count < VK_SCAN_AHEAD ? next_count : VK_SCAN_AHEAD, groups);
}

// Slots above the threshold of the heads, each in the high half, its sum in the low half.
struct vk_passed {
    size_t count;
    uint32_t entry[VK_MAX_SCAN_SLOTS + VK_RECORDS_TOGETHER];
};

// The record of a slot above the threshold.
VK_INLINE const uint8_t *record_of(const struct vk_groups *groups, uint32_t entry, size_t record_bytes) {
    const uint32_t slot = entry >> 16;
    return groups->records[slot / VK_GROUP_ROWS] + slot % VK_GROUP_ROWS * record_bytes;
}

VK_INLINE void fetch_heads(const struct vk_groups *groups, size_t head_count, size_t group) {
    for (size_t p = 0; p < head_count; p++) vk_prefetch_l2(groups->heads[group][p], VK_GROUP_BYTES);
}

VK_INLINE void pass_heads(const struct vk_code_batch *batch, const struct vk_groups *groups,
                          const struct vk_scan_probe *probes, const size_t probe_count, struct vk_passed *passed) {
    const size_t head_count = vk_head_count(batch->plane_count);
    for (size_t probe = 0; probe < probe_count; probe++) passed[probe].count = 0;
    if (groups->count == 0) return;
    // A short batch is followed by the beginning of the next.
    const size_t ahead = groups->count < VK_SCAN_AHEAD ? groups->count : VK_SCAN_AHEAD;
    // Of the groups at the beginning, the first block's were fetched while the batch before was scanned.
    for (size_t g = batch->blocks[0].group_count; batch->next && g < ahead; g++) fetch_heads(groups, head_count, g);
    for (size_t g = 0; g < groups->count; g++) {
        if (batch->next && g + ahead < groups->count_with_next) fetch_heads(groups, head_count, g + ahead);
        vk_sums sums[VK_MAX_SCAN_PROBES] = {0};
        add_heads(groups->heads[g], head_count, probes, probe_count, sums);
        for (size_t probe = 0; probe < probe_count; probe++) {
            struct vk_passed *own = &passed[probe];
            const unsigned mask = rows_above(sums[probe], probes[probe].head_threshold);
            own->count = append_slots(sums[probe], mask, (uint32_t)(g * VK_GROUP_ROWS), own->entry, own->count);
        }
    }
}

// Asks for the records of all probes, long before the first is read.
VK_INLINE void fetch_records(const struct vk_groups *groups, size_t record_bytes, const size_t probe_count,
                             const struct vk_passed *passed) {
    for (size_t probe = 0; probe < probe_count; probe++) {
        for (size_t n = 0; n < passed[probe].count; n++) {
            vk_prefetch_l2(record_of(groups, passed[probe].entry[n], record_bytes), record_bytes);
        }
    }
}

// Writes the rows whose estimates are high enough.
VK_INLINE void keep_found(struct vk_scan_probe *probe, const uint32_t *row_ids, const uint16_t *factors,
                          const int32_t *sums, size_t count) {
#pragma STDC FP_CONTRACT OFF
    const struct vk_estimator estimator = probe->estimator;
    const float mean_term = probe->mean_term, least_estimate = probe->least_estimate;
    float *estimates = probe->estimates;
    uint32_t *found_ids = probe->row_ids;
    float all[VK_MAX_SCAN_SLOTS];
    for (size_t n = 0; n < count; n++) {
        const float product = vk_factor(factors[n]) * (estimator.step * (float)sums[n] + estimator.bias);
        all[n] = mean_term + product;
    }
    size_t found = 0;
    for (size_t n = 0; n < count; n++) {
        found_ids[found] = row_ids[n];
        estimates[found] = all[n];
        found += (size_t)((all[n] >= least_estimate) & (row_ids[n] != VK_ABSENT_ROW));
    }
    probe->count = found;
}

VK_INLINE void read_records(const struct vk_groups *groups, struct vk_scan_probe *probe, struct vk_passed *passed,
                            const size_t tail_count) {
    const size_t record_bytes = VK_PLANE_BYTES * (tail_count + 1), count = passed->count;
    int32_t sums[VK_MAX_SCAN_SLOTS + VK_RECORDS_TOGETHER];
    uint32_t row_ids[VK_MAX_SCAN_SLOTS + VK_RECORDS_TOGETHER];
    uint16_t factors[VK_MAX_SCAN_SLOTS + VK_RECORDS_TOGETHER];
    // The last records once more, to make the count whole.
    for (size_t n = 0; n < VK_RECORDS_TOGETHER; n++) {
        passed->entry[count + n] = count > 0 ? passed->entry[count - 1] : 0;
    }
    for (size_t n = 0; n < count; n += VK_RECORDS_TOGETHER) {
        const uint8_t *records[VK_RECORDS_TOGETHER];
        for (size_t r = 0; r < VK_RECORDS_TOGETHER; r++) {
            records[r] = record_of(groups, passed->entry[n + r], record_bytes);
            const uint8_t *fields = records[r] + VK_PLANE_BYTES * tail_count;
            __builtin_memcpy(&row_ids[n + r], fields + VK_RECORD_ROW_ID, sizeof *row_ids);
            __builtin_memcpy(&factors[n + r], fields + VK_RECORD_FACTOR, sizeof *factors);
            sums[n + r] = (int32_t)(passed->entry[n + r] & 0xffff);
        }
        tail_sums(records, probe->weights, tail_count, sums + n);
    }
    keep_found(probe, row_ids, factors, sums, count);
}

VK_INLINE void scan_batch(const struct vk_code_batch *batch, struct vk_scan_probe *probes, const size_t probe_count) {
    struct vk_groups groups;
    struct vk_passed passed[VK_MAX_SCAN_PROBES];
    find_groups(batch, &groups);
    pass_heads(batch, &groups, probes, probe_count, passed);
    const size_t tail_count = vk_tail_count(batch->plane_count);
    fetch_records(&groups, vk_record_bytes(batch->plane_count), probe_count, passed);
    for (size_t probe = 0; probe < probe_count; probe++) {
        // Compiled for what a codebook chooses, and for any number.
        if (tail_count == 3) {
            read_records(&groups, &probes[probe], &passed[probe], 3);
        } else {
            read_records(&groups, &probes[probe], &passed[probe], tail_count);
        }
    }
}

// Compiled for each number of probes.
#define VK_SCAN_BODY \
    switch (probe_count) { \
        case 1: scan_batch(batch, probes, 1); break; \
        case 2: scan_batch(batch, probes, 2); break; \
        case 3: scan_batch(batch, probes, 3); break; \
        case 4: scan_batch(batch, probes, 4); break; \
    }
