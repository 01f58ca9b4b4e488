import ClusterModel
import ClusterState
import FaceModel
import Testing

struct RecordAcceptanceTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }

    /// One shard whose record names the first three workers; what workers report of it by their numbers.
    private func view(
        _ reports: [Int: (version: UInt64, epoch: UInt64, sequence: UInt64)],
        state: ReplicaObservation.State = .serving
    ) -> (placement: ShardPlacement, view: ClusterView) {
        var record = ClusterScript.record(1, shards: 1, on: [workers[0]])
        record.placements[0].group = ReplicaGroup(
            epoch: Epoch(3),
            version: 7,
            primary: workers[0],
            inSync: [workers[0], workers[1]],
            learners: [workers[2]],
            minimumInSync: 2
        )
        var observations = ClusterScript.serving(record)
        let shard = record.placements[0].shard
        let sample = observations[workers[0]]!
        observations = [:]
        for (number, report) in reports {
            var observation = sample
            var replica = sample.replicas[shard]!
            replica.groupVersion = report.version
            replica.epoch = Epoch(report.epoch)
            replica.sequence = report.sequence
            replica.state = state
            observation.replicas = [shard: replica]
            observations[workers[number]] = observation
        }
        return (record.placements[0], ClusterScript.view([record], reports: observations))
    }

    @Test func theReplicaThatHasMostLeadsAboveAllThatIsKnown() throws {
        let (placement, view) = view([1: (9, 4, 50), 3: (12, 6, 70)])
        let acceptance = try #require(RecordAcceptance(of: placement, in: view))
        #expect(acceptance.storedVersion == 7 && acceptance.knownVersion == 12)
        let group = try #require(acceptance.group)
        #expect(group.epoch == Epoch(6 + RecordAcceptance.leap) && group.version == 12 + RecordAcceptance.leap)
        #expect(group.primary == workers[3] && group.inSync == [workers[3]])
        // Those that the record names and that are away, too: they may come back.
        #expect(group.learners == Array(workers[0...2]) && group.minimumInSync == 2)
        #expect(acceptance.sequences == [workers[1]: 50, workers[3]: 70])
    }

    @Test func ofEqualOnesTheFirstLeads() throws {
        let (placement, view) = view([1: (9, 4, 50), 2: (9, 4, 50)])
        #expect(try #require(RecordAcceptance(of: placement, in: view)).group?.primary == workers[1])
    }

    /// What a member has that is away counts for nothing, and by the group replicas can tell that somebody said so:
    /// fewer are in sync than a write needs, under an epoch that none of its entries is of.
    @Test func whoeverIsAwayIsGivenUpByTheGroupItself() throws {
        let (placement, view) = view([1: (9, 4, 95)])
        let group = try #require(RecordAcceptance(of: placement, in: view)?.group)
        #expect(group.inSync == [workers[1]] && group.learners == [workers[0], workers[2]])
        #expect(group.inSync.count < group.minimumInSync)
        #expect(group.epoch.number > 4 && group.version > 9 && group.epoch > placement.epoch)
        // The first that joins ends that.
        let proposal = GroupProposal(version: group.version, epoch: group.epoch, change: .add(workers[0]))
        let joined = try #require(group.applying(proposal))
        #expect(joined.inSync.count == joined.minimumInSync && joined.epoch == group.epoch)
    }

    @Test func whatNobodyKnowsBetterStays() throws {
        let (placement, view) = view([0: (7, 3, 50), 1: (6, 3, 40)])
        let acceptance = try #require(RecordAcceptance(of: placement, in: view))
        #expect(acceptance.group == nil && acceptance.knownVersion == 7)
    }

    @Test func somebodyMustBeThereToLead() {
        let (placement, view) = view([1: (9, 4, 50)], state: .failed)
        #expect(RecordAcceptance(of: placement, in: view) == nil)
    }
}
