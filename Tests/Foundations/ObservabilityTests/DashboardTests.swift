import Foundation
import Testing

/// The dashboard keeps to Grafana's published description of dashboards (`kinds/dashboard/dashboard_kind.cue`), as far
/// as it uses it: what a Grafana that is not here would refuse, or show wrongly.
struct DashboardTests {
    private struct Dashboard: Decodable {
        struct Variable: Decodable {
            var name: String
            var type: String
            var query: String
        }

        struct Templating: Decodable {
            var list: [Variable]
        }

        struct TimeRange: Decodable {
            var from: String
            var to: String
        }

        var title: String
        var uid: String
        var schemaVersion: UInt16
        var refresh: String
        var time: TimeRange
        var templating: Templating
        var panels: [Panel]
    }

    private struct Panel: Decodable {
        struct Grid: Decodable {
            var x: Int
            var y: Int
            var w: Int
            var h: Int
        }

        struct Source: Decodable {
            var type: String
            var uid: String
        }

        struct Field: Decodable {
            struct Defaults: Decodable {
                var unit: String
            }
            var defaults: Defaults
            var overrides: [String]
        }

        struct Target: Decodable {
            var refId: String
            var legendFormat: String
            var expr: String
        }

        var id: Int
        var type: String
        var title: String
        var gridPos: Grid
        var datasource: Source?
        var fieldConfig: Field?
        var targets: [Target]?
        var collapsed: Bool?
    }

    private func dashboard() throws -> Dashboard {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<4 { url.deleteLastPathComponent() }
        let file = url.appendingPathComponent("deploy/grafana/mien.json")
        return try JSONDecoder().decode(Dashboard.self, from: Data(contentsOf: file))
    }

    @Test func theDashboardIsOneThatGrafanaTakes() throws {
        let dashboard = try dashboard()
        #expect(!dashboard.title.isEmpty && dashboard.uid.wholeMatch(of: /[A-Za-z0-9_-]{1,40}/) != nil)
        // Older ones are migrated when they are loaded; 36 is the first with references to data sources by object.
        #expect((36...39).contains(dashboard.schemaVersion))
        #expect(dashboard.refresh.wholeMatch(of: /\d+[smh]/) != nil)
        #expect(dashboard.time.from.hasPrefix("now-") && dashboard.time.to == "now")
        let variables = dashboard.templating.list
        #expect(variables.count == 1)
        // Whoever loads it chooses among the Prometheus servers that there are.
        #expect(variables.first?.type == "datasource" && variables.first?.query == "prometheus")
    }

    @Test func panelsLieOnTheGridWithoutOverlap() throws {
        let panels = try dashboard().panels
        #expect(Set(panels.map(\.id)).count == panels.count && panels.allSatisfy { $0.id > 0 })
        var taken: [[Int]: String] = [:]
        for panel in panels {
            let grid = panel.gridPos
            #expect(grid.w > 0 && grid.h > 0 && grid.x >= 0 && grid.y >= 0 && grid.x + grid.w <= 24, "\(panel.title)")
            for x in grid.x..<grid.x + grid.w {
                for y in grid.y..<grid.y + grid.h {
                    #expect(taken[[x, y]] == nil, "\(panel.title) lies on \(taken[[x, y]] ?? "")")
                    taken[[x, y]] = panel.title
                }
            }
        }
    }

    @Test func everyPanelAsksTheChosenServerForSomething() throws {
        let dashboard = try dashboard()
        let variable = try #require(dashboard.templating.list.first?.name)
        let panels = dashboard.panels.filter { $0.type != "row" }
        #expect(panels.count > 40)
        for panel in panels {
            #expect(["timeseries", "stat"].contains(panel.type), "\(panel.title)")
            #expect(panel.datasource?.type == "prometheus" && panel.datasource?.uid == "${\(variable)}")
            // Ids of Grafana's formats; `reqps` and its kin are kept for requests.
            let units = [
                "none", "short", "s", "bytes", "Bps", "binBps", "percentunit", "reqps", "ops", "dateTimeFromNow",
            ]
            #expect(units.contains(panel.fieldConfig?.defaults.unit ?? ""), "\(panel.title)")
            let targets = panel.targets ?? []
            #expect(!targets.isEmpty && Set(targets.map(\.refId)).count == targets.count, "\(panel.title)")
            for target in targets {
                #expect(target.refId.wholeMatch(of: /[A-Z]/) != nil && !target.expr.isEmpty, "\(panel.title)")
                // A legend names labels that the question keeps.
                for label in target.legendFormat.matches(of: /\{\{([a-z]+)\}\}/).map({ String($0.1) }) {
                    let grouped = target.expr.matches(of: /by \(([a-z_, ]+)\)/)
                        .contains { $0.1.contains(label) }
                    #expect(grouped || !target.expr.contains(" by ("), "\(panel.title): \(label)")
                }
            }
        }
        #expect(dashboard.panels.filter { $0.type == "row" }.allSatisfy { $0.collapsed == false })
    }
}
