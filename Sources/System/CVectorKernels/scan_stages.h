// The stages of a scan, shared by the vector levels. A level defines, before it includes this file:
//   vk_sums                                          the sums of one group's 16 rows
//   add_planes(planes, first, end, offset, luts, probe_count, sums)
//                                                    adds planes first ..< end of the group at byte `offset`
//   rows_above(sums, threshold)                      bit per row whose sum > threshold
//   append_rows(sums, mask, first_row, rows, scores, count)
//                                                    writes the rows of `mask`, returns the new count; may write 16
//
// The planes before the first threshold are added for all probes together, so that probes share loads and nibbles.
// From there on each probe has its own list of groups still above its threshold: appending to a list is free of
// branches, where leaving each group by itself would cost a misprediction as often as it saves a plane.
#pragma once

// Groups fetched ahead of the joint planes. Planes are read in runs of few pages, each too short for the hardware
// prefetcher to run up: this took a quarter off scans from DRAM. It passes the end of a call, where the caller
// usually goes on.
enum { VK_SCAN_AHEAD = 8 };

struct vk_live_groups {
    size_t count;
    uint8_t group[VK_MAX_SCAN_GROUPS];
};

// Rows of group g that exist, as bits.
VK_INLINE unsigned present_rows(size_t g, size_t row_count) {
    const size_t left = row_count > g * VK_GROUP_ROWS ? row_count - g * VK_GROUP_ROWS : 0;
    return left >= VK_GROUP_ROWS ? 0xffff : (1u << left) - 1;
}

// Where the survivors of one probe go.
struct vk_survivors {
    uint32_t *rows;
    uint16_t *scores;
    size_t count;
};

// After the last plane: writes the rows of group g above threshold.
VK_INLINE void keep_rows(vk_sums sums, int32_t threshold, size_t g, size_t row_count, struct vk_survivors *kept) {
    const unsigned mask = rows_above(sums, threshold) & present_rows(g, row_count);
    if (mask) {
        kept->count = append_rows(sums, mask, (uint32_t)(g * VK_GROUP_ROWS), kept->rows, kept->scores, kept->count);
    }
}

// After an earlier plane: keeps group g on the list when a row is above threshold; returns whether one is.
VK_INLINE int stay_live(vk_sums sums, int32_t threshold, size_t g, struct vk_live_groups *live) {
    const int stays = rows_above(sums, threshold) != 0;
    live->group[live->count] = (uint8_t)g;
    live->count += (size_t)stays;
    return stays;
}

VK_INLINE void scan_stages(const uint8_t *const *planes, const size_t plane_count, size_t group_count,
                           size_t row_count, const uint8_t *const *luts, const size_t probe_count,
                           const int32_t *thresholds, uint32_t *const *rows_out, uint16_t *const *scores_out,
                           size_t *counts_out) {
    vk_sums sums[VK_MAX_SCAN_PROBES][VK_MAX_SCAN_GROUPS];
    struct vk_live_groups live[VK_MAX_SCAN_PROBES];
    struct vk_survivors kept[VK_MAX_SCAN_PROBES];
    for (size_t probe = 0; probe < probe_count; probe++) {
        live[probe].count = 0;
        kept[probe] = (struct vk_survivors){rows_out[probe], scores_out[probe], 0};
    }

    size_t joint = 1;
    for (; joint < plane_count; joint++) {
        int tested = 0;
        for (size_t probe = 0; probe < probe_count; probe++) {
            tested |= thresholds[probe * plane_count + joint - 1] >= 0;
        }
        if (tested) break;
    }

    size_t latest_live = 0;
    for (size_t g = 0; g < group_count; g++) {
        for (size_t p = 0; p < joint; p++) {
            vk_prefetch(planes[p], (g + VK_SCAN_AHEAD) * VK_GROUP_BYTES, VK_GROUP_BYTES);
        }
        vk_sums group_sums[VK_MAX_SCAN_PROBES] = {0};
        if (joint == plane_count) {
            add_planes(planes, 0, plane_count, g * VK_GROUP_BYTES, luts, probe_count, group_sums);
        } else if (joint == 1) {
            add_planes(planes, 0, 1, g * VK_GROUP_BYTES, luts, probe_count, group_sums);
        } else {
            add_planes(planes, 0, joint, g * VK_GROUP_BYTES, luts, probe_count, group_sums);
        }
        for (size_t probe = 0; probe < probe_count; probe++) {
            const int32_t threshold = thresholds[probe * plane_count + joint - 1];
            if (joint == plane_count) {
                keep_rows(group_sums[probe], threshold, g, row_count, &kept[probe]);
            } else {
                sums[probe][g] = group_sums[probe];
                latest_live = stay_live(group_sums[probe], threshold, g, &live[probe]) ? g : latest_live;
            }
        }
        // The next plane of this group, or once more of the last group that some probe stayed in.
        if (joint < plane_count) vk_prefetch(planes[joint], latest_live * VK_GROUP_BYTES, VK_GROUP_BYTES);
    }

    for (size_t p = joint; p < plane_count; p++) {
        for (size_t probe = 0; probe < probe_count; probe++) {
            const int32_t threshold = thresholds[probe * plane_count + p];
            const size_t count = live[probe].count;
            live[probe].count = 0;
            for (size_t n = 0; n < count; n++) {
                const size_t g = live[probe].group[n];
                vk_sums group_sums = sums[probe][g];
                add_planes(planes, p, p + 1, g * VK_GROUP_BYTES, luts + probe, 1, &group_sums);
                if (p + 1 == plane_count) {
                    keep_rows(group_sums, threshold, g, row_count, &kept[probe]);
                } else {
                    sums[probe][g] = group_sums;
                    latest_live = stay_live(group_sums, threshold, g, &live[probe]) ? g : latest_live;
                    vk_prefetch(planes[p + 1], latest_live * VK_GROUP_BYTES, VK_GROUP_BYTES);
                }
            }
        }
    }
    for (size_t probe = 0; probe < probe_count; probe++) counts_out[probe] = kept[probe].count;
}

// Compiled for each number of probes, and for 5 planes (what a codebook chooses) and any number.
#define VK_SCAN_PROBES(plane_count, probe_count) \
    scan_stages(planes, plane_count, group_count, row_count, luts, probe_count, thresholds, rows_out, scores_out, \
                counts_out)
#define VK_SCAN_PLANES(plane_count) \
    switch (probe_count) { \
        case 1: VK_SCAN_PROBES(plane_count, 1); break; \
        case 2: VK_SCAN_PROBES(plane_count, 2); break; \
        case 3: VK_SCAN_PROBES(plane_count, 3); break; \
        case 4: VK_SCAN_PROBES(plane_count, 4); break; \
    }
#define VK_SCAN_BODY \
    if (plane_count == 5) { \
        VK_SCAN_PLANES(5) \
    } else { \
        VK_SCAN_PLANES(plane_count) \
    }
