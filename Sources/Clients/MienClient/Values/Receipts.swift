import FaceModel
import WireProtocol

/// Stands for a write; a read that is given it sees the write, or fails.
///
/// Writes before it the read sees for certain only where they went to the same shards: for several writes give it the
/// ``union(_:)`` of their tokens, or that of ``MienClient/latestToken(of:)``.
public struct WriteToken: Hashable, Sendable {
    let value: ConsistencyToken

    /// Stands for both writes.
    ///
    /// - Returns: nil when they went to different collections, be it of one name.
    public func union(_ other: WriteToken) -> WriteToken? {
        guard value.collection == other.value.collection else { return nil }
        var both = value
        both.sequences.merge(other.value.sequences) { max($0, $1) }
        return WriteToken(value: both)
    }
}

/// Why one row of a batch was refused.
public enum RowRefusal: Hashable, Sendable, CustomStringConvertible {
    case notFinite
    case zeroNorm
    case wrongDimension
    case wrongModel
    case invalidMetadata

    init(_ rejection: RowRejection) {
        switch rejection {
        case .notFinite: self = .notFinite
        case .zeroNorm: self = .zeroNorm
        case .wrongDimension: self = .wrongDimension
        case .wrongModel: self = .wrongModel
        case .invalidMetadata: self = .invalidMetadata
        }
    }

    private var rejection: RowRejection {
        switch self {
        case .notFinite: .notFinite
        case .zeroNorm: .zeroNorm
        case .wrongDimension: .wrongDimension
        case .wrongModel: .wrongModel
        case .invalidMetadata: .invalidMetadata
        }
    }

    /// The reason as a clause for people.
    public var description: String { rejection.reason }
}

/// What became of the faces of one enrolment. Everything but the rejected ones is stored durably.
public struct EnrolmentReceipt: Sendable {
    public enum Outcome: Hashable, Sendable {
        /// Stored as a new face.
        case accepted
        /// Stored in place of the face of the same identity.
        case replaced
        /// A later row of the same batch has the same identity, and that one counts.
        case superseded
        case rejected(RowRefusal)
    }

    /// One per face, in order.
    public let outcomes: [Outcome]
    public let token: WriteToken

    init(_ reply: FacesEnrolled) {
        outcomes = reply.outcomes.map { outcome in
            switch outcome {
            case .accepted: .accepted
            case .replaced: .replaced
            case .superseded: .superseded
            case .rejected(let rejection): .rejected(RowRefusal(rejection))
            }
        }
        token = WriteToken(value: reply.token)
    }
}

/// What became of the faces of one deletion.
public struct DeletionReceipt: Sendable {
    /// Whether each face was there, in the order given.
    public let wasPresent: [Bool]
    public let token: WriteToken
    /// Faces of the collection were given up when every copy of theirs was lost, and nobody has said that they are
    /// back. One that was not there may be one of them; a backup that has it is restored without it.
    public let hasLoss: Bool

    init(_ reply: FacesDeleted) {
        wasPresent = reply.outcomes.map { $0 == .deleted }
        token = WriteToken(value: reply.token)
        hasLoss = reply.hasLoss
    }
}
