internal import BinaryCoding
package import FaceModel

/// What a write answered, kept so that the same write sent again answers the same and changes nothing.
///
/// Sequence (8), kind (1: enrol 1, delete 2), count (4), one byte an outcome (enrol: 0 accepted, 1 replaced,
/// 2 superseded, 16 + rejection; delete: 0 absent, 1 deleted), CRC-32C (4); little-endian.
package struct ReceiptRecord: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        case enrolled([EnrolOutcome])
        case deleted([DeleteOutcome])
    }

    package var sequence: UInt64
    package var outcome: Outcome

    package init(sequence: UInt64, outcome: Outcome) {
        self.sequence = sequence
        self.outcome = outcome
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(sequence)
        switch outcome {
        case .enrolled(let outcomes):
            writer.write(UInt8(1))
            writer.write(UInt32(outcomes.count))
            for outcome in outcomes {
                switch outcome {
                case .accepted: writer.write(UInt8(0))
                case .replaced: writer.write(UInt8(1))
                case .superseded: writer.write(UInt8(2))
                case .rejected(let rejection): writer.write(16 + rejection.rawValue)
                }
            }
        case .deleted(let outcomes):
            writer.write(UInt8(2))
            writer.write(UInt32(outcomes.count))
            for outcome in outcomes { writer.write(outcome.rawValue) }
        }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "receipts", key: 0)
        do {
            var reader = unsafe ByteReader(body)
            sequence = try reader.read()
            let kind = try reader.read(UInt8.self)
            let count = Int(try reader.read(UInt32.self))
            let outcomes = try reader.readBytes(count: count)
            try reader.finish()
            switch kind {
            case 1: outcome = .enrolled(try outcomes.map(Self.enrolOutcome))
            case 2:
                outcome = .deleted(
                    try outcomes.map { byte in
                        guard let outcome = DeleteOutcome(rawValue: byte) else {
                            throw BinaryCodingError.invalidValue(field: "outcome", offset: 13)
                        }
                        return outcome
                    }
                )
            default: throw BinaryCodingError.invalidValue(field: "kind", offset: 8)
            }
        } catch {
            throw .malformed(table: "receipts", reason: "\(error)")
        }
    }

    /// The receipt of a write whose parts went to two partitions that became one; nil when these are not of one write.
    package func joined(with other: ReceiptRecord) -> ReceiptRecord? {
        let joined: Outcome
        switch (outcome, other.outcome) {
        case (.enrolled(let own), .enrolled(let others)): joined = .enrolled(own + others)
        case (.deleted(let own), .deleted(let others)): joined = .deleted(own + others)
        default: return nil
        }
        return ReceiptRecord(sequence: max(sequence, other.sequence), outcome: joined)
    }

    private static func enrolOutcome(_ byte: UInt8) throws(BinaryCodingError) -> EnrolOutcome {
        switch byte {
        case 0: return .accepted
        case 1: return .replaced
        case 2: return .superseded
        default:
            guard byte > 16, let rejection = RowRejection(rawValue: byte - 16) else {
                throw .invalidValue(field: "outcome", offset: 13)
            }
            return .rejected(rejection)
        }
    }
}
