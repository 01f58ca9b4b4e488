import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Replicas of one shard of which one has used its row ids.
@Suite struct RowIDTests {
    private let test = TestCollection()

    /// What is in the log has to be applied, or nothing behind it ever is.
    @Test func aPrimaryWithoutRowIDsRefusesFacesBeforeTheLogHasThem() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(11)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(primary)
            try await shard.start(primary, room: .rowIDs(10))
            let refusal = try await shard.refusalForWantOfRoom(of: Array(ids.suffix(1)), by: primary)
            let said = try #require(refusal, "the face was taken")
            #expect(said.message.contains("row ids"), "\(said)")

            let answer = try await shard.delete(Array(ids.prefix(4)))
            #expect(answer.outcomes.allSatisfy { $0 == .deleted })
            for index in 0..<2 {
                let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index, minimumSequence: answer.sequence)
                }
                #expect(found == Array(ids[4..<10]), "replica \(index)")
            }
        }
    }

    /// Replicas move rows each in its own time, so that one has used more row ids than another.
    @Test func aSecondaryWithoutRowIDsThatIsNeededIsToldOf() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(400)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            let nodes = await shard.nodes
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(1 - primary)
            try await shard.start(1 - primary, room: .rowIDs(10))
            let refusal = try await shard.enrolUntilRefused(ids.dropFirst(10), by: primary).refusal
            let said = try #require(refusal, "no face was refused")
            #expect(said.message.contains("worker \(nodes[1 - primary])"), "\(said)")
            let answer = try await shard.delete([ids[0]])
            #expect(answer.outcomes == [.deleted])
            #expect(shard.keeper.group!.inSync.count == 2, "it takes part")
        }
    }
}
