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
            try await shard.start(full, room: .none)
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
            try await shard.start(primary, room: .none)
            let refusal = try await shard.refusalForWantOfRoom(of: Array(ids.suffix(1)), by: primary)
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

    @Test func deletionsGoOnWhereAReplicaThatIsNeededHasNoRoom() async throws {
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: 2) { shard in
            let ids = test.ids(400)
            _ = try await shard.enrol(Array(ids.prefix(10)))
            let nodes = await shard.nodes
            let primary = await shard.index(of: shard.keeper.group!.primary)
            await shard.stop(1 - primary)
            try await shard.start(1 - primary, room: .most)
            let came = try await shard.enrolUntilRefused(ids.dropFirst(10), by: primary)
            let said = try #require(came.refusal, "no face was refused")
            #expect(said.message.contains("worker \(nodes[1 - primary])"), "\(said)")

            let stored = Array(ids.prefix(10)) + came.stored
            let answer = try await shard.delete(Array(stored.prefix(4)) + came.doubtful)
            #expect(answer.outcomes.prefix(4).allSatisfy { $0 == .deleted })
            #expect(shard.keeper.group!.inSync.count == 2, "it takes part")
            for index in 0..<2 {
                let found = try await shard.eventually("replica \(index) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index, minimumSequence: answer.sequence)
                }
                #expect(found == Array(stored.dropFirst(4)), "replica \(index)")
            }

            await shard.stop(1 - primary)
            try await shard.start(1 - primary)
            _ = try await shard.enrol(Array(ids.prefix(4)))
        }
    }

    /// Before any of it is made.
    @Test func aWorkerWithoutRoomForACopyIsToldOf() async throws {
        var limits = WorkerLimits()
        limits.logBytes = 1
        limits.wantedLogBytes = 1
        try await ReplicatedShard.with(workers: 2, replicas: 1, minimumInSync: 1, limits: limits) { shard in
            let ids = test.ids(100)
            for part in 0..<5 { _ = try await shard.enrol(Array(ids[(part * 20)..<(part * 20 + 20)])) }
            let nodes = await shard.nodes
            await shard.stop(1)
            try await shard.start(1, room: .none)
            shard.keeper.change { $0!.adding(learner: nodes[1]) }
            try await shard.host(1)
            let refusal = try await shard.eventually("the refusal is told") { () async throws(WireStatus) in
                guard let refusal = shard.keeper.refusals(by: nodes[0]).first else { throw WireStatus(.notYet, "none") }
                return refusal
            }
            #expect(refusal.worker == nodes[1] && refusal.shard == test.shard())
            #expect(refusal.reason.contains("MiB free"), "\(refusal.reason)")
            #expect(shard.log.lines("a copy of a partition is sent").isEmpty)
            await shard.stop(1)
            try await shard.start(1)
            _ = try await shard.eventually("it is in sync, and nothing is told any more") {
                () async throws(WireStatus) in
                shard.keeper.group!.isInSync(nodes[1]) && shard.keeper.refusals(by: nodes[0]).isEmpty
            }
        }
    }
}
