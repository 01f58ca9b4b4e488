import MienClient

/// Operations and plans as text and as JSON.
enum OperationReport {
    /// Steps that are listed of those that are not taken back, or not made.
    private static let keptLimit = 20

    static func text(_ operation: OperationInfo, in cluster: ClusterInfo) -> String {
        let names = WorkerName.addresses(of: cluster)
        var text = "operation \(operation.id): \(title(operation, names)), \(operation.state.rawValue)"
        let ended = operation.steps.count(where: \.state.hasEnded)
        if !operation.steps.isEmpty {
            text += ", \(ended) of \(NumberText.counted(operation.steps.count, "step")) ended"
        }
        if operation.totalByteCount > 0 {
            let total = NumberText.bytes(operation.totalByteCount)
            text += ", \(NumberText.bytes(operation.copiedByteCount)) of \(total) copied"
        }
        if let time = operation.remainingTime { text += ", about \(NumberText.duration(time)) left" }
        text += ", begun \(TimeText.text(operation.created))"
        if let end = operation.ended { text += ", ended \(TimeText.text(end))" }
        text += "\n"
        if let note = operation.note { text += "  \(note)\n" }
        let open = operation.steps.filter { !$0.state.hasEnded }
        if !open.isEmpty { text += table(open, names) }
        if operation.state == .cancelling || operation.state == .cancelled { text += kept(operation, names) }
        // Others take the place of those of a drain.
        if operation.kind == .rebalance || operation.kind == .copies, operation.state == .done {
            text += listed(.undone, "not made", operation, names)
        }
        if let rollout = operation.rollout {
            text += "  \(RolloutReport.cause(rollout.cause))\n"
            if !operation.state.hasEnded { text += RolloutReport.table(rollout, names) }
        }
        return text + alerts(StandstillReport.sentences(operation))
    }

    private static func alerts(_ sentences: [String]) -> String { sentences.map { "  ! \($0)\n" }.joined() }

    /// Copies that no operation brings; empty without any.
    static func text(replacements: [OperationInfo.Step], in cluster: ClusterInfo) -> String {
        guard !replacements.isEmpty else { return "" }
        return "replacement of lost copies, running, \(NumberText.counted(replacements.count, "step")) open\n"
            + table(replacements, WorkerName.addresses(of: cluster))
            + alerts(StandstillReport.sentences(replacements))
    }

    /// One that is being put back, which a program does and no operation; nil of any other.
    static func restoration(_ collection: CollectionInfo) -> String? {
        guard let backup = collection.restoredFrom else { return nil }
        return "restore of '\(collection.options.name)' from \(backup), not ended: "
            + "\(NumberText.counted(collection.faceCount, "face")) so far, begun "
            + "\(TimeText.text(collection.created))\n"
            + "  If no 'mien backup restore' is at it, give the same command again, or 'mien collection delete'.\n"
    }

    static func text(_ plan: OperationPlanInfo, in cluster: ClusterInfo) -> String {
        let names = WorkerName.addresses(of: cluster)
        let remarks = plan.remarks.map { $0 + "\n" }.joined()
        if plan.steps.isEmpty, !remarks.isEmpty { return remarks + "Nothing was changed.\n" }
        guard !plan.steps.isEmpty else { return "Nothing has to move.\n" + remarks }
        var steps = TextTable([
            .init("shard", widthLimit: 48), .init("change", widthLimit: 64), .init("bytes", .right),
            .init("held up now by", widthLimit: 120),
        ])
        for step in plan.steps {
            steps.append([
                "\(step.collection)/\(step.shardIndex)", change(step.change, names),
                step.totalByteCount == 0 ? "-" : NumberText.bytes(step.totalByteCount), step.waitsFor ?? "",
            ])
        }
        var loads = TextTable([
            .init("worker", widthLimit: 48), .init("gets", .right), .init("sends", .right),
            .init("most disk", .right), .init("free disk", .right), .init("more memory", .right),
        ])
        for load in plan.loads {
            loads.append([
                names[load.workerID] ?? load.workerID, NumberText.bytes(load.incomingByteCount),
                NumberText.bytes(load.outgoingByteCount), NumberText.bytes(load.peakDiskByteCount),
                NumberText.bytes(load.freeDiskByteCount), NumberText.bytes(load.memoryByteCount),
            ])
        }
        let total = plan.loads.reduce(0) { $0 + $1.incomingByteCount }
        var text = steps.rendered()
        if !plan.loads.isEmpty {
            let rate = NumberText.bytes(UInt64(plan.assumedBytesPerSecond))
            text += "\n" + loads.rendered()
            let time = NumberText.duration(plan.estimatedTime)
            text += "\n\(NumberText.bytes(total)) to copy, about \(time) at \(rate)/s.\n"
        }
        return text + remarks + "Nothing was changed.\n"
    }

