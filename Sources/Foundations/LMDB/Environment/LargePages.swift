import CLMDB
import Glibc
import Synchronization

/// Which parts of the map have been made to be held in large pages.
///
/// What is written lies in the page cache in pages as small as the writes were, and each is found by an entry of its
/// own in the page tables: reading megabytes at many places then waits for the tables as often as for memory. A part
/// that is read back from the file with `MADV_HUGEPAGE` is one page in the cache and one entry, whatever is written to
/// it later.
struct LargePages {
    /// Large pages of the file that have been read back, by number.
    var held: Set<Int> = []
    /// Those that were held and left the memory: there is too little of it, so they are not held again.
    var left: Set<Int> = []
    /// All that were ever asked for.
    private var asked: Set<Int> = []
    /// Pages that were asked for one after the other and did not come as one; nil once one has.
    private var refusedCount: Int? = 0

    /// Pages that may be refused by chance: somebody touched a part of one just then, or memory was in pieces.
    private static let refusalLimit = 8
    /// Parts of all maps of this process that were ever asked for, each of which may take two of the 65 530 mappings
    /// that a process has by default.
    private static let partLimit = 16_384
    private static let partCount = Atomic<Int>(0)
    /// By device number, whether its file system holds files so: ext4 since Linux 6.16, XFS and others.
    private static let support = Mutex<[UInt: Bool]>([:])

    /// Whether pages of a file on this device are worth asking for.
    func isWorthWhile(onDevice device: UInt) -> Bool {
        Self.support.withLock { $0[device] ?? true } && Self.partCount.load(ordering: .relaxed) < Self.partLimit
    }

    /// Counts a page that was asked for; `isMapped` is asked until one has come.
    mutating func noteAsked(for number: Int, onDevice device: UInt, isMapped: () -> Bool) {
        held.insert(number)
        if asked.insert(number).inserted { Self.partCount.add(1, ordering: .relaxed) }
        guard let count = refusedCount else { return }
        if Self.support.withLock({ $0[device] ?? false }) || isMapped() {
            refusedCount = nil
            Self.support.withLock { $0[device] = true }
        } else {
            refusedCount = count + 1
            if count + 1 >= Self.refusalLimit { Self.support.withLock { $0[device] = false } }
        }
    }

    /// Nothing is asked for any more on a device whose system refused to take the advice.
    static func refused(onDevice device: UInt) {
        support.withLock { $0[device] = false }
    }

    /// The map is another now, or is gone.
    mutating func forget() {
        Self.partCount.subtract(asked.count, ordering: .relaxed)
        (held, left, asked) = ([], [], [])
    }

    /// Bytes of a large page: 2 MiB on most machines; 0 where there is none, or none that is worth reading at once.
    static let byteCount: Int = {
        guard let text = SystemFile.text(of: "/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"),
            let count = Int(text.prefix { $0.isNumber }), count <= 4 << 20, count & (count - 1) == 0, isOfToday
        else { return 0 }
        return count
    }()

