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
        self.init(try reader.counter("epoch"))
    }
}

extension PayloadReader {
    /// What counts changes, so that there is a next one.
    mutating func counter(_ field: String) throws(WireDecodingError) -> UInt64 {
        let number: UInt64 = try integer(field)
        guard number <= Epoch.numberLimit else { throw .invalid(field: field, rule: "it must be at most 2^62") }
        return number
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

extension MemoryLedger: WireValue {
    package static var leastByteCount: Int { 42 + 8 * Part.allCases.count }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(bound.rawValue)
        for number in [limitByteCount, heldByteCount, reserveByteCount] { writer.integer(number) }
        writer.flag(isShort)
        for number in byteCounts { writer.integer(number) }
        writer.integer(freshByteCount)
        writer.integer(mapByteCount)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            bound: try reader.enumeration("memory bound"),
            limitByteCount: try reader.integer("memory limit"),
            heldByteCount: try reader.integer("held bytes"),
            reserveByteCount: try reader.integer("reserved bytes"),
            isShort: try reader.flag("memory is short")
        )
        for part in Part.allCases { self[part] = try reader.integer("bytes of a part") }
        freshByteCount = try reader.integer("fresh bytes")
        mapByteCount = try reader.integer("map bytes")
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
    /// A host that was recorded when any text was taken goes with `_` for what is not taken any more: it would else
    /// make all of an answer unreadable that it is a part of.
    package func encode(into writer: inout PayloadWriter) {
        let isSound = host.utf8.allSatisfy(Self.isOfHosts)
        let bytes = host.utf8.lazy.map { Self.isOfHosts($0) ? $0 : UInt8(ascii: "_") }
        writer.string(isSound ? host : String(decoding: bytes, as: UTF8.self), "host")
        writer.integer(UInt16(clamping: port))
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let host = try reader.string("host", limit: NameLimit.host)
        guard !host.isEmpty else { throw .invalid(field: "host", rule: "it must not be empty") }
        guard host.utf8.allSatisfy(Self.isOfHosts) else {
            throw .invalid(field: "host", rule: "it has letters, digits and .-_:%[] only")
        }
        self.init(host: host, port: Int(try reader.integer("port") as UInt16))
    }

    /// Whether there are names, or addresses in numbers, with this in them. They are shown on terminals and logged:
    /// what means something there is in none.
    private static func isOfHosts(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: ".-_:%[]".utf8.contains(byte)
        }
    }
}

extension ReplicaGroup: WireValue {
    package static var leastByteCount: Int { 16 + NodeID.leastByteCount + 13 + NodeID.leastByteCount }
    package func encode(into writer: inout PayloadWriter) {
        epoch.encode(into: &writer)
        writer.integer(version)
        primary.encode(into: &writer)
        writer.array(inSync)
        writer.array(learners)
        writer.count(minimumInSync)
        writer.flag(isFrozen)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let epoch = try Epoch(decoding: &reader)
        let version = try reader.counter("group version")
        let primary = try NodeID(decoding: &reader)
        let inSync: [NodeID] = try reader.array("replicas in sync")
        let learners: [NodeID] = try reader.array("learners")
        let minimumInSync = try reader.count("least replicas in sync", in: 1...Self.memberLimit)
        let isFrozen = try reader.flag("frozen")
        guard inSync.contains(primary) else { throw .invalid(field: "primary", rule: "it must be in sync") }
        guard inSync.count + learners.count <= Self.memberLimit,
            Set(inSync + learners).count == inSync.count + learners.count
        else { throw .invalid(field: "members", rule: "each must be there once, and no more than 255 of them") }
        self.init(
            epoch: epoch,
            version: version,
            primary: primary,
            inSync: inSync,
            learners: learners,
            minimumInSync: minimumInSync,
            isFrozen: isFrozen
        )
    }
}

extension GroupProposal: WireValue {
    package static var leastByteCount: Int { 17 + NodeID.leastByteCount }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(version)
        epoch.encode(into: &writer)
        let (kind, node): (UInt8, NodeID) =
            switch change {
            case .takeOver(let node): (1, node)
            case .remove(let node): (2, node)
            case .add(let node): (3, node)
            }
        writer.integer(kind)
        node.encode(into: &writer)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let version: UInt64 = try reader.integer("group version")
        let epoch = try Epoch(decoding: &reader)
        let kind: UInt8 = try reader.integer("kind of change")
        let node = try NodeID(decoding: &reader)
        let change: Change
        switch kind {
        case 1: change = .takeOver(node)
        case 2: change = .remove(node)
        case 3: change = .add(node)
        default: throw .unknownValue(field: "kind of change", value: UInt64(kind))
        }
        self.init(version: version, epoch: epoch, change: change)
    }
}
