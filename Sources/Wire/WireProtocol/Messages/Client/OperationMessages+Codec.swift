import ClusterModel
import FaceModel

extension OperationOrder {
    private enum Tag: UInt8 {
        case move = 1
        case lead = 2
        case drain = 3
        case decommission = 4
        case recommission = 5
        case copies = 6
        case rebalance = 7
        case split = 8
        case merge = 9
        case train = 10
    }

    func encode(into writer: inout PayloadWriter) {
        switch self {
        case .move(let collection, let shardIndex, let from, let to):
            writer.integer(Tag.move.rawValue)
            writer.string(collection, "collection name")
            writer.integer(shardIndex)
            from.encode(into: &writer)
            writer.optional(to)
        case .lead(let collection, let shardIndex, let worker):
            writer.integer(Tag.lead.rawValue)
            writer.string(collection, "collection name")
            writer.integer(shardIndex)
            worker.encode(into: &writer)
        case .drain(let worker):
            writer.integer(Tag.drain.rawValue)
            worker.encode(into: &writer)
        case .decommission(let worker):
            writer.integer(Tag.decommission.rawValue)
            worker.encode(into: &writer)
        case .recommission(let worker):
            writer.integer(Tag.recommission.rawValue)
            worker.encode(into: &writer)
        case .copies(let collection, let count):
            writer.integer(Tag.copies.rawValue)
            writer.string(collection, "collection name")
            writer.integer(UInt8(clamping: count.replicationFactor))
            writer.integer(UInt8(clamping: count.minimumInSync))
        case .rebalance: writer.integer(Tag.rebalance.rawValue)
        case .split(let collection, let indices):
            writer.integer(Tag.split.rawValue)
            writer.string(collection, "collection name")
            writer.indices(indices)
        case .merge(let collection, let indices):
            writer.integer(Tag.merge.rawValue)
            writer.string(collection, "collection name")
            writer.indices(indices)
        case .train(let collection):
            writer.integer(Tag.train.rawValue)
            writer.string(collection, "collection name")
        }
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let tag: Tag = try reader.enumeration("order")
        switch tag {
        case .move:
            self = .move(
                collection: try reader.string("collection name", limit: NameLimit.collection),
                shardIndex: try reader.integer("shard index"),
                from: try NodeID(decoding: &reader),
                to: try reader.optional("target")
            )
        case .lead:
            self = .lead(
                collection: try reader.string("collection name", limit: NameLimit.collection),
                shardIndex: try reader.integer("shard index"),
                worker: try NodeID(decoding: &reader)
            )
        case .drain: self = .drain(try NodeID(decoding: &reader))
        case .decommission: self = .decommission(try NodeID(decoding: &reader))
        case .recommission: self = .recommission(try NodeID(decoding: &reader))
        case .copies:
            self = .copies(
                collection: try reader.string("collection name", limit: NameLimit.collection),
                CopyCount(
                    replicationFactor: Int(try reader.integer("replication factor") as UInt8),
                    minimumInSync: Int(try reader.integer("least copies in sync") as UInt8)
                )
            )
        case .rebalance: self = .rebalance
        case .split:
            self = .split(
                collection: try reader.string("collection name", limit: NameLimit.collection),
                shardIndices: try reader.indices()
            )
        case .merge:
            self = .merge(
                collection: try reader.string("collection name", limit: NameLimit.collection),
                shardIndices: try reader.indices()
            )
        case .train: self = .train(collection: try reader.string("collection name", limit: NameLimit.collection))
        }
    }
}

extension ReplicaChange: WireValue {
    private enum Tag: UInt8 {
        case move = 1
        case add = 2
        case remove = 3
        case lead = 4
        case split = 5
        case merge = 6
    }

    package static var leastByteCount: Int { 9 }

    package func encode(into writer: inout PayloadWriter) {
        switch self {
        case .move(let from, let to):
            writer.integer(Tag.move.rawValue)
            from.encode(into: &writer)
            to.encode(into: &writer)
        case .add(let worker):
            writer.integer(Tag.add.rawValue)
            worker.encode(into: &writer)
        case .remove(let worker):
            writer.integer(Tag.remove.rawValue)
            worker.encode(into: &writer)
        case .lead(let worker):
            writer.integer(Tag.lead.rawValue)
            worker.encode(into: &writer)
        case .split(let cut, let lower, let upper):
            writer.integer(Tag.split.rawValue)
            writer.integer(cut)
            writer.integer(lower)
            writer.integer(upper)
        case .merge(let other, let successor):
            writer.integer(Tag.merge.rawValue)
            writer.integer(other)
            writer.integer(successor)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let tag: Tag = try reader.enumeration("change")
        switch tag {
        case .move: self = .move(from: try NodeID(decoding: &reader), to: try NodeID(decoding: &reader))
        case .add: self = .add(try NodeID(decoding: &reader))
        case .remove: self = .remove(try NodeID(decoding: &reader))
        case .lead: self = .lead(try NodeID(decoding: &reader))
        case .split:
            self = .split(
                at: try reader.integer("cut"),
                lower: try reader.integer("shard index"),
                upper: try reader.integer("shard index")
            )
        case .merge: self = .merge(with: try reader.integer("shard index"), into: try reader.integer("shard index"))
        }
    }
}

extension PlanOperation: WireRequest {
    package typealias Reply = OperationPlan
    package static var type: MessageType { .planOperation }

