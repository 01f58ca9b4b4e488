import Foundation
import Testing

/// What nodes told at one moment, series by series; those of several nodes are added up.
struct ScrapedMetrics {
    private var values: [String: Double] = [:]

    /// Asks every node at its own endpoint.
    init(of nodes: [Node]) async throws { try await self.init(at: nodes.map { try $0.adminPort }) }

    /// Asks the endpoints at these ports of loopback.
    init(at ports: [Int]) async throws {
        for port in ports {
            let answer = try await httpAnswer(to: "/metrics", port: port)
            let body = try #require(answer.range(of: "\r\n\r\n").map { answer[$0.upperBound...] })
            for line in body.split(separator: "\n") where !line.hasPrefix("#") {
                let end = try #require(line.lastIndex(of: " "), "\(line) is no series")
                let value = try #require(Double(line[line.index(after: end)...]), "\(line) has no value")
                values[String(line[..<end]), default: 0] += value
            }
        }
    }

    /// A series as it is written, such as `mien_requests_total{role="worker",request="shardGet",status="ok"}`; nil when
    /// it is not told.
    subscript(series: String) -> Double? { values[series] }

    /// The sum of a metric's series that have these labels among others.
    func sum(_ metric: String, _ labels: [String: String] = [:]) -> Double {
        let parts = labels.map { "\($0.key)=\"\($0.value)\"" }
        return values.filter { series, _ in
            (series == metric || series.hasPrefix(metric + "{")) && parts.allSatisfy(series.contains)
        }.values.reduce(0, +)
    }

    /// Counts of a histogram's buckets, in the order of their bounds; they include each the one before.
    func buckets(_ metric: String, _ labels: [String: String] = [:]) -> [(bound: Double, count: Double)] {
        var counts: [Double: Double] = [:]
        let parts = labels.map { "\($0.key)=\"\($0.value)\"" }
        for (series, count) in values where series.hasPrefix("\(metric)_bucket{") && parts.allSatisfy(series.contains) {
            guard
                let bound = series.firstMatch(of: /[{,]le="([^"]+)"/).flatMap({ Double($0.1.replacing("+", with: "")) })
            else { continue }
            counts[bound, default: 0] += count
        }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension Node {
    /// The port of its endpoint over HTTP, in its own words.
    var adminPort: Int {
        get throws {
            let output = try #require(process).output
            let match = try #require(output.firstMatch(of: /metrics on http:\/\/127\.0\.0\.1:([0-9]+)\/metrics/))
            return try #require(Int(match.1))
        }
    }

    /// The whole answer to a request, head and all.
    func adminGet(_ path: String) async throws -> String { try await httpAnswer(to: path, port: adminPort) }
}

/// The whole answer to a request, head and all.
func httpAnswer(to path: String, port: Int) async throws -> String {
    let socket = try #require(TCPSocket.connected(to: port))
    defer { socket.close() }
    socket.send(Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8))
    let (bytes, _) = try await socket.receive(for: .seconds(5))
    return String(decoding: bytes, as: UTF8.self)
}
