import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Replicas of one shard of which one has no room on its disk.
@Suite struct FullReplicaDiskTests {
    private let test = TestCollection()

    @Test func aReplicaWithoutRoomIsDoneWithoutUntilThereIsRoom() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 1) { shard in
            let ids = test.ids(20)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            let nodes = await shard.nodes
            let full = 1 - (await shard.index(of: shard.keeper.group!.primary))
            await shard.stop(full)
            try await shard.start(full, isDiskFull: true)
            _ = try await shard.enrol(Array(ids.suffix(10)))
            #expect(!shard.keeper.group!.isInSync(nodes[full]), "it cannot have the second write")
            let found = try await shard.eventually("the primary reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: 1 - full)
            }
            #expect(found == ids)

            await shard.stop(full)
            try await shard.start(full)
            _ = try await shard.eventually("it is in sync again") { () async throws(WireStatus) in
                shard.keeper.group!.isInSync(nodes[full])
            }
            let caughtUp = try await shard.eventually("it reads") { () async throws(WireStatus) in
                try await shard.faces(ids, on: full)
            }
            #expect(caughtUp == ids)
        }
    }

    @Test func aPrimaryWithoutRoomRefusesWhatItsLogDoesNotHave() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(11)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(primary)
            try await shard.start(primary, isDiskFull: true)
            // It leads again under a new epoch, and then finds that there is no room.
            let refusal = try await shard.eventually("the write is refused") { () async throws(WireStatus) in
                do throws(WireStatus) {
                    let epoch = shard.keeper.group!.epoch.number
                    _ = try await shard.call(test.enrol(Array(ids.suffix(1)), epoch: epoch), on: primary)
                    return WireStatus?.none
                } catch {
                    guard error.code == .storageFull else { throw error }
                    return error
                }
            }
            #expect(refusal?.code == .storageFull)
            for index in 0..<2 {
                let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index)
                }
                #expect(found == Array(ids.prefix(10)), "replica \(index)")
            }

            await shard.stop(primary)
            try await shard.start(primary)
            _ = try await shard.enrol(Array(ids.suffix(1)))
        }
    }
}
