import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// A replica that was away for longer than the others' logs reach.
struct LongAbsenceTests {
    private let test = TestCollection()

    /// Nothing that was deleted meanwhile is ever shown again: it gets a copy before it answers.
    @Test func whatWasDeletedMeanwhileDoesNotComeBack() async throws {
        var limits = WorkerLimits()
        limits.logBytes = 1
        limits.wantedLogBytes = 1
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1, limits: limits) { shard in
            let ids = test.ids(120)
            _ = try await shard.enrol(Array(ids.prefix(100)))
            let nodes = await shard.nodes
            _ = try await shard.eventually("both are in sync") { () async throws(WireStatus) in
                for index in 0..<2 { _ = try await shard.faces(ids, on: index) }
                return nodes.allSatisfy { shard.keeper.group!.isInSync($0) }
            }
            let away = await 1 - shard.index(of: shard.keeper.group!.primary)
            await shard.stop(away)
            for part in 0..<10 { _ = try await shard.delete(Array(ids[(part * 6)..<(part * 6 + 6)])) }
            _ = try await shard.enrol(Array(ids.suffix(20)))
            #expect(!shard.keeper.group!.isInSync(nodes[away]))
            try await shard.start(away)
            let expected = Array(ids.dropFirst(60))
            _ = try await shard.eventually("it is in sync again") { () async throws(WireStatus) in
                if let shown = try? await shard.faces(ids, on: away) { #expect(shown == expected) }
                return shard.keeper.group!.isInSync(nodes[away])
            }
            #expect(
                !shard.log.lines("a copy of the primary's partition took the place of this replica's").isEmpty,
                "its log would not have reached"
            )
            // Nor when it leads.
            shard.keeper.change { $0!.handingOver(to: nodes[away]) }
            _ = try await shard.delete([ids[60]])
            let shown = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: away)
            }
            #expect(shown == Array(expected.dropFirst()))
        }
    }
}
