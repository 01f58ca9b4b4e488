import NodeConfiguration
import NodeServer
import Observability
import Synchronization
import Testing

/// What a node answers over HTTP.
struct AdminPagesTests {
    private let registry = MetricRegistry()

    private func pages(
        _ problems: @escaping @Sendable () -> [String] = { [] },
        token: String? = nil
    ) throws -> AdminPages {
        let environment = token.map { ["MIEN_TOKEN": $0] } ?? [:]
        let configuration = try WorkerConfiguration(from: ConfigurationSources(environment: environment))
        return AdminPages(registry: registry, problems: problems, token: configuration.token)
    }

    private func get(_ pages: AdminPages, _ path: String, authorization: String? = nil) -> AdminPages.Answer {
        pages.answer(method: "GET", path: path, authorization: authorization)
    }

    @Test func aProcessThatAnswersIsAlive() throws {
        let answer = get(try pages { ["no disk"] }, "/healthz")
        #expect(answer.status == 200 && answer.text == "alive\n")
    }

    @Test func readinessNamesWhatIsMissing() throws {
        let problems = Mutex(["2 of 3 replicas are being opened.", "No worker is live."])
        let isReady = Mutex(false)
        let pages = try pages { isReady.withLock(\.self) ? [] : problems.withLock(\.self) }
        let before = get(pages, "/readyz")
        #expect(before.status == 503)
        #expect(before.text == "2 of 3 replicas are being opened.\nNo worker is live.\n")
        #expect(get(pages, "/metrics").text.contains("mien_ready 0\n"))
        isReady.withLock { $0 = true }
        #expect(get(pages, "/readyz").status == 200)
        #expect(get(pages, "/metrics").text.contains("mien_ready 1\n"))
    }

    @Test func metricsAreOfTheFormatThatPrometheusReads() throws {
        let answer = get(try pages(), "/metrics?from=prometheus")
        #expect(answer.status == 200)
        #expect(answer.contentType == "text/plain; version=0.0.4; charset=utf-8")
        #expect(answer.text.hasPrefix("# HELP mien_ready "))
    }

    @Test func metricsAskForTheTokenWhereThereIsOne() throws {
        let token = "0123456789abcdef"
        let pages = try pages(token: token)
        for wrong in [nil, "", token, "Basic \(token)", "Bearer ", "Bearer \(token)0", "Bearer 0123456789abcdeg"] {
            let answer = get(pages, "/metrics", authorization: wrong)
            #expect(answer.status == 401, "\(wrong ?? "none")")
            #expect(!answer.text.contains("mien_ready"))
        }
        #expect(get(pages, "/metrics", authorization: "Bearer \(token)").status == 200)
        #expect(get(pages, "/metrics", authorization: "bearer \(token)").status == 200)
        // Whoever restarts processes has no token.
        #expect(get(pages, "/readyz").status == 200 && get(pages, "/healthz").status == 200)
    }

    /// A page in a browser that had its name lead here must not read what is told.
    @Test func namesThatOthersGiveAreNotAnsweredTo() throws {
        let (open, closed) = (try pages(), try pages(token: "0123456789abcdef"))
        func status(_ pages: AdminPages, _ host: String?) -> Int {
            pages.answer(method: "GET", path: "/metrics", authorization: nil, host: host).status
        }
        for host in [
            nil, "127.0.0.1", "127.0.0.1:7410", "localhost", "LocalHost:1", "[::1]", "[::1]:7410", "10.1.2.3:80",
        ] {
            #expect(status(open, host) == 200, "\(host ?? "none")")
        }
        for host in [
            "", "attacker.example", "attacker.example:7410", "localhost.attacker.example", "127.0.0.1.attacker.example",
            "[attacker.example]:1", "1270.0.0.1", ":7410", "[", "0x7f000001",
        ] {
            #expect(status(open, host) == 421, "\(host)")
            // Beyond loopback the token is asked for, whatever the name.
            #expect(status(closed, host) == 401, "\(host)")
        }
    }

    @Test func nothingElseIsThere() throws {
        let pages = try pages()
        #expect(get(pages, "/").status == 404)
        #expect(get(pages, "/metricsx").status == 404)
        #expect(pages.answer(method: "POST", path: "/metrics", authorization: nil).status == 405)
        #expect(pages.answer(method: "HEAD", path: "/healthz", authorization: nil).status == 200)
    }
}
