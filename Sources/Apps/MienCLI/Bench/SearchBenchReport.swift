import MienClient

/// What a comparison of efforts found.
struct SearchBenchReport {
    let collection: CollectionInfo
    let effort: SearchOptions.Effort
    let single: PairedTimes
    let photo: PairedTimes
    let bands: [SearchBench.Band]

    /// From here on a mate counts for the default effort's promise.
    private static let promisedSimilarity: Float = 0.40

    private var promised: (mates: Int, missed: Int) {
        bands.filter { $0.least >= Self.promisedSimilarity }.reduce((0, 0)) { ($0.0 + $1.mates, $0.1 + $1.missed) }
    }

    var text: String {
        var times = TextTable([
            .init("search"), .init("exact ms", .right), .init("\(effort) ms", .right), .init("times faster", .right),
        ])
        for (label, pair) in [("single probe", single), ("photo of 100", photo)] {
            times.append([
                label, NumberText.fixed(PairedTimes.medianMilliseconds(pair.first), 2),
                NumberText.fixed(PairedTimes.medianMilliseconds(pair.second), 2),
                NumberText.fixed(pair.medianRatio, 1),
            ])
        }
        var misses = TextTable([.init("mate similarity"), .init("mates", .right), .init("missed", .right)])
        for band in bands { misses.append([band.label, "\(band.mates)", "\(band.missed)"]) }
        let (mates, missed) = promised
        let share = mates == 0 ? 0 : Double(missed) / Double(mates)
        return "\(collection.options.name): \(collection.faceCount) faces, \(collection.options.shardCount) shards, "
            + "\(collection.freshCount) of them not in a list yet\n\n" + times.rendered() + "\n" + misses.rendered()
            + "\nMates at 0.40 and above that exact search ranks first: \(mates); missed by \(effort): \(missed) "
            + "(\(NumberText.fixed(share * 100, 2)) %).\n"
    }

    var json: JSONValue {
        func times(_ pair: PairedTimes) -> JSONValue {
            .object([
                ("exact_ms", .number(PairedTimes.medianMilliseconds(pair.first))),
                ("effort_ms", .number(PairedTimes.medianMilliseconds(pair.second))),
                ("ratio", .number(pair.medianRatio)), ("pairs", .count(pair.first.count)),
            ])
        }
        let (mates, missed) = promised
        return .object([
            ("collection", .string(collection.options.name)), ("faces", .count(collection.faceCount)),
            ("effort", .string("\(effort)")), ("single", times(single)), ("photo", times(photo)),
            ("mates_at_040", .count(mates)), ("missed_at_040", .count(missed)),
            (
                "bands",
                .array(
                    bands.map { band in
                        .object([
                            ("similarity", .string(band.label)), ("mates", .count(band.mates)),
                            ("missed", .count(band.missed)),
                        ])
                    }
                )
            ),
        ])
    }
}
