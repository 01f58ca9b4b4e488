import ClusterModel
import ClusterState
import FaceModel
import Testing

/// What operations have ended as, and which of those that have are forgotten.
struct EndedOperationsTests {
    /// One that took long is the last that ended, though it was the first that began.
    @Test func thoseThatEndedFirstAreForgotten() {
        var metadata = ClusterMetadata(clusterID: ClusterScript.worker(1000))
        let times: [(number: UInt64, created: Int64, ended: Int64?)] = [
            (1, 10, 90), (2, 20, 30), (3, 30, 40), (4, 40, nil),
        ]
        for (number, created, ended) in times {
            let id = OperationID(high: 0, low: number)
            metadata.operations[id] = Operation(
                id: id,
                kind: .change,
                state: ended == nil ? .running : .done,
                created: Timestamp(milliseconds: created),
                ended: ended.map { Timestamp(milliseconds: $0) }
            )
        }
        #expect(metadata.outdatedOperations(beyond: 3).isEmpty)
        #expect(metadata.outdatedOperations(beyond: 2) == [OperationID(high: 0, low: 2)])
        #expect(metadata.outdatedOperations(beyond: 1).map(\.low) == [2, 3])
    }

    /// The clock of whoever ends it may have been set back meanwhile, or be behind the other's.
    @Test func whatEndsIsTheLastThatEnded() {
        var metadata = ClusterMetadata(clusterID: ClusterScript.worker(1000))
        #expect(metadata.nextEnd(at: Timestamp(milliseconds: 7)) == Timestamp(milliseconds: 7))
        for (number, time) in [(1, 900), (2, 500), (3, 800)] as [(UInt64, Int64)] {
            let end = metadata.nextEnd(at: Timestamp(milliseconds: time))
            let id = OperationID(high: 0, low: number)
            metadata.operations[id] = Operation(
                id: id,
                kind: .change,
                state: .cancelled,
                created: Timestamp(milliseconds: 1),
                ended: end
            )
        }
        #expect(metadata.operations[OperationID(high: 0, low: 3)]?.ended == Timestamp(milliseconds: 902))
        #expect(metadata.outdatedOperations(beyond: 1).map(\.low) == [1, 2])
    }

    /// The collection has that number from the beginning, and what is missing comes elsewhere: nothing was taken back.
    @Test func anotherNumberOfCopiesIsDoneThoughAWorkerIsGoneThatWasToHaveOne() throws {
        let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
        let record = ClusterScript.replicated(1, on: Array(workers[...1]), minimum: 1)
        var world = OperationWorld(seed: 1, workers: 4, records: [record])
        let count = CopyCount(replicationFactor: 3, minimumInSync: 1)
        try world.mustBegin(.copies(record.collection.id, count))
        let begun = try #require(world.metadata.openOperations.first)
        let target = try #require(begun.steps.first?.change.newcomer)
        world.live.remove(target)
        world.gone.insert(target)
        try world.coordinate()
        let ended = try #require(world.metadata.operations[begun.id])
        #expect(ended.state == .done && ended.steps.map(\.state) == [.undone])
        #expect(
            ended.note == "Worker \(target) has not been heard of for too long. "
                + "1 shard has fewer than 3 copies in sync: what is missing is made as workers allow."
        )
        try world.settle()
        let group = try #require(world.metadata.placement(of: record.placements[0].shard)?.group)
        #expect(group.inSync.count == 3 && !group.members.contains(target))
        let isBegunAgain = world.begin(.copies(record.collection.id, count))
        #expect(!isBegunAgain, "it has that number already")
    }

    /// Somebody thought better of it, and the collection has the number of before again.
    @Test func anotherNumberOfCopiesThatSomebodyTakesBackIsCancelled() throws {
        let workers = (1...3).map { ClusterScript.worker(UInt64($0)) }
        let record = ClusterScript.replicated(1, on: Array(workers[...1]), minimum: 1)
        var world = OperationWorld(seed: 1, workers: 3, records: [record])
        try world.mustBegin(.copies(record.collection.id, CopyCount(replicationFactor: 3, minimumInSync: 1)))
        let begun = try #require(world.metadata.openOperations.first)
        let isCancelled = world.cancel(begun.id)
        #expect(isCancelled)
        try world.coordinate()
        let ended = try #require(world.metadata.operations[begun.id])
        #expect(ended.state == .cancelled && ended.note == nil)
        #expect(world.metadata.collections[record.collection.id]?.collection.configuration.replicationFactor == 2)
    }
}
