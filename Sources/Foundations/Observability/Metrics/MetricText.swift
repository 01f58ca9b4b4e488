/// The text format of Prometheus, version 0.0.4.
struct MetricText {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    private(set) var text = ""

    /// Adds a metric with its series, or nothing when it has none.
    mutating func add(
        _ metric: MetricDescription,
        cells: [String: MetricRegistry.Cell],
        samples: [String: Double]
    ) {
        guard !cells.isEmpty || !samples.isEmpty else { return }
        text += "# HELP \(metric.name) \(Self.escaped(metric.help, quotes: false))\n"
        text += "# TYPE \(metric.name) \(metric.kind.rawValue)\n"
        for labels in Set(cells.keys).union(samples.keys).sorted() {
            let collected = samples[labels] ?? 0
            switch cells[labels] {
            case nil: line(metric.name, labels, Self.number(collected))
            case .counter(let cell)?: line(metric.name, labels, Self.number(Double(cell.value) + collected))
            case .gauge(let cell)?: line(metric.name, labels, Self.number(cell.value + collected))
            case .histogram(let cell)?: add(cell.value, of: metric.name, labels)
            }
        }
    }

    private mutating func add(_ counts: HistogramCell.Counts, of name: String, _ labels: String) {
        var count: UInt64 = 0
        let bounds = MetricDescription.boundsInNanoseconds.map { Self.number(Double($0) / 1e9) } + ["+Inf"]
        for (bound, bucket) in zip(bounds, counts.buckets) {
            count += bucket
            line("\(name)_bucket", labels.isEmpty ? "le=\"\(bound)\"" : "\(labels),le=\"\(bound)\"", "\(count)")
        }
        line("\(name)_sum", labels, Self.number(Double(counts.sumNanoseconds) / 1e9))
        line("\(name)_count", labels, "\(count)")
    }

    private mutating func line(_ name: String, _ labels: String, _ value: String) {
        text += labels.isEmpty ? "\(name) \(value)\n" : "\(name){\(labels)} \(value)\n"
    }

    /// `name="value",…` with what has a meaning in the format escaped.
    static func labels(_ labels: [(String, String)]) -> String {
        labels.map { "\($0)=\"\(escaped($1, quotes: true))\"" }.joined(separator: ",")
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where quotes: result += "\\\""
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value == value.rounded(), abs(value) < 0x1p53 { return "\(Int64(value))" }
        return "\(value)"
    }
}

extension MetricRegistry {
    /// What ``rendered()`` is, for whoever sends it.
    package static let contentType = MetricText.contentType
}
