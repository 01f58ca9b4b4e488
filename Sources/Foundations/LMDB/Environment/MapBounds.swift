import CLMDB
import Glibc
import Synchronization

/// Where what a read transaction gives out may lie.
///
/// LMDB takes the place and the size of a key or value from the page that holds it, and believes them: one changed bit
/// has a value of a few bytes reach over gigabytes, behind the end of the file. A key lies inside one page; so does a
/// value, or it begins behind the header of the first of some pages of its own.
///
///     offset  bytes  of such a page's header
///          0      8  number of the page
///         10      2  flags, of which 4 is that of such pages
///         12      4  how many pages they are
struct MapBounds {
    private static let headerByteCount: UInt = 16
    private static let overflowFlag: UInt16 = 4

    /// Address of the file's first byte.
    let base: UInt
    /// Bytes of the file that are in use.
    let byteCount: UInt
    let pageByteCount: UInt

    /// Whether so many bytes from an address on lie inside one page of the file.
    @inline(__always)
    func holdsInPage(_ address: UInt, _ count: Int) -> Bool {
        let (offset, count) = (address &- base, UInt(bitPattern: count))
        guard offset <= byteCount, count <= byteCount - offset else { return false }
        return offset & (pageByteCount - 1) + count <= pageByteCount
    }

    /// Whether a value lies where one may.
    @inline(__always)
    func holds(_ value: UnsafeRawBufferPointer) -> Bool {
        let address = UInt(bitPattern: value.baseAddress)
        if holdsInPage(address, value.count) { return true }
        let (offset, count) = (address &- base, UInt(bitPattern: value.count))
        guard offset <= byteCount, count <= byteCount - offset, offset & (pageByteCount - 1) == Self.headerByteCount,
            let start = value.baseAddress
        else { return false }
        let number = unsafe start.load(fromByteOffset: -16, as: UInt.self)
        let flags = unsafe start.load(fromByteOffset: -6, as: UInt16.self)
        let pageCount = unsafe start.load(fromByteOffset: -4, as: UInt32.self)
        return flags & Self.overflowFlag != 0 && number == offset / pageByteCount
            && Self.headerByteCount + count <= UInt(pageCount) * pageByteCount
    }

    /// Address of the first byte of the file of which one byte is mapped at `address`; 0 when the system does not tell.
    static func base(ofMapAround address: UInt) -> UInt {
        guard let text = SystemFile.text(of: "/proc/self/maps") else { return 0 }
        // Its first and last address, its permissions, the place in the file that it begins at, and more.
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ", maxSplits: 3)
            guard fields.count >= 3, let place = UInt(fields[2], radix: 16) else { continue }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, ends[0] <= address, address < ends[1], place <= ends[0] else { continue }
            return ends[0] - place
        }
        return 0
    }
}

extension Environment {
    /// The table of the names of all others.
    private static let mainTable: UInt32 = 1

    /// Bytes of a page of the file.
    static func pageByteCount(of handle: OpaquePointer) -> UInt {
        var statistics = MDB_stat()
        _ = unsafe mdb_env_stat(handle, &statistics)
        return UInt(statistics.ms_psize)
    }

    /// Learns where the file is mapped, unless it is known, by an entry that a read transaction gives out.
    func learnMapBase(_ transaction: OpaquePointer) {
        guard mapBase.load(ordering: .relaxed) == 0 else { return }
        var cursor: OpaquePointer?
        guard unsafe mdb_cursor_open(transaction, Self.mainTable, &cursor) == MDB_SUCCESS, let cursor = unsafe cursor
        else { return }
        defer { unsafe mdb_cursor_close(cursor) }
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        guard unsafe mdb_cursor_get(cursor, &key, &value, MDB_FIRST) == MDB_SUCCESS else { return }
        let address = unsafe UInt(bitPattern: key.mv_data)
        mapBase.store(MapBounds.base(ofMapAround: address), ordering: .relaxed)
    }

    /// Where what a read transaction that has begun gives out may lie; nil before a table was opened, and where the
    /// system does not tell where the file is mapped.
    var mapBounds: MapBounds? {
        let base = mapBase.load(ordering: .relaxed)
        guard base != 0 else { return nil }
        var information = unsafe MDB_envinfo()
        _ = unsafe mdb_env_info(handle, &information)
        let lastPage = unsafe UInt(bitPattern: information.me_last_pgno)
        return MapBounds(
            base: base,
            byteCount: (lastPage &+ 1) &* filePageByteCount,
            pageByteCount: filePageByteCount
        )
    }
}
