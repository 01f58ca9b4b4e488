import PartitionEngine

/// What the stages of a churn took, as tables.
struct ChurnReport {
    let stages: [ChurnExperiment.Stage]

    var tables: [ResultTable] { [bytes, times, work] }

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
            let commits = Self.times(stage.work[.changes]?.spans ?? [])
            let searches = Self.times(stage.searches)
            let steps = Self.times(stage.work.filter { $0.key != .changes }.flatMap(\.value.spans))
            table.append([
                .text(stage.name),
                stage.changeCount > 0
                    ? .number(Double(stage.changeCount) / (stage.wallTime / .seconds(1)), decimals: 0) : .none,
                Self.quantile(commits, 0.5), Self.quantile(commits, 0.99), Self.quantile(commits, 1),
                .count(steps.count), Self.quantile(steps, 0.5), Self.quantile(steps, 1),
                .count(searches.count), Self.quantile(searches, 0.5), Self.quantile(searches, 0.99),
                Self.quantile(searches, 1), .number(stage.freeListTime / .milliseconds(1), decimals: 2),
            ])
        }
        return table
    }

    private var work: ResultTable {
        var table = ResultTable(
            "work",
            title:
                "By kind of work: times in ms, the longest search meanwhile, bytes written by those of the changes",
            columns: [
                .init("stage"), .init("work"), .init("count"), .init("p50"), .init("p99"), .init("longest"),
                .init("search_longest", "search longest"), .init("amplification", "amplified"),
                .init("share", "of the bytes"),
            ]
        )
        for stage in stages {
            for kind in ChurnExperiment.Work.all {
                guard let share = stage.work[kind] else { continue }
                let times = Self.times(share.spans)
                table.append([
                    .text(stage.name), .text(kind.name), .count(times.count), Self.quantile(times, 0.5),
                    Self.quantile(times, 0.99), Self.quantile(times, 1),
                    Self.quantile(Self.times(stage.searches.filter { share.overlaps($0) }), 1),
                    .number(Double(share.writtenByteCount) / Double(max(1, stage.logicalByteCount)), decimals: 2),
                    .number(Double(share.writtenByteCount) / Double(max(1, stage.output.written)), decimals: 3),
                ])
            }
        }
        return table
    }

    /// Ascending.
    private static func times(_ spans: [TimedSpan]) -> [Duration] { spans.map(\.duration).sorted() }

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
