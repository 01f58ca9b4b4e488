package import LMDB

/// Values with embeddings have pages of their own, at least two of them.
///
/// LMDB keeps a smaller value in a page that it shares with others, whose memory it uses again, unread, for any other
/// page of the file: bytes of a value would get into the gaps of pages that stay in use for as long as the partition is
/// there. The memory of several pages in a row is used for one value only, so what is left of it lies in free pages,
/// which can be overwritten.
extension PartitionTables {
    /// The value with as many zeros behind it as give it two pages.
    package func withOwnPages(_ value: [UInt8]) -> [UInt8] {
        value + repeatElement(0, count: max(0, leastOwnPagesByteCount - value.count))
    }

    /// Whether a value has pages of its own, at least one: it then stays where it is until it is written again. A
    /// smaller one lies in a leaf, and moves with every change of its neighbours.
    package func hasOwnPages(byteCount: Int) -> Bool {
        Self.hasOwnPages(byteCount: byteCount, pageByteCount: leastOwnPagesByteCount + 15)
    }

    /// The same for pages of any size: LMDB keeps two entries in a leaf at least, so what is half a page is too long.
    package static func hasOwnPages(byteCount: Int, pageByteCount: Int) -> Bool {
        byteCount >= pageByteCount / 2
    }

    /// What ``withOwnPages(_:)`` was given; a value that has none behind it, of a format before 9, as it is.
    ///
    /// - Parameter byteCount: that it has, at most all.
    /// - Throws: `malformed` when anything but zeros is behind it.
    package static func content(
        of value: UnsafeRawBufferPointer,
        byteCount: Int,
        table: String
    ) throws(PartitionStoreError) -> UnsafeRawBufferPointer {
        guard byteCount <= value.count, unsafe value[byteCount...].allSatisfy({ $0 == 0 }) else {
            throw .malformed(table: table, reason: "\(value.count) bytes for a value of \(byteCount)")
        }
        return unsafe UnsafeRawBufferPointer(rebasing: value[..<byteCount])
    }

    /// A stored row of the unfinished chunk, verified; it may lie at an odd address.
    package func tailRow(
        _ row: UInt32,
        shape: RowChunk.Shape,
        _ transaction: borrowing ReadTransaction
    ) throws -> UnsafeRawBufferPointer {
        guard let value = try unsafe transaction.value(of: tailRows, key: row) else {
            throw PartitionStoreError.missing(table: "tailRows", key: UInt64(row))
        }
        let record = try unsafe Self.content(of: value, byteCount: shape.rowByteCount + 4, table: "tailRows")
        return try unsafe RecordSeal.open(record, under: row, table: "tailRows", key: UInt64(row))
    }
}
