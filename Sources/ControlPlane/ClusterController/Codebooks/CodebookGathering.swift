package import FaceModel
package import WireProtocol

/// Codebooks of backups that are on their way to a coordinator slice by slice, one for a collection.
///
/// Room for all of a codebook is taken with its first slice: what was let in can always come to its end, and what there
/// is no room for begins later. Pure: told what comes, and what time it is.
package struct CodebookGathering {
    private struct Part {
        var totalByteCount: UInt64
        var bytes: [UInt8]
        /// When its first slice came.
        var began: Duration
        /// When its latest slice came.
        var latest: Duration
    }

    /// Most bytes of all together; one codebook may have as many.
    package static let byteLimit = CodebookFiles.byteLimit
    /// How long the next slice is waited for.
    package static let patience = Duration.seconds(60)
    /// How long all slices of one may take: who sends some bytes a minute keeps no room from others for ever.
    package static let longestTime = Duration.seconds(600)

    private var parts: [CollectionID: Part] = [:]

    package init() {}

    package var isEmpty: Bool { parts.isEmpty }

    /// Bytes that are kept.
    package var byteCount: Int { parts.values.reduce(0) { $0 + $1.bytes.count } }

    /// Forgets what is not of these collections, what no slice has come of for too long, and what takes too long in
    /// all.
    package mutating func keep(only collections: Set<CollectionID>, now: Duration) {
        parts = parts.filter { collection, part in
            collections.contains(collection) && now - part.latest < Self.patience
                && now - part.began < Self.longestTime
        }
    }

    /// Adds a slice; all bytes once they are there, nil before. A first slice takes the place of what came before it,
    /// and one that does not continue what came ends it.
    package mutating func add(
        _ slice: CodebookSlice,
        of collection: CollectionID,
        now: Duration
    ) throws(WireStatus) -> [UInt8]? {
        guard slice.totalByteCount > 0, slice.totalByteCount <= Self.byteLimit, !slice.bytes.isEmpty else {
            throw WireStatus(
                .limitExceeded,
                "A codebook has from 1 to \(Self.byteLimit) bytes, not \(slice.totalByteCount)."
            )
        }
        let former = parts.removeValue(forKey: collection)
        var part = Part(totalByteCount: slice.totalByteCount, bytes: [], began: former?.began ?? now, latest: now)
        if slice.offset > 0, let former { part.bytes = former.bytes }
        let end = UInt64(part.bytes.count) + UInt64(slice.bytes.count)
        guard slice.offset == UInt64(part.bytes.count), end <= slice.totalByteCount,
            slice.offset == 0 || former?.totalByteCount == slice.totalByteCount
        else {
            throw WireStatus(
                .invalidRequest,
                "The slice at \(slice.offset) does not continue what came before; send the codebook from offset 0."
            )
        }
        if slice.offset == 0, slice.totalByteCount > Self.byteLimit - parts.values.reduce(0, { $0 + $1.totalByteCount })
        {
            throw WireStatus(
                .overloaded,
                "Codebooks of other collections are on their way to this coordinator, and there is no room for another "
                    + "one of \(slice.totalByteCount >> 20) MiB beside them; send it from offset 0 again later.",
                retryAfterMilliseconds: 1000
            )
        }
        part.bytes += slice.bytes
        if end == slice.totalByteCount { return part.bytes }
        parts[collection] = part
        return nil
    }
}
