import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Primaries that are asked how far the log of their shard is.
struct StrongReadTests {
    private let test = TestCollection()

    private func confirm(_ shard: ReplicatedShard, on index: Int) async throws(WireStatus) -> UInt64 {
        let route = test.route(epoch: shard.keeper.group!.epoch.number)
        return try await shard.call(ConfirmShard(route: route), on: index).sequence
    }

    @Test func thePrimarySaysWhatWasAcknowledged() async throws {
        try await ReplicatedShard.with(workers: 3, replicas: 3, minimumInSync: 2) { shard in
            for part in 0..<5 {
                let ids = Array(test.ids(50)[(part * 10)..<(part * 10 + 10)])
                let written = try await shard.enrol(ids).sequence
                let position = try await shard.eventually("the primary is sure") { () async throws(WireStatus) in
                    try await confirm(shard, on: shard.index(of: shard.keeper.group!.primary))
                }
                #expect(position >= written)
                for index in 0..<3 where await shard.isInSync(index) {
                    let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                        try await shard.faces(ids, on: index, minimumSequence: position)
                    }
                    #expect(found == ids)
                }
            }
        }
    }

    @Test func anotherReplicaSaysNothing() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            _ = try await shard.enrol(test.ids(1))
            let group = shard.keeper.group!
            let other = await shard.index(of: group.inSync.first { $0 != group.primary }!)
            let refusal = await #expect(throws: WireStatus.self) { try await confirm(shard, on: other) }
            #expect(refusal?.code == .staleEpoch)
        }
    }

    /// The other replica is in sync and does not answer, so that it may lead by now for all that the primary knows.
    @Test func aPrimaryThatCannotAskIsNotSure() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(4)
            let written = try await shard.enrol(ids).sequence
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(1 - primary)
            let refusal = await #expect(throws: WireStatus.self) { try await confirm(shard, on: primary) }
            #expect(
                refusal?.code == .deadlineExceeded || refusal?.code == .unavailable,
                "\(String(describing: refusal))"
            )
            try await shard.start(1 - primary)
            let position = try await shard.eventually("the primary is sure") { () async throws(WireStatus) in
                try await confirm(shard, on: shard.index(of: shard.keeper.group!.primary))
            }
            #expect(position >= written)
        }
    }

    @Test func aShardOfOneCopyIsSureAtOnce() async throws {
        try await ReplicatedShard.with(workers: 1, replicas: 1, minimumInSync: 1) { shard in
            let written = try await shard.enrol(test.ids(3)).sequence
            let position = try await confirm(shard, on: 0)
            #expect(position == written)
        }
    }
}
