import PartitionEngine

/// What the stages of a churn took, as tables.
struct ChurnReport {
    let stages: [ChurnExperiment.Stage]

    var tables: [ResultTable] { [bytes, times] }

    private var bytes: ResultTable {
        var table = ResultTable(
            "bytes",
            title: "What was written, and the file at the end of the stage; MiB",
            columns: [
                .init("stage"), .init("changes"), .init("faces"), .init("runs"), .init("dead_rows", "dead rows"),
                .init("logical"), .init("written"), .init("amplification", "amplified"), .init("to_disk", "to disk"),
                .init("file"), .init("free"), .init("bytes_a_face", "bytes a face"),
                .init("file_bytes_a_face", "of the file"),
            ]
        )
        for stage in stages {
            table.append([
                .text(stage.name), .count(stage.changeCount), .count(stage.faceCount), .count(stage.runCount),
                .count(stage.tombstoneCount), Self.mebibytes(stage.logicalByteCount),
                Self.mebibytes(Int(stage.output.written)),
                stage.changeCount > 0 ? .number(stage.amplification, decimals: 2) : .none,
                Self.mebibytes(Int(stage.output.toDisk)), Self.mebibytes(stage.file.usedByteCount),
                Self.mebibytes(stage.file.freeByteCount), .number(stage.bytesPerFace, decimals: 0),
                .number(Double(stage.file.usedByteCount) / Double(max(1, stage.faceCount)), decimals: 0),
            ])
        }
        return table
    }

    private var times: ResultTable {
        var table = ResultTable(
            "times",
            title: "Times in ms: commits of writes, steps of maintenance, searches; and reading the list of free pages",
            columns: [
                .init("stage"), .init("changes_a_second", "changes/s"), .init("commit_p50", "commit p50"),
                .init("commit_p99", "p99"), .init("commit_longest", "longest"), .init("steps"),
                .init("step_p50", "step p50"), .init("step_longest", "longest"), .init("searches"),
                .init("search_p50", "search p50"), .init("search_p99", "p99"),
                .init("search_longest", "longest"), .init("free_list", "free list"),
            ]
        )
        for stage in stages {
            let (commits, steps) = (stage.commits.sorted(), stage.steps.sorted())
            table.append([
                .text(stage.name),
                stage.changeCount > 0
                    ? .number(Double(stage.changeCount) / (stage.wallTime / .seconds(1)), decimals: 0) : .none,
                Self.quantile(commits, 0.5), Self.quantile(commits, 0.99), Self.quantile(commits, 1),
                .count(steps.count), Self.quantile(steps, 0.5), Self.quantile(steps, 1),
                .count(stage.searches.count), Self.quantile(stage.searches, 0.5), Self.quantile(stage.searches, 0.99),
                Self.quantile(stage.searches, 1), .number(stage.freeListTime / .milliseconds(1), decimals: 2),
            ])
        }
        return table
    }

    private static func mebibytes(_ count: Int) -> ResultCell {
        .number(Double(count) / 1_048_576, decimals: 1)
    }

    /// - Parameter times: ascending.
    static func quantile(_ times: [Duration], _ share: Double) -> ResultCell {
        guard !times.isEmpty else { return .none }
        let place = min(times.count - 1, Int(share * Double(times.count)))
        return .number(times[place] / .milliseconds(1), decimals: 2)
    }
}
