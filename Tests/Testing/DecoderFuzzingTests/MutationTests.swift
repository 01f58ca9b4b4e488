import DecoderFuzzing
import Foundation
import Testing
import WireProtocol

/// Every decoder of bytes from a network or a disk, on sound bytes with a few changes. A broken promise ends the
/// process.
struct MutationTests {
    /// `MIEN_TEST_SEED` repeats a failure or varies what is drawn.
    private static let seed = ProcessInfo.processInfo.environment["MIEN_TEST_SEED"].flatMap { UInt64($0) } ?? 20_261_126
    /// Mutations of each target; `MIEN_MUTATIONS` for more.
    private static let mutationCount =
        ProcessInfo.processInfo.environment["MIEN_MUTATIONS"].flatMap { Int($0) } ?? 1000

    @Test(arguments: FuzzTarget.all.map(\.name)) func mutatedBytesAreAcceptedOrRefused(_ name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let seeds = try target.seeds()
        #expect(!seeds.isEmpty)
        for (number, seed) in seeds.enumerated() { #expect(target.accepts(seed), "seed \(number)") }
        print("mutations of \(name): MIEN_TEST_SEED=\(Self.seed)")
        var mutator = Mutator(seed: Self.seed)
        var acceptedCount = 0
        for _ in 0..<Self.mutationCount where target.accepts(mutator.mutation(of: seeds)) { acceptedCount += 1 }
        // Both ends are reached: a target that accepts nothing tests only the first check.
        #expect(acceptedCount > 0 && acceptedCount < Self.mutationCount, "\(acceptedCount) accepted")
    }

    @Test func everyMessageIsAmongTheFuzzed() {
        #expect(Set(WireTarget.messages.map { $0.type }) == Set(MessageType.allCases))
    }

    /// Each number of sound JSON in turn is one at an edge, which changes of bytes seldom make.
    @Test(arguments: ["etcd-answers", "load-reports"]) func anyNumberOfJSONMayBeAnother(_ name: String) throws {
        let target = try #require(FuzzTarget.named(name))
        let edges = [
            "0", "-1", "0.0000001", "4294967295", "4294967296", "1099511627776", "9223372036854775807",
            "-9223372036854775808", "18446744073709551615", "1e18", "1e300", "1e400", "null", "\"\"", "[]",
        ]
        var (acceptedCount, refusedCount) = (0, 0)
        for seed in try target.seeds() {
            let text = String(decoding: seed, as: UTF8.self)
            for number in text.ranges(of: /-?[0-9]+(\.[0-9]+)?/) {
                for edge in edges {
                    let changed = Array(text.replacingCharacters(in: number, with: edge).utf8)
                    if target.accepts(changed) { acceptedCount += 1 } else { refusedCount += 1 }
                }
            }
        }
        #expect(acceptedCount > 50 && refusedCount > 50, "\(acceptedCount) accepted, \(refusedCount) refused")
    }

    /// Found by 20 000 mutations: a layout before the first one was read as the first.
    @Test(arguments: [2, 3, 4] as [UInt8]) func aBackupsObjectOfLayoutZeroIsRefused(kind: UInt8) throws {
        var object = try #require(try FuzzTarget.backups.seeds().first { $0[0] == kind })
        #expect(FuzzTarget.backups.accepts(object) && object[5] == 1)
        object[5] = 0
        #expect(!FuzzTarget.backups.accepts(object))
    }
}
