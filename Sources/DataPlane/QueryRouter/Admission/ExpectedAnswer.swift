import FaceModel
import WireProtocol

/// What a call asks for, as far as it decides how much memory its answer takes.
enum ExpectedAnswer: Sendable {
    /// Outcomes and tokens: no more than the request took.
    case small
    case faces(Int, includesEmbeddings: Bool)
    /// Of every probe up to so many.
    case matches(probeCount: Int, matchLimit: Int)
    /// A page of a snapshot: so many faces with their embeddings, if they fit.
    case snapshotPage(faceCount: Int)
    case erasures(Int)

    /// A face's id, version and metadata; people's metadata is short as a rule.
    private static let faceByteCount = 256
    private static let matchByteCount = 128

    /// Bytes of memory while it is put together: what shards answer, and what is sent. What shards answer beyond it is
    /// counted as it comes (``CallBytes``).
    ///
    /// - Parameter frameLimit: a frame's most: answers end there.
    func byteCount(dimension: Int, shardCount: Int, frameLimit: Int) -> Int {
        switch self {
        case .small: 0
        case .faces(let count, let includesEmbeddings):
            2 * min(frameLimit, count * (Self.faceByteCount + (includesEmbeddings ? 4 * dimension : 0)))
        case .matches(let probeCount, let matchLimit):
            (shardCount + 1) * min(frameLimit, probeCount * matchLimit * Self.matchByteCount)
        case .snapshotPage(let faceCount):
            2 * min(frameLimit, ReadSnapshot.pageByteLimit, faceCount * (Self.faceByteCount + 4 * dimension))
        case .erasures(let count): 2 * min(frameLimit, count * Erasure.leastByteCount)
        }
    }
}
