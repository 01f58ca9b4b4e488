import ClusterModel
import FaceModel

extension Heartbeat: WireRequest {
    package typealias Reply = HeartbeatReply
    package static var type: MessageType { .heartbeat }
    package var expectedByteCount: Int { 512 + report.replicas.count * 190 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        address.encode(into: &writer)
        writer.optional(clusterID)
        report.encode(into: &writer)
        writer.later {
            standing.encode(into: &$0)
            $0.array(report.copyRefusals)
            $0.array(report.stuckShards)
            $0.array(report.searchedRows)
            $0.integer(report.copyBytesPerSecond)
            $0.array(report.promisedEpochs)
            $0.array(report.appliedEpochs)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            address: try NodeAddress(decoding: &reader),
            clusterID: try reader.optional("cluster id"),
            report: try WorkerReport(decoding: &reader),
            standing: try reader.later(.untold) { (reader) throws(WireDecodingError) in
                try CoordinatorStanding(decoding: &reader)
            }
        )
        report.copyRefusals = try reader.later([]) { (reader) throws(WireDecodingError) in
            try reader.array("refusals of copies")
        }
        report.stuckShards = try reader.later([]) { (reader) throws(WireDecodingError) in
            try reader.array("stuck shards")
        }
        report.searchedRows = try reader.later([]) { (reader) throws(WireDecodingError) in
            try reader.array("searched rows")
        }
        report.copyBytesPerSecond = try reader.later(0) { (reader) throws(WireDecodingError) in
            try reader.integer("bytes of a copy a second")
        }
        report.promisedEpochs = try reader.later([]) { (reader) throws(WireDecodingError) in
            try reader.array("promised epochs")
        }
        report.appliedEpochs = try reader.later([]) { (reader) throws(WireDecodingError) in
            try reader.array("applied epochs")
        }
    }
}

extension HeartbeatReply: WireMessage {
    package static var type: MessageType { .heartbeatReply }

    package func encode(into writer: inout PayloadWriter) {
        clusterID.encode(into: &writer)
        epoch.encode(into: &writer)
        coordinator.encode(into: &writer)
        writer.integer(revision)
        writer.array(coordinators)
        writer.array(groups)
        writer.array(workers)
        writer.integer(recordAge)
        writer.later {
            $0.array(heldCollections)
            $0.optional(run)
            $0.array(heldCopies)
            $0.flag(omitsGroups)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            clusterID: try NodeID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            coordinator: try NodeID(decoding: &reader),
            revision: try reader.integer("revision"),
            coordinators: try reader.array("coordinators"),
            groups: try reader.array("groups"),
            workers: try reader.array("workers"),
            recordAge: try reader.integer("record age"),
            heldCollections: try reader.later([]) { (reader) throws(WireDecodingError) in
                try reader.array("held collections")
            },
            run: try reader.later(nil) { (reader) throws(WireDecodingError) in try reader.optional("run") },
            heldCopies: try reader.later([]) { (reader) throws(WireDecodingError) in
                try reader.array("held copies")
            },
            omitsGroups: try reader.later(false) { (reader) throws(WireDecodingError) in
                try reader.flag("omits groups")
            }
        )
    }
}

extension HeldCopy: WireValue {
    package static var leastByteCount: Int { ShardID.leastByteCount + 16 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        worker.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), worker: try NodeID(decoding: &reader))
    }
}

extension ShardGroup: WireValue, WireMessage {
    package static var type: MessageType { .groupRecord }
    package static var leastByteCount: Int { ShardID.leastByteCount + ReplicaGroup.leastByteCount }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        group.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), group: try ReplicaGroup(decoding: &reader))
    }
}

extension ProposeGroup: WireRequest {
    package typealias Reply = ShardGroup
    package static var type: MessageType { .proposeGroup }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        proposal.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), proposal: try GroupProposal(decoding: &reader))
    }
}

extension HeartbeatReply.Node: WireValue {
    package static var leastByteCount: Int { NodeID.leastByteCount + NodeAddress.leastByteCount }

    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        address.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(id: try NodeID(decoding: &reader), address: try NodeAddress(decoding: &reader))
    }
}

extension HostReplica: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .hostReplica }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        range.encode(into: &writer)
        collection.encode(into: &writer)
        erasureKey.encode(into: &writer)
        group.encode(into: &writer)
        writer.flag(mayBegin)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            range: try HashRange(decoding: &reader),
            collection: try Collection(decoding: &reader),
            erasureKey: try ErasureKey(decoding: &reader),
            group: try ReplicaGroup(decoding: &reader),
            mayBegin: try reader.flag("may begin")
        )
    }
}

extension DropReplica: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .dropReplica }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.later { writer in
            if let groupVersion { writer.integer(groupVersion) }
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            groupVersion: try reader.later(nil) { (reader) throws(WireDecodingError) in
                try reader.integer("group version")
            }
        )
    }
}

extension PrepareSuccessor: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .prepareSuccessor }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        range.encode(into: &writer)
        collection.encode(into: &writer)
        erasureKey.encode(into: &writer)
        writer.indices(sources)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            range: try HashRange(decoding: &reader),
            collection: try Collection(decoding: &reader),
            erasureKey: try ErasureKey(decoding: &reader),
            sources: try reader.indices(limit: Self.sourceLimit)
        )
        guard !sources.isEmpty, Set(sources).count == sources.count else {
            throw .invalid(field: "sources", rule: "one at least, each once")
        }
    }
}

extension AbandonSuccessor: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .abandonSuccessor }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        writer.later { $0.flag(sparesSealed) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            sparesSealed: try reader.later(true) { (reader) throws(WireDecodingError) in
                try reader.flag("spares what is whole")
            }
        )
    }
}

