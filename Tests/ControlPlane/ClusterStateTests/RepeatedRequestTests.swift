import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Who asks twice for the same gets the operation that has begun.
struct RepeatedRequestTests {
    private let workers = (1...5).map { ClusterScript.worker(UInt64($0)) }

    private func world() throws -> (world: OperationWorld, requests: [OperationRequest]) {
        let records = (1...3 as ClosedRange<UInt64>).map { number in
            ClusterScript.replicated(number, on: [workers[0], workers[1]], minimum: 1)
        }
        var world = OperationWorld(seed: 9, workers: 5, records: records)
        // Two neighbours to merge.
        let divided = world.metadata.placements[2].shard.collection
        try world.mustBegin(.split(divided, [0]))
        try world.settle()
        let moved = world.metadata.placements[0].shard
        let split = world.metadata.placements[1].shard
        let requests: [OperationRequest] = [
            .move(moved, from: workers[0], to: workers[2]),
            .lead(moved, workers[1]),
            .drain(workers[1]),
            .decommission(workers[1]),
            .copies(moved.collection, CopyCount(replicationFactor: 3, minimumInSync: 2)),
            .split(split.collection, [split.index]),
            .merge(divided, [.init(2, 1)]),
        ]
        return (world, requests)
    }

    @Test func anOperationUnderWayFulfilsWhatItBeganForAndNothingElse() throws {
        let (calm, requests) = try world()
        for request in requests {
            var world = calm
            #expect(requests.allSatisfy { $0.operationUnderWay(in: world.metadata) == nil })
            try world.mustBegin(request)
            let id = try #require(world.metadata.openOperations.first?.id)
            for state in [OperationState.running, .paused] {
                world.metadata.operations[id]!.state = state
                for other in requests {
                    let found = other.operationUnderWay(in: world.metadata)?.id
                    #expect(found == (other == request ? id : nil), "\(other) while \(request)")
                }
            }
            world.metadata.operations[id]!.state = .running
            // With some of it done, if not all.
            try world.coordinate()
            if world.metadata.operations[id]!.state == .running {
                #expect(request.operationUnderWay(in: world.metadata)?.id == id)
            }
            if world.cancel(id) { #expect(request.operationUnderWay(in: world.metadata) == nil) }
        }
    }

    /// What was asked for is in the collection's configuration until the operation is cancelled or has ended.
    @Test func whileCopiesAreChangedTheirOperationIsTakenForNoOtherNumberOfThem() throws {
        var (world, requests) = try world()
        let request = requests[4]
        guard case .copies(let collection, _) = request else {
            Issue.record("\(request) is about no copies")
            return
        }
        let other = OperationRequest.copies(collection, CopyCount(replicationFactor: 5, minimumInSync: 2))
        try world.mustBegin(request)
        let id = try #require(world.metadata.openOperations.first?.id)
        for state in OperationState.allCases where state == .running || state == .paused {
            world.metadata.operations[id]!.state = state
            let operation = world.metadata.operations[id]!
            #expect(request.mayHaveBegun(operation, in: world.metadata))
            #expect(!other.mayHaveBegun(operation, in: world.metadata), "\(state)")
        }
        world.metadata.operations[id]!.state = .running
        let isCancelled = world.cancel(id)
        #expect(isCancelled)
        #expect(request.mayHaveBegun(world.metadata.operations[id]!, in: world.metadata))
    }

    /// Shards are gone one after the other, and "all" is those of the beginning.
    @Test func aSplitOfManyIsTheSameWhenSomeAreDone() throws {
        var (world, _) = try world()
        let id = world.metadata.placements[2].shard.collection
        try world.mustBegin(.split(id, [1, 2]))
        var isPartlyDone = false
        while let operation = world.metadata.openOperations.first {
            isPartlyDone = isPartlyDone || Set(operation.steps.map(\.state.hasEnded)).count == 2
            for request in [OperationRequest.split(id, [2, 1]), .split(id, [])] {
                #expect(request.operationUnderWay(in: world.metadata)?.id == operation.id)
            }
            for request in [OperationRequest.split(id, [1]), .split(id, [1, 2, 3]), .merge(id, [])] {
                #expect(request.operationUnderWay(in: world.metadata) == nil)
            }
            try world.coordinate()
            try world.work()
        }
        #expect(isPartlyDone)
        #expect(OperationRequest.split(id, []).operationUnderWay(in: world.metadata) == nil)
    }

    @Test func aMoveToAnywhereIsOneThatIsUnderWayToSomewhere() throws {
        var (world, _) = try world()
        let shard = world.metadata.placements[0].shard
        try world.mustBegin(.move(shard, from: workers[0], to: workers[2]))
        func isUnderWay(from: NodeID, to: NodeID?) -> Bool {
            OperationRequest.move(shard, from: from, to: to).operationUnderWay(in: world.metadata) != nil
        }
        #expect(isUnderWay(from: workers[0], to: nil) && isUnderWay(from: workers[0], to: workers[2]))
        #expect(!isUnderWay(from: workers[0], to: workers[3]) && !isUnderWay(from: workers[1], to: nil))
    }

    /// What is under way counts where it will be, so that nothing moves there and back.
    @Test func aRebalanceBesideAnotherHasNothingMoreToMove() throws {
        var world = OperationWorld(
            seed: 7,
            workers: 2,
            records: (1...4).map { ClusterScript.replicated($0, on: [ClusterScript.worker(1)], minimum: 1) }
        )
        try world.mustBegin(.rebalance)
        let steps = try #require(world.metadata.openOperations.first?.steps)
        #expect(steps.count == 2 && steps.allSatisfy { $0.change.newcomer == ClusterScript.worker(2) })
        #expect(RebalancePlanner.steps(in: world.view).isEmpty)
        try world.coordinate()
        #expect(RebalancePlanner.steps(in: world.view).isEmpty, "while some are under way")
        // One that is taken back counts where it was.
        let id = try #require(world.metadata.openOperations.first?.id)
        let isCancelled = world.cancel(id)
        #expect(isCancelled)
        let again = RebalancePlanner.steps(in: world.view)
        #expect(again.count == 2 && again.allSatisfy { $0.change.newcomer == ClusterScript.worker(2) }, "\(again)")
    }

    @Test func aMoveToWhereAReplicaIsIsRefused() throws {
        let (world, _) = try world()
        let placement = world.metadata.placements[0]
        for target in placement.group.members {
            #expect(throws: OperationRefusal.self) {
                try OperationRequest.move(placement.shard, from: placement.primary, to: target)
                    .operation(OperationID(high: 3, low: 3), in: world.view, now: Timestamp(milliseconds: 1))
            }
        }
    }

    /// Since then a worker may have come.
    @Test func levellingIsAlwaysPlannedAnew() throws {
        var (world, _) = try world()
        try world.mustBegin(.rebalance)
        #expect(OperationRequest.rebalance.operationUnderWay(in: world.metadata) == nil)
    }
}
