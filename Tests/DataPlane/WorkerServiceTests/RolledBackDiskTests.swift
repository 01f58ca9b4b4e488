import ClusterModel
import FaceModel
import Foundation
import Testing
import WireProtocol
import WorkerService

/// A worker's folder that is put back to an earlier copy of it, under real workers.
struct RolledBackDiskTests {
    private let test = TestCollection()

    private func copy(_ from: String, to target: String) throws {
        if FileManager.default.fileExists(atPath: target) { try FileManager.default.removeItem(atPath: target) }
        try FileManager.default.copyItem(atPath: from, toPath: target)
    }

    /// Stops a worker, and keeps a copy of its folder or puts it back.
    private func exchange(_ index: Int, of shard: ReplicatedShard, putsBack: Bool, _ kept: String) async throws {
        let folder = await shard.folder(index).path
        await shard.stop(index)
        if putsBack { try copy(kept, to: folder) } else { try copy(folder, to: kept) }
        try await shard.start(index)
    }

    @Test(arguments: [true, false])
    func aWorkerOnAnEarlierCopyOfItsFolderLosesNothing(isPrimary: Bool) async throws {
        let kept = TemporaryFolder()
        try await ReplicatedShard.with(workers: 2, replicas: 2, minimumInSync: isPrimary ? 2 : 1) { shard in
            let nodes = await shard.nodes
            let ids = test.ids(60)
            _ = try await shard.enrol(Array(ids.prefix(20)))
            let primary = await shard.index(of: shard.keeper.group!.primary)
            let index = isPrimary ? primary : 1 - primary
            try await exchange(index, of: shard, putsBack: false, "\(kept.path)/folder")
            let both = { @Sendable () async throws(WireStatus) -> Bool in
                for node in 0..<2 { _ = try await shard.faces(ids, on: node) }
                return nodes.allSatisfy { shard.keeper.group!.isInSync($0) }
            }
            _ = try await shard.eventually("both are in sync", both)
            // What the copy lacks, a deletion among it.
            _ = try await shard.enrol(Array(ids[20..<40]))
            _ = try await shard.delete(Array(ids.prefix(5)))
            _ = try await shard.eventually("both are in sync", both)
            #expect(told(shard).isEmpty)
            if isPrimary, await shard.index(of: shard.keeper.group!.primary) != index {
                shard.keeper.change { $0!.handingOver(to: nodes[index]) }
                _ = try await shard.enrol(Array(ids.prefix(0)) + [ids[39]])
            }
            // On a busy machine it may be away for so long that it is done without: then what it lacks is no loss.
            shard.keeper.remove(false)
            try await exchange(index, of: shard, putsBack: true, "\(kept.path)/folder")
            _ = try await shard.eventually("it is told of") { () async throws(WireStatus) in !told(shard).isEmpty }
            shard.keeper.remove(true)
            _ = try await shard.eventually("both are in sync again", both)
            _ = try await shard.enrol(Array(ids[40...]))
            for node in 0..<2 {
                let found = try await shard.eventually("replica \(node) reads") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: node)
                }
                #expect(found == Array(ids.dropFirst(5)), "replica \(node)")
            }
        }
    }

    private func told(_ shard: ReplicatedShard) -> [[String: String]] {
        shard.log.lines(
            "this replica's disk went back: it holds less than the replica had acknowledged, and leads no more"
        )
            + shard.log.lines(
                "a replica's disk went back: it counts for nothing until it has again what it had acknowledged"
            )
    }
}
