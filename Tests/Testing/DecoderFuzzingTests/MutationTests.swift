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
}