    private static func title(_ operation: OperationInfo, _ names: [String: String]) -> String {
        let worker = operation.workerID.map { names[$0] ?? $0 } ?? "?"
        return switch operation.kind {
        case .change:
            operation.steps.count == 1 ? "change of \(subject(operation.steps[0], names))" : "change of shards"
        case .drain: "drain of \(worker)"
        case .decommission: "decommission of \(worker)"
        case .recommission: "recommission of \(worker)"
        case .copies: "other number of copies of \(RolloutReport.name(operation.collection))"
        case .rebalance: "rebalance"
        case .rollout: operation.rollout.map { RolloutReport.title($0, of: operation.collection) } ?? "rollout"
        }
    }

    private static func subject(_ step: OperationInfo.Step, _ names: [String: String]) -> String {
        "shard \(step.collection)/\(step.shardIndex) (\(change(step.change, names)))"
    }

    private static func table(_ steps: [OperationInfo.Step], _ names: [String: String]) -> String {
        var table = TextTable([
            .init("  shard", widthLimit: 48), .init("change", widthLimit: 64), .init("state"),
            .init("copied", .right), .init("rate", .right), .init("left", .right), .init("unchanged", .right),
            .init("restarts", .right), .init("waits for", widthLimit: 480),
        ])
        for step in steps {
            let isCopying = step.state == .running && step.totalByteCount > 0
            let left = step.totalByteCount - min(step.sentByteCount, step.totalByteCount)
            table.append([
                "  \(step.collection)/\(step.shardIndex)", change(step.change, names), step.state.rawValue,
                isCopying
                    ? "\(NumberText.bytes(step.sentByteCount)) of \(NumberText.bytes(step.totalByteCount))" : "-",
                isCopying && step.bytesPerSecond > 0 ? "\(NumberText.bytes(UInt64(step.bytesPerSecond)))/s" : "-",
                isCopying && step.bytesPerSecond > 0
                    ? NumberText.duration(.seconds(Double(left) / step.bytesPerSecond)) : "-",
                step.state == .waiting ? "-" : NumberText.duration(step.silence), "\(step.restartCount)",
                step.waitsFor ?? "",
            ])
        }
        return table.rendered()
    }

    /// What an operation that is taken back leaves as it is.
    private static func kept(_ operation: OperationInfo, _ names: [String: String]) -> String {
        let parts: [(title: String, state: OperationInfo.StepState)] = [
            ("brought to its end, since it is past its commit point", .running),
            ("done, and not taken back", .done),
        ]
        return parts.map { listed($0.state, $0.title, operation, names) }.joined()
    }

    /// Steps of one state under a title; empty without any.
    private static func listed(
        _ state: OperationInfo.StepState,
        _ title: String,
        _ operation: OperationInfo,
        _ names: [String: String]
    ) -> String {
        let steps = operation.steps.filter { $0.state == state }
        guard !steps.isEmpty else { return "" }
        let lines = steps.prefix(keptLimit).map {
            "    \($0.collection)/\($0.shardIndex)  \(change($0.change, names))\n"
        }
        let others = steps.count > keptLimit ? "    and \(steps.count - keptLimit) more\n" : ""
        return "  \(title):\n" + lines.joined() + others
    }

    private static func change(_ change: OperationInfo.Change, _ names: [String: String]) -> String {
        func name(_ worker: String) -> String { names[worker] ?? worker }
        return switch change {
        case .move(let from, let to): "\(name(from)) -> \(name(to))"
        case .add(let worker): "add \(name(worker))"
        case .remove(let worker): "remove \(name(worker))"
        case .lead(let worker): "primary to \(name(worker))"
        case .split(let shards): "split into \(shards.map(String.init).joined(separator: " and "))"
        case .merge(let other, let shard): "merge with \(other) into \(shard)"
        }
    }

