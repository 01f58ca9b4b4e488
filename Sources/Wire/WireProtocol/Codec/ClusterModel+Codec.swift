package import ClusterModel
import FaceModel

extension NodeID: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) { writer.identity(high: high, low: low) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let value = try reader.identity("node id")
        self.init(high: value.high, low: value.low)
    }
}

extension ShardID: WireValue {
    package static var leastByteCount: Int { 20 }
    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.integer(index)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(collection: try CollectionID(decoding: &reader), index: try reader.integer("shard index"))
    }
}

extension Epoch: WireValue {
    package static var leastByteCount: Int { 8 }
    package func encode(into writer: inout PayloadWriter) { writer.integer(number) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(try reader.integer("epoch"))
    }
}

extension MappedMemory: WireValue {
    package static var leastByteCount: Int { 32 }
    package func encode(into writer: inout PayloadWriter) {
        for number in [codeByteCount, residentCodeByteCount, rowByteCount, residentRowByteCount] {
            writer.integer(number)
        }
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            codeByteCount: try reader.integer("code bytes"),
            residentCodeByteCount: try reader.integer("resident code bytes"),
            rowByteCount: try reader.integer("row bytes"),
            residentRowByteCount: try reader.integer("resident row bytes")
        )
    }
}

extension NodeActivity: WireValue {
    package static var leastByteCount: Int { 116 }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(uptimeMilliseconds)
        writer.integer(connectionCount)
        writer.integer(requestsInFlight)
        for number in [
            searchCount, searchMedianMicroseconds, search99thMicroseconds, writeCount, write99thMicroseconds,
            writtenFaceCount, overloadCount,
        ] { writer.integer(number) }
        writer.integer(queuedSearchCount)
        writer.integer(queuedRowCount)
        for number in [recall.matchCount, recall.foundMatchCount, recall.mateCount, recall.foundMateCount] {
            writer.integer(number)
        }
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            uptimeMilliseconds: try reader.integer("uptime"),
            connectionCount: try reader.integer("connections"),
            requestsInFlight: try reader.integer("requests in flight"),
            searchCount: try reader.integer("searches"),
            searchMedianMicroseconds: try reader.integer("median search"),
            search99thMicroseconds: try reader.integer("99th search"),
            writeCount: try reader.integer("writes"),
            write99thMicroseconds: try reader.integer("99th write"),
            writtenFaceCount: try reader.integer("written faces"),
            overloadCount: try reader.integer("overloads"),
            queuedSearchCount: try reader.integer("queued searches"),
            queuedRowCount: try reader.integer("queued rows"),
            recall: RecallTally(
                matchCount: try reader.integer("compared matches"),
                foundMatchCount: try reader.integer("found matches"),
                mateCount: try reader.integer("compared mates"),
                foundMateCount: try reader.integer("found mates")
            )
        )
    }
}

extension HashRange: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(first)
        writer.integer(last)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let first: UInt64 = try reader.integer("first hash")
        let last: UInt64 = try reader.integer("last hash")
        guard first <= last else { throw .invalid(field: "hash range", rule: "it must not wrap") }
        self.init(first: first, last: last)
    }
}

extension NodeAddress: WireValue {
    package static var leastByteCount: Int { 5 }
    package func encode(into writer: inout PayloadWriter) {
        writer.string(host, "host")
        writer.integer(UInt16(clamping: port))
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let host = try reader.string("host", limit: NameLimit.host)
        guard !host.isEmpty else { throw .invalid(field: "host", rule: "it must not be empty") }
        self.init(host: host, port: Int(try reader.integer("port") as UInt16))
    }
}