    /// Before Linux 6.6 some file systems write all of a large page when a byte of it has changed.
    private static let isOfToday: Bool = {
        var names = utsname()
        guard unsafe uname(&names) == 0 else { return false }
        let release = unsafe withUnsafeBytes(of: &names.release) { unsafe String(decoding: $0, as: UTF8.self) }
        let numbers = release.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) ?? 0 }
        return numbers.count == 2 && (numbers[0], numbers[1]) >= (6, 6)
    }()

    /// The numbers of the large pages of which at least half is in `ranges`, whole pages of the file alone; ascending.
    static func holding(mostOf ranges: [UnsafeRawBufferPointer], in bounds: MapBounds) -> [Int] {
        var byteCounts: [Int: Int] = [:]
        for index in unsafe ranges.indices {
            let range = unsafe ranges[index]
            var first = Int(UInt(bitPattern: range.baseAddress) &- bounds.base)
            let end = first + range.count
            while first < end {
                let number = first / byteCount
                let next = min(end, (number + 1) * byteCount)
                byteCounts[number, default: 0] += next - first
                first = next
            }
        }
        let wholeCount = Int(bounds.byteCount) / byteCount
        return byteCounts.filter { $0.key < wholeCount && $0.value >= byteCount / 2 }.keys.sorted()
    }

    enum Outcome {
        /// Read, most likely as one page.
        case read
        /// The system knows no such advice, or has no room for it.
        case refused
        /// The file cannot be read there any more.
        case lost
    }

    /// Lets go of a large page in the cache and reads it back as one. Who reads it meanwhile waits for the disk.
    static func readBack(_ bytes: UnsafeMutableRawBufferPointer, of file: Int32, at place: Int) -> Outcome {
        guard let start = bytes.baseAddress, unsafe madvise(start, bytes.count, hugePage) == 0 else { return .refused }
        // Pages that are mapped stay in the cache.
        _ = unsafe madvise(start, bytes.count, MADV_DONTNEED)
        _ = posix_fadvise(file, off_t(place), off_t(bytes.count), POSIX_FADV_DONTNEED)
        return unsafe madvise(start, bytes.count, MappedPages.populateRead) == 0 || errno != EFAULT ? .read : .lost
    }

    /// Has the part read a small page at a time again, as the rest of the map is.
    static func release(_ bytes: UnsafeMutableRawBufferPointer) {
        if let start = bytes.baseAddress { _ = unsafe madvise(start, bytes.count, noHugePage) }
    }

    /// Whether any of the part of the map that begins at or before an address is mapped as large pages.
    static func isMapped(at address: UInt) -> Bool {
        guard let text = SystemFile.text(of: "/proc/self/smaps") else { return false }
        var isInside = false
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard let name = fields.first else { continue }
            if isInside, name == "FilePmdMapped:" { return fields.count > 1 && fields[1] != "0" }
            let ends = name.split(separator: "-").compactMap { UInt($0, radix: 16) }
            if ends.count == 2, name.last != ":" { isInside = ends[0] <= address && address < ends[1] }
        }
        return false
    }

    private static let hugePage: Int32 = 14
    private static let noHugePage: Int32 = 15
}

extension Environment {
    /// Has the next of the large pages that mostly hold the given values held as one page, if it is in memory.
    ///
    /// Values that are read all the time and written seldom are worth it. Of what is not in memory nothing is read, and
    /// what has left the memory is read in small pages from then on. Call inside a read transaction, from one thread at
    /// a time, until there is nothing left.
    ///
    /// - Parameter values: all that are wanted so, each in the map; what was held for values that are not among them
    ///   any more is read in small pages again once it has left the memory.
    /// - Returns: whether a page was read back, some milliseconds of the disk's time; more may be left.
    /// - Throws: `corrupted` when it cannot be read back: the disk has lost what the memory still had.
    package func holdInLargePages(_ values: [UnsafeRawBufferPointer]) throws(LMDBError) -> Bool {
        let byteCount = LargePages.byteCount
        guard byteCount > 0, let bounds = mapBounds, bounds.base % UInt(byteCount) == 0 else { return false }
        var file: Int32 = -1
        var status = stat()
        _ = unsafe mdb_env_get_fd(handle, &file)
        guard unsafe fstat(file, &status) == 0 else { return false }
        let device = UInt(status.st_dev)
        return try largePages.withLock { pages throws(LMDBError) in
            let wanted = unsafe LargePages.holding(mostOf: values, in: bounds)
            let evicted = pages.held.filter { !bounds.isResident($0) }
            pages.left.formUnion(evicted)
            for number in pages.held.subtracting(wanted).union(evicted) {
                unsafe LargePages.release(bounds.largePage(number))
                pages.held.remove(number)
            }
            let next = wanted.first { number in
                !pages.held.contains(number) && !pages.left.contains(number) && bounds.isResident(number)
            }
            guard let number = next, pages.isWorthWhile(onDevice: device) else { return false }
            switch unsafe LargePages.readBack(bounds.largePage(number), of: file, at: number * byteCount) {
            case .read:
                pages.noteAsked(for: number, onDevice: device) {
                    LargePages.isMapped(at: bounds.base + UInt(number * byteCount))
                }
                return true
            case .refused:
                LargePages.refused(onDevice: device)
                return false
            case .lost:
                throw .corrupted(path: path)
            }
        }
    }
}

extension MapBounds {
    fileprivate func isResident(_ number: Int) -> Bool {
        unsafe MappedPages.isResident(UnsafeRawBufferPointer(largePage(number)))
    }

    fileprivate func largePage(_ number: Int) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(bitPattern: base + UInt(number * LargePages.byteCount)),
            count: LargePages.byteCount
        )
    }
}