    package func encode(into writer: inout PayloadWriter) { order.encode(into: &writer) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(order: try OperationOrder(decoding: &reader))
    }
}

extension OperationPlan: WireMessage {
    package static var type: MessageType { .operationPlan }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(steps)
        writer.array(loads)
        writer.double(estimatedSeconds)
        writer.double(assumedBytesPerSecond)
        writer.count(remarks.count)
        for remark in remarks { writer.string(remark, "remark") }
        writer.later { $0.integer(fingerprint) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            steps: try reader.array("steps"),
            loads: try reader.array("loads"),
            estimatedSeconds: try reader.double("estimated time", in: 0...1e12),
            assumedBytesPerSecond: try reader.double("assumed rate", in: 0...1e15)
        )
        for _ in 0..<(try reader.elementCount("remarks", leastByteCount: 2, limit: Self.remarkLimit)) {
            remarks.append(try reader.string("remark", limit: NameLimit.text))
        }
        fingerprint = try reader.later(0) { (reader) throws(WireDecodingError) in
            try reader.integer("fingerprint")
        }
    }
}

extension OperationPlan.Load: WireValue {
    package static var leastByteCount: Int { 56 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        for count in [
            incomingByteCount, outgoingByteCount, peakDiskByteCount, freeDiskByteCount, memoryByteCount,
        ] {
            writer.integer(count)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            incomingByteCount: try reader.integer("incoming bytes"),
            outgoingByteCount: try reader.integer("outgoing bytes"),
            peakDiskByteCount: try reader.integer("peak disk bytes"),
            freeDiskByteCount: try reader.integer("free disk bytes"),
            memoryByteCount: try reader.integer("memory bytes")
        )
    }
}

extension BeginOperation: WireRequest {
    package typealias Reply = OperationDescription
    package static var type: MessageType { .beginOperation }
    package var needsGuards: Bool { fingerprint != 0 }

    package func encode(into writer: inout PayloadWriter) {
        writer.identity(high: id.high, low: id.low)
        order.encode(into: &writer)
        writer.later { $0.integer(fingerprint) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let (high, low) = try reader.identity("operation")
        self.init(id: OperationID(high: high, low: low), order: try OperationOrder(decoding: &reader))
        fingerprint = try reader.later(0) { (reader) throws(WireDecodingError) in
            try reader.integer("fingerprint")
        }
    }
}

extension ChangeOperation: WireRequest {
    package typealias Reply = OperationDescription
    package static var type: MessageType { .changeOperation }

    package func encode(into writer: inout PayloadWriter) {
        writer.identity(high: id.high, low: id.low)
        writer.integer(verb.rawValue)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let (high, low) = try reader.identity("operation")
        self.init(id: OperationID(high: high, low: low), verb: try reader.enumeration("verb"))
    }
}

extension OperationDescription: WireMessage, WireValue {
    package static var type: MessageType { .operationDescription }
    package static var leastByteCount: Int { 35 }

    package func encode(into writer: inout PayloadWriter) {
        writer.identity(high: id.high, low: id.low)
        writer.integer(kind.rawValue)
        writer.optional(worker)
        writer.optional(collection) { $0.string($1, "collection name") }
        writer.integer(state.rawValue)
        created.encode(into: &writer)
        writer.optional(ended)
        writer.optional(note) { $0.string($1, "note") }
        writer.array(steps)
        writer.optional(rollout)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let (high, low) = try reader.identity("operation")
        self.init(
            id: OperationID(high: high, low: low),
            kind: try reader.enumeration("kind"),
            worker: try reader.optional("worker"),
            collection: try reader.flag("collection")
                ? try reader.string("collection name", limit: NameLimit.collection) : nil,
            state: try reader.enumeration("state"),
            created: try Timestamp(decoding: &reader),
            ended: try reader.optional("end"),
            note: try reader.flag("note") ? try reader.string("note", limit: NameLimit.text) : nil,
            steps: try reader.array("steps"),
            rollout: try reader.optional("rollout")
        )
    }
}

extension OperationDescription.Rollout: WireValue {
    package static var leastByteCount: Int { 28 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(generation)
        writer.integer(cause.rawValue)
        writer.integer(stage.rawValue)
        writer.optional(training)
        writer.array(shards)
        writer.double(rowsPerSecond)
        writer.optional(waitsFor) { $0.string($1, "reason") }
        writer.integer(silentMilliseconds)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            generation: try reader.integer("generation"),
            cause: try reader.enumeration("cause"),
            stage: try reader.enumeration("stage"),
            training: try reader.optional("training"),
            shards: try reader.array("shards"),
            rowsPerSecond: try reader.double("rate", in: 0...1e15),
            waitsFor: try reader.flag("reason") ? try reader.string("reason", limit: NameLimit.text) : nil,
            silentMilliseconds: try reader.integer("silent")
        )
    }
}

