import MienClient

/// The rollout of a codebook as text and as JSON.
enum RolloutReport {
    /// Such as `rollout of codebook 2 of 'people'`.
    static func title(_ rollout: OperationInfo.Rollout, of collection: String?) -> String {
        "rollout of codebook \(rollout.generation) of \(name(collection))"
    }

    /// - Parameter collection: nil of one that was deleted.
    static func name(_ collection: String?) -> String { collection.map { "'\($0)'" } ?? "a collection that is gone" }

    /// Why it began.
    static func cause(_ cause: CollectionInfo.CodebookStanding.Cause) -> String {
        switch cause {
        case .first: "The collection has become large enough for its first codebook."
        case .growth: "The collection has grown."
        case .energy: "The faces that came have less of their energy in the coded components."
        case .imbalance: "Lists have become uneven."
        case .recall: "Searches missed more mates than the calibration promised."
        case .request: "It was asked for."
        }
    }

    /// Its three steps, and the shards whose rows are being coded again.
    static func table(_ rollout: OperationInfo.Rollout, _ names: [String: String]) -> String {
        var table = TextTable([
            .init("  step", widthLimit: 24), .init("state"), .init("done", .right, widthLimit: 80),
            .init("rate", .right), .init("left", .right), .init("unchanged", .right), .init("failed", .right),
            .init("waits for", widthLimit: 160),
        ])
        let stages: [(OperationInfo.Rollout.Stage, name: String)] = [
            (.training, "train"), (.installing, "install"), (.recoding, "code again"),
        ]
        var isBehind = false
        for (stage, name) in stages {
            let isCurrent = stage == rollout.stage
            let isDone = !isCurrent && !isBehind
            isBehind = isBehind || isCurrent
            table.append([
                "  \(name)", isCurrent ? "running" : isDone ? "done" : "waiting", done(stage, rollout, names),
                isCurrent && rollout.rowsPerSecond > 0 ? "\(NumberText.fixed(rollout.rowsPerSecond, 0)) rows/s" : "-",
                isCurrent ? left(rollout) : "-", isCurrent ? NumberText.duration(rollout.silence) : "-",
                stage == .training && rollout.failedTrainingCount > 0 ? "\(rollout.failedTrainingCount)" : "-",
                isCurrent ? rollout.waitsFor ?? "" : "",
            ])
        }
        let open = rollout.stage == .recoding ? rollout.shards.filter { $0.codedRowCount < $0.rowCount } : []
        for shard in open {
            table.append([
                "    shard \(shard.index)", "", "\(shard.codedRowCount) of \(shard.rowCount) rows", "", "", "", "", "",
            ])
        }
        return table.rendered()
    }

    private static func done(
        _ stage: OperationInfo.Rollout.Stage,
        _ rollout: OperationInfo.Rollout,
        _ names: [String: String]
    ) -> String {
        switch stage {
        case .training:
            guard let training = rollout.training else { return "-" }
            return "\(training.stage.rawValue) \(NumberText.percent(training.share)) on "
                + (names[training.workerID] ?? training.workerID)
        case .installing where rollout.stage != .training:
            let (installed, all) = (
                rollout.shards.reduce(0) { $0 + $1.installedCount }, rollout.shards.reduce(0) { $0 + $1.replicaCount }
            )
            return "\(installed) of \(NumberText.counted(all, "replica"))"
        case .recoding where rollout.stage == .recoding:
            return "\(rollout.codedRowCount) of \(rollout.rowCount) rows"
        case .installing, .recoding, .done: return "-"
        }
    }

    private static func left(_ rollout: OperationInfo.Rollout) -> String {
        guard rollout.rowsPerSecond > 0, rollout.rowCount > rollout.codedRowCount else { return "-" }
        let rowCount = rollout.rowCount - rollout.codedRowCount
        return NumberText.duration(.seconds(Double(rowCount) / rollout.rowsPerSecond))
    }

    static func json(_ rollout: OperationInfo.Rollout) -> JSONValue {
        .object([
            ("generation", .count(rollout.generation)), ("cause", .string(rollout.cause.rawValue)),
            ("stage", .string(rollout.stage.rawValue)),
            (
                "training",
                rollout.training.map { training in
                    .object([
                        ("worker", .string(training.workerID)), ("stage", .string(training.stage.rawValue)),
                        ("share", .number(training.share)),
                        ("elapsed_seconds", .number(NumberText.seconds(training.elapsed))),
                    ])
                } ?? .null
            ),
            (
                "shards",
                .array(
                    rollout.shards.map { shard in
                        .object([
                            ("shard", .count(shard.index)), ("replicas", .count(shard.replicaCount)),
                            ("installed", .count(shard.installedCount)), ("rows", .count(shard.rowCount)),
                            ("coded_rows", .count(shard.codedRowCount)),
                        ])
                    }
                )
            ),
            ("rows_per_second", .number(rollout.rowsPerSecond)), ("waits_for", .text(rollout.waitsFor)),
            ("unchanged_seconds", .number(NumberText.seconds(rollout.silence))),
            ("failed_trainings", .count(rollout.failedTrainingCount)),
        ])
    }
}
