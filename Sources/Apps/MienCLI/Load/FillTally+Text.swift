import LoadGenerator

extension FillTally {
    private static let partCount = 10

    private var facesPerSecond: Double { Double(faceCount) / max(NumberText.seconds(elapsed), 1e-9) }

    func text(collection: String) -> String {
        var facts = TextTable([.init("", leastWidth: 10), .init("", .right)])
        facts.append(["accepted", "\(accepted)"])
        facts.append(["replaced", "\(replaced)"])
        facts.append(["there before", "\(present)"])
        if rejected > 0 { facts.append(["rejected", "\(rejected)"]) }
        var text =
            "Filled \(collection): \(NumberText.counted(faceCount, "face")) in \(NumberText.duration(elapsed)), "
            + "\(NumberText.fixed(facesPerSecond, 0)) faces/s\n" + facts.rendered(withTitles: false)
        let rates = rates(parts: Self.partCount)
        if rates.count == Self.partCount {
            let list = rates.map { NumberText.fixed($0, 0) }.joined(separator: " ")
            text += "faces/s in each tenth: \(list)\n"
        }
        if !batchTimes.isEmpty {
            let times = [50, 99, 100].map {
                NumberText.duration(.microseconds(Int64(clamping: batchTimes.percentile($0))))
            }
            text += "a batch took \(times[0]) (p50), \(times[1]) (p99), \(times[2]) at most\n"
        }
        return text
    }

    func json(collection: String) -> JSONValue {
        .object([
            ("collection", .string(collection)), ("faces", .count(faceCount)), ("accepted", .count(accepted)),
            ("replaced", .count(replaced)), ("present", .count(present)), ("rejected", .count(rejected)),
            ("seconds", .number(NumberText.seconds(elapsed))), ("faces_per_second", .number(facesPerSecond)),
            (
                "batch_microseconds",
                .object([
                    ("p50", .count(batchTimes.percentile(50))), ("p99", .count(batchTimes.percentile(99))),
                    ("max", .count(batchTimes.longestMicroseconds)),
                ])
            ),
            (
                "progress",
                .array(
                    points.map {
                        .object([("seconds", .number(NumberText.seconds($0.elapsed))), ("faces", .count($0.faceCount))])
                    }
                )
            ),
        ])
    }
}
