import Glibc

/// What the system keeps of the mapped file in memory, and how to have it read before it is needed.
///
/// Ranges are of bytes in the map; every call works on the whole pages that hold them.
package enum MappedPages {
    static let pageByteCount = sysconf(Int32(_SC_PAGESIZE))
    /// `MADV_POPULATE_READ` (Linux 5.14): reads pages and maps them.
    static let populateRead: Int32 = 22

    /// Major faults (`RUSAGE_THREAD`) of the calling thread so far: each waited for the disk.
    package static func majorFaultCount() -> Int {
        var usage = rusage()
        guard unsafe getrusage(__rusage_who_t(1), &usage) == 0 else { return 0 }
        return usage.ru_majflt
    }

    /// Pages of a range, and those of them in memory.
    package static func residency(of range: UnsafeRawBufferPointer) -> (pages: Int, resident: Int) {
        guard let pages = unsafe pages(of: range) else { return (0, 0) }
        let count = pages.count / pageByteCount
        return unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { flags in
            guard unsafe mincore(pages.baseAddress!, pages.count, flags.baseAddress!) == 0 else {
                return (count, count)
            }
            var resident = 0
            for index in 0..<count { resident += unsafe Int(flags[index] & 1) }
            return (count, resident)
        }
    }

    /// Whether all pages of a range are in memory.
    package static func isResident(_ range: UnsafeRawBufferPointer) -> Bool {
        let (pages, resident) = unsafe residency(of: range)
        return resident == pages
    }

    /// Bytes that are asked for at once: of more the system may read no more than the device's read-ahead, or than the
    /// device takes in one request, and says nothing. Few are set to less than 128 KiB.
    private static let askedByteCount = 128 << 10

    /// Begins to read a range from the disk and does not wait for it.
    package static func readAhead(_ range: UnsafeRawBufferPointer) {
        guard let pages = unsafe pages(of: range) else { return }
        for first in stride(from: 0, to: pages.count, by: askedByteCount) {
            let count = min(askedByteCount, pages.count - first)
            _ = unsafe madvise(pages.baseAddress! + first, count, MADV_WILLNEED)
        }
    }

    /// The same for a value that is wanted whole, if it has more than a few pages: with fewer, asking costs more than
    /// it spares.
    package static func readAheadIfLong(_ value: UnsafeRawBufferPointer) {
        if value.count > longByteCount { unsafe readAhead(value) }
    }

    /// Four small pages.
    private static let longByteCount = 16 << 10

    /// Reads ranges and maps their pages, so that touching them costs nothing; waits for the disk.
    package static func populate(_ ranges: ArraySlice<UnsafeRawBufferPointer>) {
        // Mapping alone would read pages one by one where the map has no read-ahead.
        for index in unsafe ranges.indices { unsafe readAhead(ranges[index]) }
        for index in unsafe ranges.indices { unsafe map(ranges[index]) }
    }

    private static func map(_ range: UnsafeRawBufferPointer) {
        guard let pages = unsafe pages(of: range) else { return }
        if unsafe madvise(pages.baseAddress!, pages.count, populateRead) == 0 { return }
        // An older kernel: touch every page.
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: pages.count, by: pageByteCount) { sum &+= unsafe pages[offset] }
        blackHole(sum)
    }

    @inline(never)
    private static func blackHole(_ value: UInt8) {}

    private static func pages(of range: UnsafeRawBufferPointer) -> UnsafeMutableRawBufferPointer? {
        guard let base = range.baseAddress, unsafe !range.isEmpty else { return nil }
        let first = UInt(bitPattern: base) / UInt(pageByteCount) * UInt(pageByteCount)
        let end = UInt(bitPattern: base) + UInt(range.count)
        return unsafe UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: first),
            count: Int((end - first + UInt(pageByteCount) - 1) / UInt(pageByteCount)) * pageByteCount
        )
    }
}
