import Foundation
import Observability
import Testing

/// What operators read and load names the metrics that there are, and no others.
struct OperatorFilesTests {
    private static let root: URL = {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { url.deleteLastPathComponent() }
        return url
    }()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent(path), encoding: .utf8)
    }

    @Test func thePageHasARowForEveryMetricWithItsKindAndLabels() throws {
        let rows = try text("docs/operations/metrics.md").split(separator: "\n").compactMap { line -> [String]? in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            return cells.count == 7 && cells[1].hasPrefix("`") ? Array(cells[1...3]) : nil
        }
        let expected = MetricCatalogue.all.map { metric in
            ["`\(metric.name)`", metric.kind.rawValue, metric.labels.map(\.rawValue).joined(separator: ", ")]
        }
        #expect(rows == expected)
    }

    @Test func thePageHasEveryKeyOfTheSlowSearchLog() throws {
        let page = try text("docs/operations/metrics.md")
        let slow = try #require(page.components(separatedBy: "## Slow searches").last)
        for key in LogKey.allCases where key != .status { #expect(slow.contains("`\(key.rawValue)`"), "\(key)") }
    }

    @Test func thePageHasEverySpan() throws {
        let page = try text("docs/operations/metrics.md")
        for name in SpanName.allCases { #expect(page.contains("| `\(name.rawValue)` |"), "\(name)") }
    }

    @Test func thePageSaysWhatToDoOfEveryAlertAndOfNoOther() throws {
        let rules = try text("deploy/prometheus/alerts.yml")
        let alerts = rules.matches(of: /alert: (\w+)\n(?:(?!alert:)[\s\S])*?severity: (\w+)/).map {
            [String($0.1), String($0.2)]
        }
        #expect(alerts.count == rules.matches(of: /alert:/).count && alerts.count > 30)
        let page = try text("docs/operations/metrics.md")
        let section = try #require(page.components(separatedBy: "\n## Alerts\n").last)
        let rows = section.matches(of: /\n\| `(Mien\w+)` \| (\w+) \| \S/).map { [String($0.1), String($0.2)] }
        #expect(rows == alerts)
    }

    /// Every coordinator tells of the same shards, and a sum would have as many times as many.
    @Test(arguments: ["deploy/grafana/mien.json", "deploy/prometheus/alerts.yml"])
    func whatEveryCoordinatorTellsIsNotAddedUp(path: String) throws {
        let names = "mien_(?:shards|replica_lag|operation|collection_faces|trainings|workers|worker_silence)"
        // By instance it is no sum over coordinators.
        let sum = try Regex("sum *(?:by \\((?![^)]*\\binstance\\b)[a-z, ]+\\) *)?\\(" + names)
        #expect(try text(path).firstMatch(of: sum) == nil)
    }

    @Test(arguments: ["deploy/grafana/mien.json", "deploy/prometheus/alerts.yml"])
    func everyNameThatIsAskedForExists(path: String) throws {
        let known = Set(
            MetricCatalogue.all.flatMap { metric in
                metric.kind == .histogram
                    ? ["_bucket", "_sum", "_count"].map { metric.name + $0 } : [metric.name]
            }
        )
        let asked = try text(path).matches(of: /\b(?:mien|process)_[a-z_]+\b/).map { String($0.output) }
        #expect(!asked.isEmpty)
        #expect(Set(asked).subtracting(known) == [])
    }

    @Test func everyMetricIsOnTheDashboard() throws {
        let dashboard = try text("deploy/grafana/mien.json")
        let missing = MetricCatalogue.all.map(\.name).filter { !dashboard.contains($0) }
        // A level that the alerts and /readyz speak of.
        #expect(missing == [])
        #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(dashboard.utf8)) }
    }

    @Test func everyLabelThatIsSelectedByExists() throws {
        let labels = Set(MetricLabel.allCases.map(\.rawValue)).union(["job", "instance", "le", "severity"])
        for path in ["deploy/grafana/mien.json", "deploy/prometheus/alerts.yml"] {
            let content = try text(path)
            for match in content.matches(of: /[{,] ?([a-z_]+)(?:=~|!=|!~|=)["']/) {
                #expect(labels.contains(String(match.1)), "\(path): \(match.1)")
            }
            for match in content.matches(of: /by \(([a-z_, ]+)\)/) {
                for label in match.1.split(separator: ",").map({ $0.trimmingCharacters(in: .whitespaces) }) {
                    #expect(labels.contains(label), "\(path): \(label)")
                }
            }
        }
    }
}
