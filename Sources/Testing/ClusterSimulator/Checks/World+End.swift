import ClusterModel
import ClusterState
import FaceModel
import ShardReplication

/// What has to be so in the end.
extension World {
    /// Every fault ends, and what is down starts; nobody holds anything up.
    mutating func heal() {
        note("healed")
        acknowledgedBeforeHealing = Dictionary(
            uniqueKeysWithValues: placements.map { ($0.shard, history.acknowledgedCount(in: $0.shard)) }
        )
        cutLinks.removeAll()
        slowNodes.removeAll()
        fullNodes.removeAll()
        spentNodes.removeAll()
        failingNodes.removeAll()
        for index in workers.indices {
            workers[index].pauseEnd = min(workers[index].pauseEnd, now)
            if !workers[index].isUp { plan(.restart(workers[index].name), after: .milliseconds(10)) }
        }
        for index in controllers.indices { controllers[index].pauseEnd = min(controllers[index].pauseEnd, now) }
        for index in controllers.indices where !controllers[index].isUp {
            plan(.controllerStart(index), after: .milliseconds(10))
        }
        resumeEverything()
    }

    /// What is not as it has to be: every operation has ended, every shard has its replicas, writes, and answers reads,
    /// and nothing is where it should not be. Nil when all is.
    var incompleteness: String? {
        if let operation = metadata.openOperations.first {
            return "operation \(operation.id.low) is \(operation.state): "
                + operation.steps.map { "\($0.shard.index) \(Self.text($0.change)), \($0.state)" }.joined(
                    separator: "; "
                )
        }
        let configuration = record.collection.configuration
        guard configuration.shardCount == placements.count else { return "another number of shards is recorded" }
        for placement in placements {
            let (index, group) = (placement.shard.index, placement.group)
            guard group.inSync.count == configuration.replicationFactor, group.learners.isEmpty else {
                return "of \(index) in sync are \(group.inSync.map(\.low)), learners are \(group.learners.map(\.low)), "
                    + "of \(configuration.replicationFactor)"
            }
            guard !group.isFrozen, group.minimumInSync == configuration.minimumInSync else {
                return "\(index) is frozen, or asks for another number in sync"
            }
            if let before = acknowledgedBeforeHealing, hasFaces(placement),
                history.acknowledgedCount(in: placement.shard) <= before[placement.shard] ?? 0
            {
                return "nothing has been acknowledged in \(index)"
            }
            for member in group.inSync {
                guard let worker = self.index(of: member), workers[worker].isUp else { return "a worker is down" }
                guard let replica = workers[worker].replica(of: placement.shard),
                    workers[worker].replicas[replica].machine?.mayServeReads(now: workers[worker].clock(now)) ?? false
                else { return "\(member.low) refuses reads of \(index)" }
            }
        }
        return uncoded ?? stray
    }

    /// What a worker has and should not have.
    private var stray: String? {
        for worker in workers {
            if let successor = worker.successors.first {
                return "\(worker.name.low) still makes \(successor.shard.index)"
            }
            for replica in worker.replicas {
                guard metadata.placement(of: replica.shard)?.group.members.contains(worker.name) ?? false else {
                    return "\(worker.name.low) still has \(replica.shard.index)"
                }
            }
        }
        return nil
    }

    private func hasFaces(_ placement: ShardPlacement) -> Bool {
        (0..<SimulatedClient.faceCount).contains { placement.range.contains(SimulatedClient.position(of: $0)) }
    }

    mutating func checkEnd() {
        do throws(Violation) {
            if let incompleteness { try fail(.liveness, incompleteness) }
            // Nobody writes any more; what is under way comes to its end.
            isQuiet = true
            run(until: now + .seconds(5))
            guard violation == nil else { return }
            guard lastFullSearch > now - .seconds(2) else {
                return try fail(.liveness, "no search is answered in full")
            }
            for shard in placements.map(\.shard) where lastStrongRead[shard] ?? .zero <= now - .seconds(2) {
                return try fail(.liveness, "no strong read of \(shard.index) is answered")
            }
            if let incompleteness { try fail(.liveness, "after all, \(incompleteness)") }
            for placement in placements { try checkEnd(of: placement) }
            try checkOperation()
        } catch {
            violation = error
            note("VIOLATION \(error)")
        }
    }

    /// The replicas of a shard are equal, and have exactly the faces that they should have.
    private func checkEnd(of placement: ShardPlacement) throws(Violation) {
        var images: [SimulatedDisk.Image] = []
        for member in placement.group.inSync {
            guard let index = index(of: member), let replica = workers[index].replica(of: placement.shard) else {
                continue
            }
            let image = workers[index].replicas[replica].disk.image
            try history.checkEnd(image, in: placement.shard, of: member, at: now)
            images.append(image)
        }
        guard Set(images).count == 1, let image = images.first else {
            return try fail(.equality, "replicas of \(placement.shard.index) differ after all")
        }
        for face in 0..<SimulatedClient.faceCount {
            let isOwn = placement.range.contains(SimulatedClient.position(of: face))
            guard isOwn ? faces.mayBe(image.faces[face], face) : image.faces[face] == nil else {
                let value = image.faces[face].map { "\($0)" } ?? "gone"
                return try fail(.durability, "face \(face) of \(placement.shard.index) is \(value)")
            }
        }
    }
}
