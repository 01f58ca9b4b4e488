import ClusterModel
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// Copies of a replica over a way that fails: they go on where they were, and what comes in the end is what was sent.
@Suite struct CopyResumptionTests {
    private static let sliceByteCount = 16 << 10
    private let test = TestCollection()

    /// Has a third worker catch up by a copy, over a relay that does to each slice what `fate` says, and sees that it
    /// has everything then.
    ///
    /// - Parameter wantedLogBytes: of the log, that are kept for it.
    private func copy(
        _ fate: @escaping @Sendable (Int, CopyRelay.Slice) -> CopyRelay.Fate,
        wantedLogBytes: Int = 1 << 20,
        meanwhile: (ReplicatedShard, CopyRelay) async throws -> Void = { _, _ in }
    ) async throws -> CopyRelay {
        var limits = WorkerLimits()
        limits.logBytes = 1
        limits.wantedLogBytes = wantedLogBytes
        let made = Mutex<CopyRelay?>(nil)
        try await ReplicatedShard.with(
            workers: 3,
            replicas: 2,
            minimumInSync: 2,
            limits: limits,
            sliceByteCount: Self.sliceByteCount
        ) { shard in
            let ids = test.ids(200)
            for part in 0..<10 { _ = try await shard.enrol(Array(ids[(part * 20)..<(part * 20 + 20)])) }
            let nodes = await shard.nodes
            let keeper = shard.keeper
            let relay = CopyRelay(to: { keeper.address(of: nodes[2]) }, fate: fate)
            made.withLock { $0 = relay }
            let server = try await WireServer.start(
                WireServerConfiguration(
                    listen: NodeAddress(host: "127.0.0.1", port: 0),
                    token: "secret",
                    role: .worker,
                    node: nodes[2],
                    agent: "test"
                ),
                handler: relay,
                group: WorkerHarness.group
            )
            keeper.relay(nodes[2], over: server.address)
            var outcome = Result<Void, any Error>.success(())
            do {
                keeper.change { $0!.adding(learner: nodes[2]) }
                try await shard.host(2)
                try await meanwhile(shard, relay)
                _ = try await shard.eventually("the new replica is in sync") { () async throws(WireStatus) in
                    keeper.group!.isInSync(nodes[2])
                }
                let found = try await shard.eventually("the new replica reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: 2)
                }
                #expect(found == ids)
            } catch {
                outcome = .failure(error)
            }
            await relay.close()
            await server.shutdown(gracePeriod: .zero)
            try outcome.get()
        }
        let relay = made.withLock(\.self)
        return try #require(relay)
    }

    private func sentByteCount(_ slices: [CopyRelay.Slice]) -> Int { slices.reduce(0) { $0 + $1.byteCount } }

    @Test func aCopyGoesOnWhereItWasAfterEverySlice() async throws {
        for fate in [CopyRelay.Fate.losesItsAnswer, .isLost, .endsTheAttempt] {
            let struck = Mutex<Set<UInt64>>([])
            let relay = try await copy { _, slice in
                // Each slice once, by where it begins.
                struck.withLock { $0.insert(slice.offset).inserted } ? fate : .passes
            }
            let total = Int(try #require(relay.slices.first).totalByteCount)
            let lostCount = fate == .losesItsAnswer ? 1 : relay.slices.count / 2
            #expect(relay.copies.count == 1, "\(fate)")
            #expect(relay.slices.count > 6)
            // What did not come is sent again, and no more than that.
            #expect(sentByteCount(relay.slices) <= total + lostCount * Self.sliceByteCount, "\(fate)")
            #expect(relay.slices.map(\.offset) == relay.slices.map(\.offset).sorted())
        }
    }

    @Test func oneInterruptionCostsAtMostOneSlice() async throws {
        let relay = try await copy { number, _ in number == 3 ? .endsTheAttempt : .passes }
        let total = Int(try #require(relay.slices.first).totalByteCount)
        #expect(relay.copies.count == 1)
        #expect(sentByteCount(relay.slices) <= total + Self.sliceByteCount)
    }

    @Test func aReceiverThatIsStartedAnewHasWhatItHad() async throws {
        let isHeld = Mutex(false)
        let relay = try await copy { number, _ in
            if number == 4 { isHeld.withLock { $0 = true } }
            return isHeld.withLock(\.self) ? .isLost : .passes
        } meanwhile: { shard, relay in
            _ = try await shard.eventually("slices were sent") { () async throws(WireStatus) in relay.slices.count > 4 }
            await shard.stop(2)
            try await shard.start(2)
            isHeld.withLock { $0 = false }
        }
        let offsets = relay.slices.map(\.offset)
        #expect(relay.copies.count == 1)
        #expect(offsets.count { $0 == 0 } == 1, "\(offsets)")
    }

    @Test func aSenderThatIsStartedAnewMakesAnotherCopy() async throws {
        let isHeld = Mutex(false)
        let relay = try await copy { number, _ in
            if number == 4 { isHeld.withLock { $0 = true } }
            return isHeld.withLock(\.self) ? .isLost : .passes
        } meanwhile: { shard, relay in
            _ = try await shard.eventually("slices were sent") { () async throws(WireStatus) in relay.slices.count > 4 }
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(primary)
            isHeld.withLock { $0 = false }
            try await shard.start(primary)
        }
        #expect(relay.copies.count >= 2)
    }

    /// The receiver opens the copy before it says anything: until then the log behind it has to stay.
    @Test func writesThatGoOnCostNoSecondCopy() async throws {
        let relay = try await copy({ _, _ in .passes }, wantedLogBytes: 64 << 20) { shard, _ in
            for id in test.ids(1200).suffix(1000) {
                if await shard.isInSync(2) { break }
                _ = try await shard.enrol([id])
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        #expect(relay.copies.count == 1)
    }

    /// A copy costs both disks all of the partition.
    @Test func aCopyThatADiskRefusedIsMadeAgainAfterAPause() async throws {
        let times = Mutex<[ContinuousClock.Instant]>([])
        let relay = try await copy { number, slice in
            if slice.offset == 0 { times.withLock { $0.append(.now) } }
            return number == 0 ? .isRefused : .passes
        }
        #expect(relay.copies.count == 2, "what was refused for good is not kept")
        let began = times.withLock(\.self)
        #expect(began.count == 2 && began[1] - began[0] >= .seconds(5))
    }

    /// The other worker could not open it, say. Sending all of it again, and again, would be of no use.
    @Test func aCopyThatIsGoneOnceItWasThereIsGivenUp() async throws {
        let relay = try await copy { _, slice in
            slice.offset + UInt64(slice.byteCount) == slice.totalByteCount ? .isForgotten : .passes
        }
        #expect(relay.copies.count == 2)
        let firsts = relay.slices.filter { $0.copy == relay.copies.first }
        #expect(firsts.count { $0.offset == 0 } == 1, "it is not sent anew from its beginning")
    }

    @Test func aFlippedByteIsFoundAndTheCopyMadeAnew() async throws {
        let relay = try await copy { number, _ in number == 2 ? .isFlipped : .passes }
        #expect(relay.copies.count == 2)
    }
}