    /// All of them; then the replacement of lost copies, where there is one, and what is being restored.
    static func json(
        _ operations: [OperationInfo],
        replacements: [OperationInfo.Step],
        restorations: [CollectionInfo]
    ) -> JSONValue {
        let replacement = JSONValue.object([
            ("id", .null), ("kind", .string("replacement")), ("worker", .null), ("collection", .null),
            ("state", .string(OperationInfo.State.running.rawValue)), ("created", .null), ("ended", .null),
            ("note", .null), ("steps", .array(replacements.map(json))), ("rollout", .null),
            ("standstills", .array(StandstillReport.sentences(replacements).map { .string($0) })),
        ])
        var values = operations.map(json)
        if !replacements.isEmpty { values.append(replacement) }
        values += restorations.compactMap(restorationJSON)
        return .array(values)
    }

    /// Nil of a collection that is not being restored.
    private static func restorationJSON(_ collection: CollectionInfo) -> JSONValue? {
        guard let backup = collection.restoredFrom else { return nil }
        return .object([
            ("id", .null), ("kind", .string("restore")), ("worker", .null),
            ("collection", .string(collection.options.name)),
            ("state", .string(OperationInfo.State.running.rawValue)),
            ("created", .string(TimeText.text(collection.created))), ("ended", .null), ("note", .null),
            ("steps", .array([])), ("rollout", .null), ("standstills", .array([])), ("backup", .string(backup)),
            ("faces", .count(collection.faceCount)),
        ])
    }

    static func json(_ operation: OperationInfo) -> JSONValue {
        .object([
            ("id", .string(operation.id)), ("kind", .string(operation.kind.rawValue)),
            ("worker", .text(operation.workerID)), ("collection", .text(operation.collection)),
            ("state", .string(operation.state.rawValue)), ("created", .string(TimeText.text(operation.created))),
            ("ended", .text(operation.ended.map { TimeText.text($0) })), ("note", .text(operation.note)),
            ("steps", .array(operation.steps.map(json))),
            ("rollout", operation.rollout.map(RolloutReport.json) ?? .null),
            ("standstills", .array(StandstillReport.sentences(operation).map { .string($0) })),
            ("copied_bytes", .count(operation.copiedByteCount)), ("total_bytes", .count(operation.totalByteCount)),
            ("seconds_left", operation.remainingTime.map { .number(NumberText.seconds($0)) } ?? .null),
        ])
    }

    static func json(_ plan: OperationPlanInfo) -> JSONValue {
        .object([
            ("plan", .text(plan.id.isEmpty ? nil : plan.id)),
            ("steps", .array(plan.steps.map(json))),
            (
                "workers",
                .array(
                    plan.loads.map { load in
                        .object([
                            ("worker", .string(load.workerID)), ("incoming_bytes", .count(load.incomingByteCount)),
                            ("outgoing_bytes", .count(load.outgoingByteCount)),
                            ("peak_disk_bytes", .count(load.peakDiskByteCount)),
                            ("free_disk_bytes", .count(load.freeDiskByteCount)),
                            ("memory_bytes", .count(load.memoryByteCount)),
                        ])
                    }
                )
            ),
            ("estimated_seconds", .number(NumberText.seconds(plan.estimatedTime))),
            ("assumed_bytes_per_second", .number(plan.assumedBytesPerSecond)),
            ("remarks", .array(plan.remarks.map { .string($0) })),
        ])
    }

    private static func json(_ step: OperationInfo.Step) -> JSONValue {
        let (kind, from, to): (String, String?, String?) =
            switch step.change {
            case .move(let from, let to): ("move", from, to)
            case .add(let worker): ("add", nil, worker)
            case .remove(let worker): ("remove", worker, nil)
            case .lead(let worker): ("lead", nil, worker)
            case .split: ("split", nil, nil)
            case .merge: ("merge", nil, nil)
            }
        let (other, successors): (Int?, [Int]) =
            switch step.change {
            case .split(let shards): (nil, shards)
            case .merge(let other, let shard): (other, [shard])
            case .move, .add, .remove, .lead: (nil, [])
            }
        return .object([
            ("collection", .string(step.collection)), ("shard", .count(step.shardIndex)), ("change", .string(kind)),
            ("from", .text(from)), ("to", .text(to)), ("with_shard", other.map { .count($0) } ?? .null),
            ("into_shards", .array(successors.map { .count($0) })), ("state", .string(step.state.rawValue)),
            ("waits_for", .text(step.waitsFor)), ("total_bytes", .count(step.totalByteCount)),
            ("sent_bytes", .count(step.sentByteCount)), ("bytes_per_second", .number(step.bytesPerSecond)),
            ("unchanged_seconds", .number(NumberText.seconds(step.silence))), ("restarts", .count(step.restartCount)),
        ])
    }
}
