/// 16 random bytes that name one write; sending the same write again under the same key changes nothing.
package struct IdempotencyKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> IdempotencyKey {
        IdempotencyKey(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }
}

/// One face of an enrol batch; its embedding is the row of the same position in the batch's matrix.
package struct EnrolRow: Hashable, Sendable {
    package var id: FaceID
    package var metadata: FaceMetadata

    package init(id: FaceID, metadata: FaceMetadata) {
        self.id = id
        self.metadata = metadata
    }
}

/// Why one row of a batch was refused. The rest of the batch goes on.
package enum RowRejection: UInt8, CaseIterable, Sendable {
    case notFinite = 1
    case zeroNorm = 2
    case wrongDimension = 3
    case wrongModel = 4
    case invalidMetadata = 5

    package var reason: String {
        switch self {
        case .notFinite: "the embedding holds NaN or infinity"
        case .zeroNorm: "the embedding has no direction (its norm is zero or out of range)"
        case .wrongDimension: "the embedding's dimension is not the collection's"
        case .wrongModel: "the embedding was made by another model than the collection's"
        case .invalidMetadata: "a metadata field is out of its range, or has a key twice"
        }
    }
}

/// What became of one row of an enrol batch.
package enum EnrolOutcome: Hashable, Sendable {
    /// Stored as a new face.
    case accepted
    /// Stored in place of the face of the same id.
    case replaced
    /// A later row of the same batch has the same id, and that one counts.
    case superseded
    case rejected(RowRejection)
}

/// What became of one id of a delete batch.
package enum DeleteOutcome: UInt8, Sendable {
    case absent = 0
    case deleted = 1
}
