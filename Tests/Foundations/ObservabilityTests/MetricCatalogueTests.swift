import Observability
import Testing

/// Names as Prometheus's own conventions want them.
struct MetricCatalogueTests {
    @Test func namesAreUniqueAndSayTheirUnit() {
        let names = MetricCatalogue.all.map(\.name)
        #expect(Set(names).count == names.count)
        for metric in MetricCatalogue.all {
            #expect(metric.name.hasPrefix("mien_") || metric.name.hasPrefix("process_"), "\(metric.name)")
            #expect(metric.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" }, "\(metric.name)")
            #expect((metric.kind == .counter) == metric.name.hasSuffix("_total"), "\(metric.name)")
            #expect(metric.kind != .histogram || metric.name.hasSuffix("_seconds"), "\(metric.name)")
            #expect(!metric.help.isEmpty && !metric.help.hasSuffix("."), "\(metric.name)")
        }
    }

    @Test func labelsAreUsedAndNoneIsAnID() {
        let used = Set(MetricCatalogue.all.flatMap(\.labels))
        #expect(used == Set(MetricLabel.allCases))
        for label in MetricLabel.allCases {
            let name = label.rawValue
            #expect(!["id", "face", "person", "worker", "node", "address", "shard"].contains(name))
        }
    }
}
