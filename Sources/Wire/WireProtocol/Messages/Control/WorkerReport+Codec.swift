import ClusterModel
import FaceModel

extension WorkerReport.Replica: WireValue {
    package static var leastByteCount: Int { 144 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.integer(groupVersion)
        writer.integer(role.rawValue)
        writer.integer(state.rawValue)
        for number in [faceCount, freshCount, tombstoneCount, sequence, diskByteCount] { writer.integer(number) }
        writer.integer(generation)
        writer.integer(olderGeneration)
        writer.integer(olderRowCount)
        fit.encode(into: &writer)
        writer.optional(checkpoint) { writer, checkpoint in
            writer.integer(checkpoint.sequence)
            writer.integer(checkpoint.digest)
        }
        writer.array(copies)
        writer.optional(end) { writer, end in
            writer.integer(end.groupVersion)
            writer.integer(end.sequence)
        }
        writer.float(warmth)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            groupVersion: try reader.counter("group version"),
            role: try reader.enumeration("replica role"),
            state: try reader.enumeration("replica state"),
            faceCount: try reader.amount("face count", limit: AmountLimit.rows),
            freshCount: try reader.amount("fresh count", limit: AmountLimit.rows),
            tombstoneCount: try reader.amount("tombstone count", limit: AmountLimit.rows),
            sequence: try reader.integer("sequence"),
            diskByteCount: try reader.amount("disk bytes", limit: AmountLimit.bytes),
            generation: try reader.integer("generation"),
            olderGeneration: try reader.integer("older generation"),
            olderRowCount: try reader.amount("rows of the older generation", limit: AmountLimit.rows),
            fit: try CodebookFit(decoding: &reader),
            checkpoint: try reader.optional("checkpoint") { reader throws(WireDecodingError) in
                WorkerReport.Checkpoint(
                    sequence: try reader.integer("checkpoint sequence"),
                    digest: try reader.integer("checkpoint digest")
                )
            },
            copies: try reader.array("copies"),
            end: try reader.optional("end") { reader throws(WireDecodingError) in
                WorkerReport.End(
                    groupVersion: try reader.counter("group version of the end"),
                    sequence: try reader.integer("sequence of the end")
                )
            },
            warmth: try reader.float("warmth", in: 0...1)
        )
    }
}

extension WorkerReport.Successor: WireValue {
    package static var leastByteCount: Int { ShardID.leastByteCount + 31 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        writer.integer(state.rawValue)
        writer.integer(rowCount)
        writer.integer(totalRowCount)
        writer.integer(diskByteCount)
        writer.array(sources)
        writer.string(failure, "failure")
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            state: try reader.enumeration("successor state"),
            rowCount: try reader.amount("row count", limit: AmountLimit.rows),
            totalRowCount: try reader.amount("total row count", limit: AmountLimit.rows),
            diskByteCount: try reader.amount("disk bytes", limit: AmountLimit.bytes),
            sources: try reader.array("sources", limit: PrepareSuccessor.sourceLimit),
            failure: try reader.string("failure", limit: NameLimit.text)
        )
    }
}

extension WorkerReport.Successor.Source: WireValue {
    package static var leastByteCount: Int { 12 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(shardIndex)
        writer.integer(sequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shardIndex: try reader.integer("shard index"), sequence: try reader.integer("sequence"))
    }
}

extension WorkerReport.Copy: WireValue {
    package static var leastByteCount: Int { 32 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        writer.integer(sentByteCount)
        writer.integer(totalByteCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            sentByteCount: try reader.amount("sent bytes", limit: AmountLimit.bytes),
            totalByteCount: try reader.amount("total bytes", limit: AmountLimit.bytes)
        )
    }
}

extension WorkerReport.SearchedRows: WireValue {
    package static var leastByteCount: Int { ShardID.leastByteCount + 8 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        writer.integer(rowCount)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), rowCount: try reader.integer("searched rows"))
    }
}

extension WorkerReport.PromisedEpoch: WireValue {
    package static var leastByteCount: Int { ShardID.leastByteCount + 8 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), epoch: try Epoch(decoding: &reader))
    }
}

extension WorkerReport.AppliedEpoch: WireValue {
    package static var leastByteCount: Int { ShardID.leastByteCount + 8 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), epoch: try Epoch(decoding: &reader))
    }
}

extension WorkerReport.CopyRefusal: WireValue {
    package static var leastByteCount: Int { 38 }

    package func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        worker.encode(into: &writer)
        writer.string(reason, "reason of a copy's refusal")
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            shard: try ShardID(decoding: &reader),
            worker: try NodeID(decoding: &reader),
            reason: try reader.string("reason of a copy's refusal", limit: Self.reasonLimit)
        )
    }
}

extension WorkerReport.Training.Progress: WireValue {
    package static var leastByteCount: Int { 13 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(stage.rawValue)
        writer.float(share)
        writer.integer(elapsedMilliseconds)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            stage: try reader.enumeration("training stage"),
            share: try reader.float("training share"),
            elapsedMilliseconds: try reader.integer("training time")
        )
    }
}

extension WorkerReport.Training: WireValue {
    package static var leastByteCount: Int { 23 }

    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.integer(generation)
        writer.flag(isFinished)
        writer.optional(failure) { $0.string($1, "failure") }
        writer.optional(progress)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try CollectionID(decoding: &reader),
            generation: try reader.integer("generation"),
            isFinished: try reader.flag("is finished"),
            failure: try reader.flag("failure") ? try reader.string("failure", limit: NameLimit.text) : nil,
            progress: try reader.optional("training progress")
        )
    }
}

extension WorkerReport {
    func encode(into writer: inout PayloadWriter) {
        writer.array(replicas)
        writer.array(successors)
        writer.array(trainings)
        writer.integer(residentByteCount)
        mapped.encode(into: &writer)
        writer.integer(freeDiskByteCount)
        writer.optional(availableMemoryByteCount) { writer, count in writer.integer(count) }
        memory.encode(into: &writer)
        writer.flag(isStopping)
        writer.string(kernelLevel, "kernel level")
        activity.encode(into: &writer)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            replicas: try reader.array("replicas"),
            successors: try reader.array("successors"),
            trainings: try reader.array("trainings"),
            residentByteCount: try reader.integer("resident bytes"),
            mapped: try MappedMemory(decoding: &reader),
            freeDiskByteCount: try reader.integer("free disk bytes"),
            availableMemoryByteCount: try reader.optional("available memory") { reader throws(WireDecodingError) in
                try reader.integer("available memory bytes")
            },
            memory: try MemoryLedger(decoding: &reader),
            isStopping: try reader.flag("is stopping"),
            kernelLevel: try reader.string("kernel level", limit: NameLimit.agent),
            activity: try NodeActivity(decoding: &reader)
        )
    }
}
