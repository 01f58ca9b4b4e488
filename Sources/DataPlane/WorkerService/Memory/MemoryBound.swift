package import ClusterModel

/// One limit on memory, and what counts against it.
package struct MemoryBound: Hashable, Sendable {
    /// Share of a limit that is to stay free, and the most of it.
    private static let reserveShare: UInt64 = 10
    private static let largestReserve: UInt64 = 1 << 30

    package var kind: MemoryLedger.Bound
    package var limitByteCount: UInt64
    /// What the system cannot take back: no clean pages of files.
    package var heldByteCount: UInt64

    package init(kind: MemoryLedger.Bound, limitByteCount: UInt64, heldByteCount: UInt64) {
        self.kind = kind
        self.limitByteCount = limitByteCount
        self.heldByteCount = heldByteCount
    }

    package var freeByteCount: UInt64 { limitByteCount - min(heldByteCount, limitByteCount) }
    package var reserveByteCount: UInt64 { min(limitByteCount / Self.reserveShare, Self.largestReserve) }

    /// The one that is reached first: with the least free beyond its reserve, as a share of the reserve.
    package static func tightest(_ bounds: [MemoryBound]) -> MemoryBound? {
        bounds.min { left, right in
            func room(_ bound: MemoryBound) -> Double {
                Double(bound.freeByteCount) / Double(max(bound.reserveByteCount, 1))
            }
            return room(left) < room(right)
        }
    }

    /// All that the kernel knows of.
    ///
    /// - Parameters:
    ///   - configured: `worker.memory.limit`; 0 for none.
    ///   - read: the text of a pseudo file; nil when there is none.
    package static func all(configured: UInt64, _ read: (_ path: String) -> String?) -> [MemoryBound] {
        var bounds = controlGroups(read)
        if configured > 0 {
            bounds.append(.init(kind: .configured, limitByteCount: configured, heldByteCount: heldByProcess(read)))
        }
        if let meminfo = read("/proc/meminfo") {
            let fields = kibibyteFields(meminfo)
            if let total = fields["MemTotal"], let available = fields["MemAvailable"] {
                bounds.append(
                    .init(kind: .machine, limitByteCount: total, heldByteCount: total - min(available, total))
                )
            }
        }
        return bounds
    }

    /// Anonymous and shared memory of this process, in memory or swapped out.
    package static func heldByProcess(_ read: (_ path: String) -> String?) -> UInt64 {
        let fields = kibibyteFields(read("/proc/self/status") ?? "")
        return ["RssAnon", "RssShmem", "VmSwap"].reduce(0) { $0 + (fields[$1] ?? 0) }
    }

    // MARK: Control groups

    /// A control group's files, of version 2 or of the memory controller of version 1.
    private struct Hierarchy {
        var roots: [String]
        var limit: String
        var usage: String
        /// Pages of files, all and those that are not written yet.
        var file: [String]
        var dirty: [String]

        static let second = Hierarchy(
            roots: ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
            limit: "memory.max",
            usage: "memory.current",
            file: ["active_file", "inactive_file"],
            dirty: ["file_dirty", "file_writeback"]
        )
        static let first = Hierarchy(
            roots: ["/sys/fs/cgroup/memory"],
            limit: "memory.limit_in_bytes",
            usage: "memory.usage_in_bytes",
            file: ["total_active_file", "total_inactive_file"],
            dirty: ["total_dirty", "total_writeback"]
        )
    }

    /// Version 1 writes a number near 2^63 for no limit.
    private static let unlimited: UInt64 = 1 << 60

    /// The process' group and those around it, as far as they have a limit.
    ///
    /// In a container the group's path may be the host's, which is not to be seen here: then the groups around it that
    /// are to be seen count, down to the container's own, which is the root here.
    private static func controlGroups(_ read: (_ path: String) -> String?) -> [MemoryBound] {
        var bounds: [MemoryBound] = []
        for line in (read("/proc/self/cgroup") ?? "").split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let hierarchy: Hierarchy
            if fields[0] == "0", fields[1].isEmpty {
                hierarchy = .second
            } else if fields[1].split(separator: ",").contains("memory") {
                hierarchy = .first
            } else {
                continue
            }
            for root in hierarchy.roots {
                var names = fields[2].split(separator: "/")
                while true {
                    let folder = names.isEmpty ? root : "\(root)/\(names.joined(separator: "/"))"
                    if let bound = bound(folder, hierarchy, read) { bounds.append(bound) }
                    guard names.popLast() != nil else { break }
                }
            }
        }
        return bounds
    }

    private static func bound(
        _ folder: String,
        _ hierarchy: Hierarchy,
        _ read: (_ path: String) -> String?
    ) -> MemoryBound? {
        func number(_ name: String) -> UInt64? {
            read("\(folder)/\(name)").flatMap { UInt64($0.prefix { $0.isNumber }) }
        }
        guard let limit = number(hierarchy.limit), limit < unlimited, let usage = number(hierarchy.usage) else {
            return nil
        }
        var statistics: [Substring: UInt64] = [:]
        for line in (read("\(folder)/memory.stat") ?? "").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = UInt64(words[1]) { statistics[words[0]] = value }
        }
        func sum(_ names: [String]) -> UInt64 { names.reduce(0) { $0 + (statistics[Substring($1)] ?? 0) } }
        let file = sum(hierarchy.file)
        let droppable = file - min(sum(hierarchy.dirty), file)
        return MemoryBound(
            kind: .controlGroup,
            limitByteCount: limit,
            heldByteCount: usage - min(droppable, usage)
        )
    }

    /// Lines such as `MemTotal:  24683520 kB`, in bytes.
    private static func kibibyteFields(_ text: String) -> [Substring: UInt64] {
        var fields: [Substring: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "\t" || $0 == ":" }
            if words.count == 3, words[2] == "kB", let value = UInt64(words[1]) { fields[words[0]] = value << 10 }
        }
        return fields
    }
}
