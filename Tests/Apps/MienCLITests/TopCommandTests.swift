import ClusterModel
import FaceModel
import Testing
import mien

@Suite struct TopCommandTests {
    @Test func ratesAreThoseBetweenTwoLooks() async throws {
        try await ToyCluster.run { cluster, address in
            cluster.change { $0.workersAreLive = [true, false] }
            let result = await mienCommand(["top", "--interval", "0.05", "--coordinator", address])
            #expect(result.status == 0, "\(result)")
            let lines = result.outputLines.map { $0.split(separator: " ").joined(separator: " ") }
            // The coordinator's: 150 searches and 10 writes a second.
            #expect(lines.contains("150 850 µs 3.1 ms 10 12.0 ms 0 2 4"), "\(lines)")
            let live = try #require(lines.first { $0.hasPrefix("127.0.0.1:7401 live") })
            #expect(live.contains("50 1.5 M 850 µs 3.1 ms 4096 12.0 ms 6 77"), "\(live)")
            // Of one that is away the last figures are known, and are not what it does.
            let dead = try #require(lines.first { $0.hasPrefix("127.0.0.1:7402 silent 12.0 s") })
            #expect(dead.hasPrefix("127.0.0.1:7402 silent 12.0 s 0 0 - - - - - - - - 64 MiB"), "\(dead)")
            #expect(lines.contains { $0.hasPrefix("! the worker at 127.0.0.1:7402 is missing") })
            // Once there are rates, nothing more is asked.
            #expect(cluster.current.statusCount == 2)
        }
    }

    @Test func whoIsToHaveNoReplicasIsToldApart() async throws {
        try await ToyCluster.run { cluster, address in
            cluster.change {
                $0.workersAreLive = [true, false]
                $0.standings = [0: .draining, 1: .decommissioned]
            }
            let result = await mienCommand(["top", "--interval", "0.05", "--once", "--coordinator", address])
            let lines = result.outputLines.map { $0.split(separator: " ").joined(separator: " ") }
            #expect(lines.contains { $0.hasPrefix("127.0.0.1:7401 live, drained") }, "\(lines)")
            #expect(lines.contains { $0.hasPrefix("127.0.0.1:7402 silent 12.0 s, decommissioned") }, "\(lines)")
        }
    }

    @Test func statusTellsTheCountsOfEveryNode() async throws {
        try await ToyCluster.run { _, address in
            let result = await mienCommand(["status", "--json", "--coordinator", address])
            #expect(result.status == 0)
            #expect(result.output.contains("\"searches\": 150"))
            #expect(result.output.contains("\"searches\": 50"))
            #expect(result.output.contains("\"search_99th_seconds\": 0.0031"))
            #expect(result.output.contains("\"compared_rows_per_second\": 3000000"))
        }
    }

    /// A line for every worker, with the bounds; none before anything was checked.
    @Test func statusTellsTheLiveRecall() async throws {
        try await ToyCluster.run { cluster, address in
            let status = ["status", "--coordinator", address]
            let before = await mienCommand(status)
            #expect(before.status == 0 && !before.output.contains("live recall"), "\(before)")
            let json = await mienCommand(status + ["--json"])
            #expect(json.output.contains("\"mate_recall\": null"))
            cluster.change {
                $0.recall = RecallTally(
                    matchCount: 12_000,
                    foundMatchCount: 11_400,
                    mateCount: 1200,
                    foundMateCount: 1190
                )
            }
            let checked = await mienCommand(status)
            #expect(
                checked.output.contains(
                    """

                    live recall at 127.0.0.1:7401: 99.17 % of 1200 mates, 10 missed (98.47 to 99.60 %)
                    live recall at 127.0.0.1:7402: 99.17 % of 1200 mates, 10 missed (98.47 to 99.60 %)

                    """
                ),
                "\(checked)"
            )
            let all = await mienCommand(status + ["--json"])
            let text = all.output.filter { $0 != " " && $0 != "\n" }
            #expect(
                text.contains(
                    /"match_recall":\{"recall":0\.95,"low":0\.94\d+,"high":0\.95\d+,"compared":12000,"missed":600\}/
                )
            )
            #expect(
                text.contains(
                    /"mate_recall":\{"recall":0\.99\d+,"low":0\.98\d+,"high":0\.99\d+,"compared":1200,"missed":10\}/
                )
            )
        }
    }

    @Test func aClusterThatCannotBeReachedIsAFailure() async {
        let result = await mienCommand(["top", "--coordinator", "127.0.0.1:1", "--timeout", "1"])
        #expect(result.status == 69)
        #expect(result.output.isEmpty)
    }
}
