import ClusterModel
import FaceModel

extension GetClusterStatus: WireRequest, EmptyWireMessage {
    package typealias Reply = ClusterStatus
    package static var type: MessageType { .getClusterStatus }
}

extension ClusterStatus.Worker: WireValue {
    package static var leastByteCount: Int { 59 }

    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        address.encode(into: &writer)
        writer.flag(isLive)
        writer.integer(silentMilliseconds)
        writer.integer(standing.rawValue)
        report.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            id: try NodeID(decoding: &reader),
            address: try NodeAddress(decoding: &reader),
            isLive: try reader.flag("is live"),
            silentMilliseconds: try reader.integer("silent"),
            standing: try reader.enumeration("standing"),
            report: try WorkerReport(decoding: &reader)
        )
    }
}

extension ClusterStatus.Coordinator: WireValue {
    package static var leastByteCount: Int { 22 }

    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        address.encode(into: &writer)
        writer.optional(controllerSince) { writer, since in writer.integer(since.milliseconds) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            id: try NodeID(decoding: &reader),
            address: try NodeAddress(decoding: &reader),
            controllerSince: try reader.optional("controller since") { reader throws(WireDecodingError) in
                Timestamp(milliseconds: try reader.integer("controller since"))
            }
        )
    }
}

extension ClusterStatus: WireMessage {
    package static var type: MessageType { .clusterStatus }
    package var expectedByteCount: Int { 4096 }

    package func encode(into writer: inout PayloadWriter) {
        clusterID.encode(into: &writer)
        coordinatorID.encode(into: &writer)
        writer.string(version, "version")
        writer.integer(uptimeSeconds)
        epoch.encode(into: &writer)
        activity.encode(into: &writer)
        writer.array(coordinators)
        writer.optional(storeProblem) { writer, text in writer.string(text, "store problem") }
        writer.array(workers)
        writer.array(collections)
        writer.later { writer in for hasLoss in losses { writer.flag(hasLoss) } }
        writer.later { writer in for rate in comparedRowRates { writer.double(rate) } }
        writer.later { writer in for cause in silenceCauses { writer.integer(cause.rawValue) } }
        writer.later { writer in writer.array(differentShards) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            clusterID: try NodeID(decoding: &reader),
            coordinatorID: try NodeID(decoding: &reader),
            version: try reader.string("version", limit: NameLimit.agent),
            uptimeSeconds: try reader.integer("uptime"),
            epoch: try Epoch(decoding: &reader),
            activity: try NodeActivity(decoding: &reader),
            coordinators: try reader.array("coordinators"),
            storeProblem: try reader.optional("store problem") { reader throws(WireDecodingError) in
                try reader.string("store problem", limit: NameLimit.text)
            },
            workers: try reader.array("workers"),
            collections: try reader.array("collections")
        )
        losses = try reader.later(losses) { (reader) throws(WireDecodingError) in
            try collections.map { _ throws(WireDecodingError) in try reader.flag("loss") }
        }
        comparedRowRates = try reader.later(comparedRowRates) { (reader) throws(WireDecodingError) in
            try workers.map { _ throws(WireDecodingError) in try reader.double("rows a second", in: 0...1e18) }
        }
        silenceCauses = try reader.later(silenceCauses) { (reader) throws(WireDecodingError) in
            try workers.map { _ throws(WireDecodingError) -> SilenceCause in try reader.enumeration("silence cause") }
        }
        differentShards = try reader.later(differentShards) { (reader) throws(WireDecodingError) in
            try reader.array("different shards")
        }
    }
}
