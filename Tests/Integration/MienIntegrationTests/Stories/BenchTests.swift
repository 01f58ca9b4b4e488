import Testing

extension Integration {
    /// The measurement that starts a cluster of its own.
    @Suite struct BenchTests {
        private struct Overhead: Decodable {
            struct Times: Decodable {
                let cluster_us: Double
                let partition_us: Double
            }

            let faces: Int
            let pairs: Int
            let whole: Times
            let path: Times
            let enrolment: Enrolment

            struct Enrolment: Decodable {
                let acknowledged_us: Double
                let found_us: Double
                let faces: Int
                let missed: Int
            }
        }

        @Test(.timeLimit(.minutes(1))) func whatTheClusterCostsIsMeasured() async throws {
            try await Stage.play { stage in
                let arguments = ["bench", "overhead", "--faces", "100", "--pairs", "3", "--writes", "9", "--json"]
                let overhead = try await stage.mien(arguments, within: .seconds(50)).document(Overhead.self)
                #expect(overhead.faces == 100 && overhead.pairs == 3)
                for times in [overhead.whole, overhead.path] {
                    #expect(times.partition_us > 0 && times.cluster_us > times.partition_us)
                }
                // What was acknowledged is in the very next answer.
                #expect(overhead.enrolment.faces == 9 && overhead.enrolment.missed == 0)
                #expect(overhead.enrolment.acknowledged_us > 0 && overhead.enrolment.found_us > 0)
            }
        }
    }
}
