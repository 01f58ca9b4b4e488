package import CoreMetrics
import Synchronization

/// Keeps the metrics of a process, or of one test, and renders them as Prometheus reads them.
///
/// A backend of swift-metrics that knows the metrics of ``MetricCatalogue`` and no others: a name or label that is not
/// there is a defect of the caller. What is recorded is counted in cells that are made once, and what is only looked
/// at, such as the length of a queue, is collected when somebody asks.
package final class MetricRegistry: MetricsFactory {
    /// Adds what it knows to the samples; called from any thread, must not wait for the disk.
    package typealias Collector = @Sendable (inout MetricSamples) -> Void

    enum Cell: Sendable {
        case counter(CounterCell)
        case gauge(GaugeCell)
        case histogram(HistogramCell)
    }

    private struct State {
        /// Of each name, by the text of the labels.
        var cells: [String: [String: Cell]] = [:]
        var collectors: [Collector] = []
    }

    private static let descriptions = Dictionary(
        uniqueKeysWithValues: MetricCatalogue.all.map { ($0.name, $0) }
    )

    private let state = Mutex(State())

    package init() {}

    // MARK: Typed entry

    package func counter(_ metric: MetricDescription, _ labels: String...) -> Counter {
        Counter(label: metric.name, dimensions: dimensions(metric, labels), factory: self)
    }

    package func gauge(_ metric: MetricDescription, _ labels: String...) -> Gauge {
        Gauge(label: metric.name, dimensions: dimensions(metric, labels), factory: self)
    }

    package func timer(_ metric: MetricDescription, _ labels: String...) -> CoreMetrics.Timer {
        CoreMetrics.Timer(label: metric.name, dimensions: dimensions(metric, labels), factory: self)
    }

    /// Asks `collector` whenever the metrics are rendered. Values of one series that several of them give are added up.
    package func collect(_ collector: @escaping Collector) {
        state.withLock { $0.collectors.append(collector) }
    }

    private func dimensions(_ metric: MetricDescription, _ values: [String]) -> [(String, String)] {
        precondition(values.count == metric.labels.count, "\(metric.name) has \(metric.labels.count) labels")
        return zip(metric.labels, values).map { ($0.rawValue, $1) }
    }

    // MARK: MetricsFactory

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        let cell = cell(label, dimensions, .counter) { .counter(CounterCell()) }
        guard case .counter(let counter) = cell else { preconditionFailure("\(label) is no counter") }
        return counter
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        let cell = cell(label, dimensions, .gauge) { .gauge(GaugeCell()) }
        guard case .gauge(let gauge) = cell else { preconditionFailure("\(label) is no gauge") }
        return gauge
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let cell = cell(label, dimensions, .histogram) {
            .histogram(HistogramCell(bounds: MetricDescription.boundsInNanoseconds))
        }
        guard case .histogram(let histogram) = cell else { preconditionFailure("\(label) is no histogram") }
        return histogram
    }

    // A series that was shown once stays: one that vanished would read as a restart.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    private func cell(
        _ name: String,
        _ dimensions: [(String, String)],
        _ kind: MetricDescription.Kind,
        make: () -> Cell
    ) -> Cell {
        guard let metric = Self.descriptions[name], metric.kind == kind,
            metric.labels.map(\.rawValue) == dimensions.map(\.0)
        else { preconditionFailure("\(name) is not a \(kind) of the catalogue with these labels") }
        let labels = MetricText.labels(dimensions)
        return state.withLock { state in
            if let known = state.cells[name]?[labels] { return known }
            let made = make()
            state.cells[name, default: [:]][labels] = made
            return made
        }
    }

    // MARK: Reading

    /// All metrics in the text format 0.0.4, in the catalogue's order.
    package func rendered() -> String {
        let (cells, collectors) = state.withLock { ($0.cells, $0.collectors) }
        var samples = MetricSamples()
        for collector in collectors { collector(&samples) }
        var text = MetricText()
        for metric in MetricCatalogue.all {
            text.add(metric, cells: cells[metric.name] ?? [:], samples: samples.values[metric.name] ?? [:])
        }
        return text.text
    }
}

/// What collectors tell at one moment.
package struct MetricSamples {
    /// Of each name, by the text of the labels.
    private(set) var values: [String: [String: Double]] = [:]

    /// Adds to the series' value, which is 0 at first.
    package mutating func add(_ metric: MetricDescription, _ labels: String..., value: Double) {
        let key = key(metric, labels)
        values[metric.name, default: [:]][key, default: 0] += value
    }

    /// Raises the series' value to at least this.
    package mutating func raise(_ metric: MetricDescription, _ labels: String..., to value: Double) {
        let key = key(metric, labels)
        values[metric.name, default: [:]][key] = max(value, values[metric.name]?[key] ?? value)
    }

    private func key(_ metric: MetricDescription, _ labels: [String]) -> String {
        precondition(metric.kind != .histogram, "\(metric.name) is recorded, not collected")
        precondition(labels.count == metric.labels.count, "\(metric.name) has \(metric.labels.count) labels")
        return MetricText.labels(Array(zip(metric.labels.map(\.rawValue), labels)))
    }
}
