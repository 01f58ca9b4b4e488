internal import BinaryCoding
internal import Checksum
package import FaceModel
internal import FaceRecords
internal import LMDB

/// What a write answered, kept so that the same write sent again answers the same and changes nothing.
///
/// Sequence (8), kind (1: 3 enrol, 4 delete, 5 and 6 the same of a partition whose place this one took, 7 and 8 the
/// same of a part that others may be missing beside; before format 7 also 1 enrol, 2 delete), count (4), one byte an
/// outcome (enrol: 0 accepted, 1 replaced, 2 superseded, 16 + rejection; delete: 0 absent, 1 deleted), for kinds from 3
/// on the checksum of each row (4), for kinds 7 and 8 how many ranges its ``reach`` has (4) and the first and the last
/// place of each (8, 8), CRC-32C (4); little-endian.
package struct ReceiptRecord: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        case enrolled([EnrolOutcome])
        case deleted([DeleteOutcome])

        package var count: Int {
            switch self {
            case .enrolled(let outcomes): outcomes.count
            case .deleted(let outcomes): outcomes.count
            }
        }

        /// Those at some positions, in the order given.
        package func at(_ positions: [Int]) -> Outcome {
            switch self {
            case .enrolled(let outcomes): .enrolled(positions.map { outcomes[$0] })
            case .deleted(let outcomes): .deleted(positions.map { outcomes[$0] })
            }
        }

        /// Those of both; nil when they are of different kinds.
        package func followed(by other: Outcome) -> Outcome? {
            switch (self, other) {
            case (.enrolled(let own), .enrolled(let others)): return .enrolled(own + others)
            case (.deleted(let own), .deleted(let others)): return .deleted(own + others)
            default: return nil
            }
        }
    }

    package let sequence: UInt64
    package let outcome: Outcome
    /// Of what the write brought, one an outcome; nil in what a partition of format 6 or earlier wrote.
    package let rowChecksums: [UInt32]?
    /// Whether it came over from a partition whose place its own took. Replicas may have others of these among their
    /// newest, so it does not count where entries of a log are applied. Its rows may be those of parts of one write,
    /// which went to two partitions that became one: then they are not in the order in which they were sent.
    ///
    /// Earlier programs did not say so in a half of a partition that was split, and without checksums nothing does.
    package let isInherited: Bool
    /// Where on the ring it tells of every row that the write has there; nil when that is wherever its partition has
    /// faces. Of a partition that took the place of several, some of which had not been sent the write: rows of theirs
    /// are new, and not those of another write. Its rows are in no order then.
    package let reach: RingRanges?

    /// - Precondition: as many checksums as outcomes.
    package init(
        sequence: UInt64,
        outcome: Outcome,
        rowChecksums: [UInt32]?,
        isInherited: Bool = false,
        reach: RingRanges? = nil
    ) {
        precondition(rowChecksums?.count ?? outcome.count == outcome.count, "one checksum a row")
        self.sequence = sequence
        self.outcome = outcome
        self.rowChecksums = rowChecksums
        self.isInherited = (isInherited || reach != nil) && rowChecksums != nil
        self.reach = rowChecksums == nil ? nil : reach
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 17 + 5 * outcome.count)
        writer.write(sequence)
        let form: UInt8 = rowChecksums == nil ? 0 : reach != nil ? 6 : isInherited ? 4 : 2
        switch outcome {
        case .enrolled(let outcomes):
            writer.write(1 + form)
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
            writer.write(2 + form)
            writer.write(UInt32(outcomes.count))
            for outcome in outcomes { writer.write(outcome.rawValue) }
        }
        for checksum in rowChecksums ?? [] { writer.write(checksum) }
        if let reach {
            writer.write(UInt32(reach.ranges.count))
            for range in reach.ranges {
                writer.write(range.lowerBound)
                writer.write(range.upperBound)
            }
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
            switch kind {
            case 1, 3, 5, 7: outcome = .enrolled(try outcomes.map(Self.enrolOutcome))
            case 2, 4, 6, 8:
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
            isInherited = kind > 4
            if kind > 2 {
                var checksums: [UInt32] = []
                checksums.reserveCapacity(count)
                for _ in 0..<count { checksums.append(try reader.read()) }
                rowChecksums = checksums
            } else {
                rowChecksums = nil
            }
            reach = try kind > 6 ? Self.readReach(&reader) : nil
            try reader.finish()
        } catch {
            throw .malformed(table: "receipts", reason: "\(error)")
        }
    }

    /// As a partition keeps it that takes faces over from the one which had it.
    ///
    /// - Parameters:
    ///   - source: where on the ring that one has faces.
    ///   - own: where the other has.
    package func inherited(from source: ClosedRange<UInt64>, in own: ClosedRange<UInt64>) -> ReceiptRecord {
        let reach = self.reach ?? RingRanges([source])
        return ReceiptRecord(
            sequence: sequence,
            outcome: outcome,
            rowChecksums: rowChecksums,
            isInherited: true,
            reach: reach.covers(own) ? nil : reach
        )
    }

    /// The receipt of a write whose parts went to two partitions that became one; nil when these are not of one write.
    ///
    /// - Parameters:
    ///   - other: as that one keeps it, and so is this.
    ///   - own: where on the ring it has faces.
    package func joined(with other: ReceiptRecord, in own: ClosedRange<UInt64>) -> ReceiptRecord? {
        guard let joined = outcome.followed(by: other.outcome) else { return nil }
        var checksums: [UInt32]?
        if let own = rowChecksums, let others = other.rowChecksums { checksums = own + others }
        var both: RingRanges?
        if let reach, let others = other.reach { both = RingRanges(reach.ranges + others.ranges) }
        return ReceiptRecord(
            sequence: max(sequence, other.sequence),
            outcome: joined,
            rowChecksums: checksums,
            isInherited: true,
            reach: both.flatMap { $0.covers(own) ? nil : $0 }
        )
    }

    /// What is kept instead when another receipt under its key comes over; nil when this one stays.
    ///
    /// They are joined, unless this one tells of places of the partition which the other is of: then the other is a
    /// later write's there, or comes for a second time, and takes the place of what is known from there.
    ///
    /// - Parameters:
    ///   - other: as the partition keeps it, and so is this.
    ///   - source: where on the ring the partition has faces which the other is of.
    ///   - own: where the one has that takes them over.
    package func updated(
        with other: ReceiptRecord,
        from source: ClosedRange<UInt64>,
        in own: ClosedRange<UInt64>
    ) -> ReceiptRecord? {
        let told = reach ?? RingRanges([own])
        let places = RingRanges([source])
        if places.covers(own) || told.ranges.allSatisfy({ places.covers($0) }) {
            return other.sequence > sequence ? other : nil
        }
        guard told.ranges.contains(where: { $0.overlaps(source) }), let rest = without(other) else {
            return joined(with: other, in: own)
        }
        return rest.joined(with: other, in: own) ?? other
    }

    /// The same without rows that another tells of; nil when one of both has no checksums.
    private func without(_ other: ReceiptRecord) -> ReceiptRecord? {
        guard let checksums = rowChecksums, let others = other.rowChecksums else { return nil }
        var counts: [UInt32: Int] = [:]
        for checksum in others { counts[checksum, default: 0] += 1 }
        let left = checksums.indices.filter { position in
            guard let count = counts[checksums[position]], count > 0 else { return true }
            counts[checksums[position]] = count - 1
            return false
        }
        return ReceiptRecord(
            sequence: sequence,
            outcome: outcome.at(left),
            rowChecksums: left.map { checksums[$0] },
            isInherited: isInherited,
            reach: reach
        )
    }

    private static func readReach(_ reader: inout ByteReader) throws(BinaryCodingError) -> RingRanges {
        let offset = reader.offset
        let count = try reader.readCount(leastByteCount: 16)
        guard count > 0 else { throw .invalidValue(field: "range count", offset: offset) }
        var ranges: [ClosedRange<UInt64>] = []
        for _ in 0..<count {
            let (first, last) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
            guard first <= last else { throw .invalidValue(field: "range", offset: offset) }
            ranges.append(first...last)
        }
        let reach = RingRanges(ranges)
        guard reach.ranges == ranges else { throw .invalidValue(field: "ranges", offset: offset) }
        return reach
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

extension ReceiptRecord {
    /// What the write answered about these rows, when it is the same write and all of them are known.
    package func outcome(ofRows checksums: [UInt32], isEnrolment: Bool) -> Outcome? {
        positions(ofRows: checksums, isEnrolment: isEnrolment) { _ in true }.map { outcome.at($0.compactMap { $0 }) }
    }

    /// Where its outcomes of these rows are, when it is the same write: of the same kind, with these rows or with more,
    /// in this order; nil for a row of which it does not tell. Nil for another write under the same key.
    ///
    /// Some rows of a write are what a shard is sent of it that is a part of the one that answered. A receipt without
    /// checksums is believed when the number of rows is the same.
    ///
    /// - Parameters:
    ///   - checksums: of the rows that are sent now.
    ///   - isEnrolment: or else a deletion.
    ///   - isTold: whether a row is within its ``reach``. It is not looked for otherwise: it may look like one of its
    ///     rows by chance.
    package func positions(
        ofRows checksums: [UInt32],
        isEnrolment: Bool,
        isTold: (_ row: Int) -> Bool
    ) -> [Int?]? {
        switch outcome {
        case .enrolled: guard isEnrolment else { return nil }
        case .deleted: guard !isEnrolment else { return nil }
        }
        var positions: [Int?] = []
        positions.reserveCapacity(checksums.count)
        guard let known = rowChecksums else {
            guard checksums.count == outcome.count else { return nil }
            for position in checksums.indices { positions.append(position) }
            return positions
        }
        guard isInherited else {
            var next = 0
            for checksum in checksums {
                guard let position = known[next...].firstIndex(of: checksum) else { return nil }
                positions.append(position)
                next = position + 1
            }
            return positions
        }
        var places = Dictionary(grouping: known.indices) { known[$0] }.mapValues { $0[...] }
        for (row, checksum) in checksums.enumerated() {
            guard isTold(row) else {
                positions.append(nil)
                continue
            }
            guard let position = places[checksum]?.popFirst() else { return nil }
            positions.append(position)
        }
        return positions
    }

    /// CRC-32C of a row to be enrolled: its id (16 bytes, as a key), its metadata as a face record has it with bit 9
    /// clear, and the CRC-32C of its embedding as it is stored (4).
    package static func checksum(of row: EnrolRow, embeddingChecksum: UInt32) -> UInt32 {
        var writer = ByteWriter(reservingByteCount: 64)
        MetadataCoding.write(row.metadata, to: &writer)
        writer.write(embeddingChecksum)
        let start = checksum(ofDeletionOf: row.id)
        return unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.extend(start, with: $0) }
    }

    /// CRC-32C of a face's id (16 bytes, as a key).
    package static func checksum(ofDeletionOf face: FaceID) -> UInt32 {
        unsafe face.withKeyBytes { unsafe CRC32C.checksum($0) }
    }
}
