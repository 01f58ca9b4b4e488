/// What a call asks for, as far as it decides how much memory its answer takes.
enum ExpectedAnswer: Sendable {
    /// Outcomes and tokens: no more than the request took.
    case small
    case faces(Int, includesEmbeddings: Bool)
    /// Of every probe up to so many.
    case matches(probeCount: Int, matchLimit: Int)

    /// A face's id, version and metadata; people's metadata is short as a rule.
    private static let faceByteCount = 256
    private static let matchByteCount = 128
    /// A frame's most: answers end there.
    private static let frameByteCount = 16 << 20

    /// Bytes of memory while it is put together: what shards answer, and what is sent.
    func byteCount(dimension: Int, shardCount: Int) -> Int {
        switch self {
        case .small: 0
        case .faces(let count, let includesEmbeddings):
            2 * min(Self.frameByteCount, count * (Self.faceByteCount + (includesEmbeddings ? 4 * dimension : 0)))
        case .matches(let probeCount, let matchLimit):
            (shardCount + 1) * min(Self.frameByteCount, probeCount * matchLimit * Self.matchByteCount)
        }
    }
}