extension OperationDescription.Rollout.Shard: WireValue {
    package static var leastByteCount: Int { 28 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(index)
        writer.integer(replicaCount)
        writer.integer(installedCount)
        writer.integer(rowCount)
        writer.integer(codedRowCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            index: try reader.integer("shard index"),
            replicaCount: try reader.integer("replicas"),
            installedCount: try reader.integer("replicas that have it"),
            rowCount: try reader.integer("rows"),
            codedRowCount: try reader.integer("coded rows")
        )
    }
}

extension OperationDescription.Step: WireValue {
    package static var leastByteCount: Int { ReplicaChange.leastByteCount + 44 }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
        change.encode(into: &writer)
        writer.integer(state.rawValue)
        writer.optional(waitsFor) { $0.string($1, "reason") }
        writer.integer(totalByteCount)
        writer.integer(sentByteCount)
        writer.double(bytesPerSecond)
        writer.integer(silentMilliseconds)
        writer.integer(restartCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index"),
            change: try ReplicaChange(decoding: &reader),
            state: try reader.enumeration("state"),
            waitsFor: try reader.flag("reason") ? try reader.string("reason", limit: NameLimit.text) : nil,
            totalByteCount: try reader.integer("total bytes"),
            sentByteCount: try reader.integer("sent bytes"),
            bytesPerSecond: try reader.double("rate", in: 0...1e15),
            silentMilliseconds: try reader.integer("silent"),
            restartCount: try reader.integer("restarts")
        )
    }
}

extension ListOperations: WireRequest, EmptyWireMessage {
    package typealias Reply = OperationList
    package static var type: MessageType { .listOperations }
}

extension OperationList: WireMessage {
    package static var type: MessageType { .operationList }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(operations)
        writer.later { $0.array(replacements) }
        writer.later { writer in
            for operation in operations {
                writer.integer(operation.standstillMilliseconds)
                writer.integer(operation.failedTrainingCount)
            }
        }
        writer.later { writer in
            for operation in operations {
                writer.integer(operation.copiedByteCount)
                writer.integer(operation.totalByteCount)
                writer.integer(operation.remainingMilliseconds)
            }
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(operations: try reader.array("operations"))
        replacements = try reader.later([]) { (reader) throws(WireDecodingError) in
            try reader.array("replacements")
        }
        operations = try reader.later(operations) { (reader) throws(WireDecodingError) in
            var operations = operations
            for index in operations.indices {
                operations[index].standstillMilliseconds = try reader.integer("standstill")
                operations[index].failedTrainingCount = try reader.integer("failed trainings")
            }
            return operations
        }
        operations = try reader.later(operations) { (reader) throws(WireDecodingError) in
            var operations = operations
            for index in operations.indices {
                operations[index].copiedByteCount = try reader.integer("copied bytes")
                operations[index].totalByteCount = try reader.integer("bytes to copy")
                operations[index].remainingMilliseconds = try reader.integer("time left")
            }
            return operations
        }
    }
}

extension ExplainShard: WireRequest {
    package typealias Reply = ShardExplanation
    package static var type: MessageType { .explainShard }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(shardIndex)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            shardIndex: try reader.integer("shard index")
        )
    }
}

extension ShardExplanation: WireMessage {
    package static var type: MessageType { .shardExplanation }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(verdicts)
        writer.later { writer in for verdict in verdicts { writer.string(verdict.rule, "rule") } }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(verdicts: try reader.array("verdicts"))
        verdicts = try reader.later(verdicts) { (reader) throws(WireDecodingError) in
            var verdicts = verdicts
            for index in verdicts.indices {
                verdicts[index].rule = try reader.string("rule", limit: NameLimit.text)
            }
            return verdicts
        }
    }
}

extension ShardExplanation.Verdict: WireValue {
    package static var leastByteCount: Int { NodeID.leastByteCount + 4 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        writer.flag(hasReplica)
        writer.flag(isPinned)
        writer.string(reason, "reason")
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            hasReplica: try reader.flag("has a replica"),
            isPinned: try reader.flag("is pinned"),
            reason: try reader.string("reason", limit: NameLimit.text)
        )
    }
}