extension AbandonTraining: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .abandonTraining }

    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.integer(generation)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(collection: try CollectionID(decoding: &reader), generation: try reader.integer("generation"))
    }
}

extension VerifyReplica: WireRequest {
    package typealias Reply = ReplicaVerified
    package static var type: MessageType { .verifyReplica }

    package func encode(into writer: inout PayloadWriter) { shard.encode(into: &writer) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader))
    }
}

extension ReplicaVerified: WireMessage {
    package static var type: MessageType { .replicaVerified }
    package var expectedByteCount: Int { 512 + 16 * slices.count }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(sequence)
        writer.integer(faceCount)
        writer.flag(!slices.isEmpty)
        for slice in slices {
            writer.integer(UInt64(truncatingIfNeeded: slice))
            writer.integer(UInt64(truncatingIfNeeded: slice >> 64))
        }
        writer.optional(damage) { $0.string($1, "damage") }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let sequence: UInt64 = try reader.integer("sequence")
        let faceCount = try reader.amount("face count", limit: AmountLimit.rows)
        var slices: [UInt128] = []
        if try reader.flag("slices") {
            for _ in 0..<Self.sliceCount {
                let low: UInt64 = try reader.integer("slice")
                let high: UInt64 = try reader.integer("slice")
                slices.append(UInt128(high) << 64 | UInt128(low))
            }
        }
        self.init(
            sequence: sequence,
            faceCount: faceCount,
            slices: slices,
            damage: try reader.flag("damage") ? try reader.string("damage", limit: NameLimit.text) : nil
        )
    }
}

extension TrainCodebook.Source: WireValue {
    package static var leastByteCount: Int { 37 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
        address.encode(into: &writer)
        writer.integer(sampleCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            address: try NodeAddress(decoding: &reader),
            sampleCount: try reader.integer("sample count")
        )
    }
}

extension TrainCodebook: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .trainCodebook }
    package var expectedByteCount: Int { 512 + sources.count * 64 }

    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.integer(generation)
        writer.integer(listCount)
        writer.array(sources)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try Collection(decoding: &reader),
            generation: try reader.integer("generation"),
            listCount: try reader.integer("list count"),
            sources: try reader.array("sources", isEmptyAllowed: false)
        )
    }
}

extension FetchCodebook: WireRequest {
    package typealias Reply = CodebookFetched
    package static var type: MessageType { .fetchCodebook }

    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.integer(generation)
        writer.integer(offset)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try CollectionID(decoding: &reader),
            generation: try reader.integer("generation"),
            offset: try reader.integer("offset")
        )
    }
}

extension CodebookSlice {
    package static let byteLimit = 4 << 20

    func encode(into writer: inout PayloadWriter) {
        writer.integer(totalByteCount)
        writer.integer(offset)
        writer.bytes(bytes)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            totalByteCount: try reader.integer("total byte count"),
            offset: try reader.integer("offset"),
            bytes: try reader.bytes("slice", limit: Self.byteLimit)
        )
        let (end, overflows) = offset.addingReportingOverflow(UInt64(bytes.count))
        if overflows || end > totalByteCount {
            throw .invalid(field: "slice", rule: "it must lie inside the codebook's total byte count")
        }
    }
}

extension CodebookFetched: WireMessage {
    package static var type: MessageType { .codebookFetched }
    package var expectedByteCount: Int { 512 + slice.bytes.count }

    package func encode(into writer: inout PayloadWriter) {
        slice.encode(into: &writer)
        summary.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            slice: try CodebookSlice(decoding: &reader),
            summary: try CollectionDescription.Codebook(decoding: &reader)
        )
    }
}

extension InstallCodebook: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .installCodebook }
    package static let digestByteCount = 32
    package var expectedByteCount: Int { 512 + slice.bytes.count }

    package func encode(into writer: inout PayloadWriter) {
        precondition(digest.count == Self.digestByteCount, "the digest is a SHA-256")
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.integer(generation)
        writer.fixedBytes(digest)
        slice.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            generation: try reader.integer("generation"),
            digest: try reader.fixedBytes("digest", byteCount: Self.digestByteCount),
            slice: try CodebookSlice(decoding: &reader)
        )
    }
}

extension SampleEmbeddings: WireRequest {
    package typealias Reply = EmbeddingSample
    package static var type: MessageType { .sampleEmbeddings }
    package static let countRange = 1...4096

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        writer.integer(count)
        writer.integer(seed)
        writer.later {
            $0.integer(totalCount)
            $0.integer(firstRow)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            count: UInt32(try reader.count("count", in: Self.countRange)),
            seed: try reader.integer("seed")
        )
        (totalCount, firstRow) = try reader.later((0, 0)) { (reader) throws(WireDecodingError) in
            (try reader.integer("total count"), try reader.integer("first row"))
        }
    }
}

extension EmbeddingSample: WireMessage {
    package static var type: MessageType { .embeddingSample }
    package var expectedByteCount: Int { 64 + embeddings.values.count * 4 }

    package func encode(into writer: inout PayloadWriter) {
        writer.matrix(embeddings)
        let next: UInt64 =
            switch continuation {
            case .untold: 0
            case .from(let row): UInt64(row) + 1
            case .end: .max
            }
        writer.later { $0.integer(next) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(embeddings: try reader.matrix("embeddings"))
        let next: UInt64 = try reader.later(0) { (reader) throws(WireDecodingError) in try reader.integer("next row") }
        switch next {
        case 0: continuation = .untold
        case .max: continuation = .end
        case 1...UInt64(UInt32.max) + 1: continuation = .from(row: UInt32(next - 1))
        default: throw .invalid(field: "next row", rule: "0, a row and one more, or all ones")
        }
    }
}
