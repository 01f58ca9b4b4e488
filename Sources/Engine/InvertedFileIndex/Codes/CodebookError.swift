/// Why a codebook could not be made or read.
package enum CodebookError: Error, Hashable, Sendable {
    case malformed(reason: String)
    case checksumMismatch
    /// Written by a later version of Mien.
    case newerFormat(version: UInt16, newest: UInt16)
    /// Too few embeddings to train on.
    case sampleTooSmall(rowCount: Int, minimum: Int)
    case stopped
}

extension CodebookError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .malformed(let reason): "the codebook's bytes are malformed: \(reason)"
        case .checksumMismatch: "the codebook's bytes fail their checksum"
        case .newerFormat(let version, let newest):
            "the codebook has format \(version) and this program knows formats up to \(newest); use a newer mien"
        case .sampleTooSmall(let rowCount, let minimum):
            "a codebook needs a sample of at least \(minimum) embeddings, not \(rowCount)"
        case .stopped: "training was stopped"
        }
    }
}
