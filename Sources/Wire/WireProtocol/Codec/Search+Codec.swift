package import FaceModel

extension SearchParameters {
    func encode(into writer: inout PayloadWriter) {
        writer.count(max(0, matchLimit))
        writer.optional(threshold) { $0.float($1) }
        switch effort {
        case .exact: writer.integer(1 as UInt8)
        case .full: writer.integer(2 as UInt8)
        case .lists(let count):
            writer.integer(3 as UInt8)
            writer.count(max(0, count))
        case .recall(let target):
            writer.integer(4 as UInt8)
            writer.double(target)
        }
        writer.optional(filter) { writer, filter in filter.encode(into: &writer) }
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let matchLimits = Self.matchLimitRange
        let highest = min(matchLimits.upperBound, max(matchLimits.lowerBound, Int(reader.limits.matchLimit)))
        let matchLimit = try reader.count("k", in: matchLimits.lowerBound...highest)
        let threshold = try reader.flag("threshold") ? try reader.float("threshold") : nil
        let kind: UInt8 = try reader.integer("effort")
        let effort: SearchEffort
        switch kind {
        case 1: effort = .exact
        case 2: effort = .full
        case 3: effort = .lists(try reader.count("effort lists", in: SearchEffort.listCountRange))
        case 4: effort = .recall(try reader.double("effort recall", in: SearchEffort.recallRange))
        default: throw .unknownValue(field: "effort", value: UInt64(kind))
        }
        let filter = try reader.flag("filter") ? try FaceFilter(decoding: &reader) : nil
        self.init(matchLimit: matchLimit, threshold: threshold, effort: effort, filter: filter)
        if let problem { throw .invalid(field: "search parameters", rule: problem) }
    }
}

extension FaceFilter {
    func encode(into writer: inout PayloadWriter) {
        for (ids, field) in [(personIDs, "person id"), (externalImageIDs, "external image id")] {
            writer.optional(ids) { writer, ids in
                writer.count(ids.count)
                for id in ids { writer.string(id, field) }
            }
        }
        writer.optional(createdFrom)
        writer.optional(createdBefore)
        writer.count(attributes.count)
        for (key, value) in attributes.sorted(by: { $0.key < $1.key }) {
            writer.string(key, "attribute key")
            writer.string(value, "attribute value")
        }
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            personIDs: try Self.ids(&reader, "person id"),
            externalImageIDs: try Self.ids(&reader, "external image id"),
            createdFrom: try reader.optional("created from"),
            createdBefore: try reader.optional("created before")
        )
        let count = try reader.elementCount(
            "filter attributes",
            leastByteCount: 4,
            limit: FaceMetadata.attributeCountLimit
        )
        for _ in 0..<count {
            let key = try reader.string("attribute key", limit: FaceMetadata.attributeKeyByteLimit)
            let value = try reader.string("attribute value", limit: FaceMetadata.attributeValueByteLimit)
            if attributes.updateValue(value, forKey: key) != nil { throw .duplicate(field: "filter attributes") }
        }
    }

    private static func ids(
        _ reader: inout PayloadReader,
        _ field: String
    ) throws(WireDecodingError) -> [String]? {
        guard try reader.flag("filter \(field)s") else { return nil }
        let count = try reader.elementCount(
            "filter \(field)s",
            leastByteCount: 2,
            limit: idCountLimit,
            isEmptyAllowed: false
        )
        var ids: [String] = []
        ids.reserveCapacity(count)
        for _ in 0..<count { ids.append(try reader.string(field, limit: FaceMetadata.nameByteLimit)) }
        return ids
    }
}

extension CoverageRequirement {
    func encode(into writer: inout PayloadWriter) {
        switch self {
        case .full: writer.integer(1 as UInt8)
        case .minimum(let share):
            writer.integer(2 as UInt8)
            writer.double(share)
        }
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        switch try reader.integer("coverage requirement") as UInt8 {
        case 1: self = .full
        case 2: self = .minimum(try reader.double("minimum coverage", in: 0...1))
        case let kind: throw .unknownValue(field: "coverage requirement", value: UInt64(kind))
        }
    }
}

extension ProbeOutcome: WireValue {
    package static var leastByteCount: Int { 2 }
    package func encode(into writer: inout PayloadWriter) {
        switch self {
        case .matches(let matches):
            writer.integer(1 as UInt8)
            writer.array(matches)
        case .rejected(let reason):
            writer.integer(2 as UInt8)
            writer.integer(reason.rawValue)
        }
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        switch try reader.integer("outcome") as UInt8 {
        case 1: self = .matches(try reader.array("matches"))
        case 2: self = .rejected(try reader.enumeration("rejection"))
        case let kind: throw .unknownValue(field: "outcome", value: UInt64(kind))
        }
    }
}

extension Coverage.MissingShard: WireValue {
    package static var leastByteCount: Int { 5 }
    package func encode(into writer: inout PayloadWriter) {
        writer.integer(shardIndex)
        writer.integer(reason.rawValue)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shardIndex: try reader.integer("shard index"), reason: try reader.enumeration("reason"))
    }
}

extension Coverage {
    func encode(into writer: inout PayloadWriter) {
        writer.count(shardsAsked)
        writer.count(shardsAnswered)
        writer.integer(facesTotal)
        writer.integer(facesAnswered)
        writer.integer(rowsVisited)
        writer.integer(listsVisited)
        writer.integer(generation)
        writer.array(missing)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shardsAsked: Int(try reader.integer("shards asked") as UInt32),
            shardsAnswered: Int(try reader.integer("shards answered") as UInt32),
            facesTotal: try reader.integer("faces total"),
            facesAnswered: try reader.integer("faces answered"),
            rowsVisited: try reader.integer("rows visited"),
            listsVisited: try reader.integer("lists visited"),
            generation: try reader.integer("generation"),
            missing: try reader.array("missing shards")
        )
    }
}
