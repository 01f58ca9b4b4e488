import FaceModel

extension ArchivePosition: WireValue {
    package static var leastByteCount: Int { 32 }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(sequence)
        writer.integer(epoch)
        writer.integer(chain)
        time.encode(into: &writer)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            sequence: try reader.integer("sequence"),
            epoch: try reader.integer("epoch"),
            chain: try reader.integer("chain"),
            time: try Timestamp(decoding: &reader)
        )
        guard isPossible else {
            throw .invalid(field: "archive position", rule: "another must be able to follow, and its time be one")
        }
    }
}

extension ArchivedEntry: WireValue {
    package static var leastByteCount: Int { 13 }
    package func encode(into writer: inout PayloadWriter) {
        time.encode(into: &writer)
        writer.integer(effect.rawValue)
        writer.bytes(bytes)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            time: try Timestamp(decoding: &reader),
            effect: try reader.enumeration("effect"),
            bytes: try reader.bytes("log entry", limit: Int(reader.limits.payloadByteCount))
        )
    }
}

extension ReadLog: WireRequest {
    package typealias Reply = LogRead
    package static var type: MessageType { .readLog }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        writer.optional(after)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(route: try ShardRoute(decoding: &reader), after: try reader.optional("after"))
    }
}

extension LogRead: WireMessage {
    package static var type: MessageType { .logRead }
    package var expectedByteCount: Int { entries.entries.reduce(256) { $0 + 16 + $1.bytes.count } }

    package func encode(into writer: inout PayloadWriter) {
        entries.start.encode(into: &writer)
        writer.flag(entries.continues)
        writer.array(entries.entries)
        entries.end.encode(into: &writer)
        writer.optional(entries.until)
        writer.integer(entries.remainingCount)
        writer.integer(entries.remainingByteCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        entries = ArchivedEntries(
            start: try ArchivePosition(decoding: &reader),
            continues: try reader.flag("continues"),
            entries: try reader.array("entries", limit: ArchivedEntries.entryLimit),
            end: try ArchivePosition(decoding: &reader),
            until: try reader.optional("until"),
            remainingCount: try reader.integer("remaining entries"),
            remainingByteCount: try reader.amount("remaining bytes", limit: AmountLimit.bytes)
        )
        let count = UInt64(entries.entries.count)
        let times = [entries.start.time] + entries.entries.map(\.time) + [entries.end.time]
        guard entries.end.sequence >= entries.start.sequence, entries.end.sequence - entries.start.sequence == count,
            entries.end.epoch >= entries.start.epoch, zip(times, times.dropFirst()).allSatisfy({ $0 <= $1 })
        else {
            throw .invalid(field: "entries", rule: "they must be those between both ends, in order of time")
        }
        guard entries.until.map({ Timestamp.computable.contains($0) }) ?? true else {
            throw .invalid(field: "until", rule: "it must be a time of 1970 to 9999")
        }
    }
}
