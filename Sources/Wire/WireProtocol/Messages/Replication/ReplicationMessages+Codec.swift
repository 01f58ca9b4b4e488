import ClusterModel

extension LogEntryBytes: WireValue {
    package static var leastByteCount: Int { 4 }

    package func encode(into writer: inout PayloadWriter) { writer.bytes(bytes) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(try reader.bytes("log entry", limit: Int(reader.limits.payloadByteCount)))
    }
}

extension AppendEntries.Lease: WireValue {
    package static var leastByteCount: Int { 16 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(echo)
        writer.integer(confirmationAge)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(echo: try reader.integer("echo"), confirmationAge: try reader.integer("confirmation age"))
    }
}

extension AppendEntries: WireRequest {
    package typealias Reply = EntriesAppended
    package static var type: MessageType { .appendEntries }
    package static let entryLimit = 4096
    package var expectedByteCount: Int { entries.reduce(256) { $0 + 4 + $1.bytes.count } }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        sender.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.integer(previousSequence)
        previousEpoch.encode(into: &writer)
        writer.integer(committed)
        writer.integer(sent)
        writer.optional(lease)
        writer.array(entries)
        writer.flag(asks)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            sender: try NodeID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            previousSequence: try reader.integer("previous sequence"),
            previousEpoch: try Epoch(decoding: &reader),
            committed: try reader.integer("committed sequence"),
            sent: try reader.integer("time of sending"),
            lease: try reader.optional("lease"),
            entries: try reader.array("entries", limit: Self.entryLimit),
            asks: try reader.flag("asks")
        )
    }
}

extension EntriesAppended: WireMessage {
    package static var type: MessageType { .entriesAppended }

    package func encode(into writer: inout PayloadWriter) {
        epoch.encode(into: &writer)
        let (kind, first, second, third): (UInt8, UInt64, UInt64, UInt64) =
            switch outcome {
            case .accepted(let matched, let applied): (1, matched, applied, 0)
            case .mismatch(let last): (2, last, 0, 0)
            case .fenced(let promised): (3, promised.number, 0, 0)
            case .ahead(let applied): (4, 0, applied, 0)
            case .standing(let sequence, let epoch, let applied): (5, sequence, applied, epoch.number)
            }
        writer.integer(kind)
        writer.integer(first)
        writer.integer(second)
        writer.integer(third)
        writer.integer(sent)
        writer.integer(replied)
        writer.integer(version)
        writer.flag(hasRoom)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let epoch = try Epoch(decoding: &reader)
        let kind: UInt8 = try reader.integer("outcome")
        let first: UInt64 = try reader.integer("sequence")
        let second: UInt64 = try reader.integer("applied sequence")
        let third = try Epoch(decoding: &reader)
        let outcome: Outcome
        switch kind {
        case 1: outcome = .accepted(matched: first, applied: second)
        case 2: outcome = .mismatch(last: first)
        case 3: outcome = .fenced(promised: Epoch(first))
        case 4: outcome = .ahead(applied: second)
        case 5: outcome = .standing(lastSequence: first, lastEpoch: third, applied: second)
        default: throw .unknownValue(field: "outcome", value: UInt64(kind))
        }
        self.init(
            epoch: epoch,
            outcome: outcome,
            sent: try reader.integer("time of sending"),
            replied: try reader.integer("time of answering"),
            version: try reader.integer("group version"),
            hasRoom: try reader.flag("has room")
        )
    }
}

extension OfferCopy: WireRequest {
    package typealias Reply = CopyStanding
    package static var type: MessageType { .offerCopy }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        sender.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.integer(copy)
        writer.integer(sequence)
        writer.integer(totalByteCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            sender: try NodeID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            copy: try reader.integer("copy"),
            sequence: try reader.integer("sequence"),
            totalByteCount: try reader.integer("total byte count")
        )
    }
}

extension CopyStanding: WireMessage {
    package static var type: MessageType { .copyStanding }

    package func encode(into writer: inout PayloadWriter) {
        writer.flag(receivedByteCount != nil)
        writer.integer(receivedByteCount ?? 0)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let isTaken = try reader.flag("takes it")
        let count: UInt64 = try reader.integer("received byte count")
        self.init(receivedByteCount: isTaken ? count : nil)
    }
}

extension PartitionSlice: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .partitionSlice }
    package var expectedByteCount: Int { 128 + bytes.count }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        sender.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.integer(copy)
        writer.integer(sequence)
        writer.integer(totalByteCount)
        writer.integer(offset)
        writer.bytes(bytes)
        writer.later { $0.bytes(digest ?? []) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            sender: try NodeID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            copy: try reader.integer("copy"),
            sequence: try reader.integer("sequence"),
            totalByteCount: try reader.integer("total byte count"),
            offset: try reader.integer("offset"),
            bytes: try reader.bytes("slice", limit: Self.byteLimit),
            digest: try reader.later([]) { (reader) throws(WireDecodingError) in
                try reader.bytes("digest of the copy", limit: 32)
            }
        )
        if digest?.isEmpty == true { digest = nil }
        let (end, overflows) = offset.addingReportingOverflow(UInt64(bytes.count))
        if overflows || end > totalByteCount || bytes.isEmpty {
            throw .invalid(field: "slice", rule: "it must have bytes, and lie inside the copy's total byte count")
        }
        if let digest, digest.count != 32 {
            throw .invalid(field: "digest of the copy", rule: "it must have 32 bytes, or none")
        }
    }
}
