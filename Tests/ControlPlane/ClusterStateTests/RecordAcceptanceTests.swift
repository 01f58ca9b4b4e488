import ClusterModel
import ClusterState
import FaceModel
import Testing

struct RecordAcceptanceTests {
    private let workers = (1...4).map { ClusterScript.worker(UInt64($0)) }
    private let now = Timestamp(milliseconds: 99)

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
        #expect(group.epoch.isDecreed(since: placement.epoch))
        #expect(group.primary == workers[3] && group.inSync == [workers[3]])
        // Those that the record names and that are away, too: they may come back.
        #expect(group.learners == Array(workers[0...2]) && group.minimumInSync == 2)
        #expect(acceptance.sequences == [workers[1]: 50, workers[3]: 70])
    }

    @Test func ofEqualOnesTheFirstLeads() throws {
        let (placement, view) = view([1: (9, 4, 50), 2: (9, 4, 50)])
        #expect(try #require(RecordAcceptance(of: placement, in: view)).group?.primary == workers[1])
    }

    /// A record was accepted before, while the second was away: the first led from 900 on.
    @Test func whatWasGivenUpBeforeDoesNotLeadOverWhatWasAcknowledgedSince() throws {
        let (placement, silent) = view([0: (9, 4, 950), 1: (9, 4, 1000), 2: (9, 4, 900)])
        #expect(try #require(RecordAcceptance(of: placement, in: silent)).group?.primary == workers[1])
        var telling = silent
        for (worker, epoch) in [(0, 4 + RecordAcceptance.leap), (1, 4), (2, 4)] as [(Int, UInt64)] {
            telling.observations[workers[worker]]!.replicas[placement.shard]!.appliedEpoch = Epoch(epoch)
        }
        let acceptance = try #require(RecordAcceptance(of: placement, in: telling))
        #expect(acceptance.group?.primary == workers[0] && !acceptance.isWhole)
        #expect(try accepted(placement, in: telling).losses == [AcceptedLoss(range: placement.range, time: now)])

        // It has as many as the others by now.
        var longer = telling
        longer.observations[workers[0]]!.replicas[placement.shard]!.sequence = 1000
        #expect(try #require(RecordAcceptance(of: placement, in: longer)).isWhole)
        // One of an older program does not say.
        telling.observations[workers[2]]!.replicas[placement.shard]!.appliedEpoch = nil
        #expect(try #require(RecordAcceptance(of: placement, in: telling)).group?.primary == workers[1])
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

    private func accepted(_ placement: ShardPlacement, in view: ClusterView) throws -> CollectionRecord {
        var record = try #require(view.metadata.collections[placement.shard.collection])
        let acceptance = try #require(RecordAcceptance(of: placement, in: view))
        let isDone = acceptance.apply(to: &record, now: now)
        #expect(isDone && record.placements[0].group == acceptance.group)
        let isDoneAgain = acceptance.apply(to: &record, now: now)
        #expect(!isDoneAgain, "the record is another now")
        return record
    }

    @Test func whoeverIsAwayIsALossThatIsRecorded() throws {
        // The third that the record names; one that is live and does not serve; one that told of its replica once.
        let (placement, two) = view([0: (9, 4, 50), 1: (9, 4, 50)])
        var (_, failed) = view([0: (9, 4, 50), 1: (9, 4, 50), 2: (9, 4, 50)])
        var (silent, unheard) = (failed, failed)
        failed.observations[workers[2]]!.replicas[placement.shard]!.state = .failed
        silent.observations[workers[3]] = silent.observations[workers[0]]
        unheard.metadata.workers[workers[3]] = NodeAddress(host: "127.0.0.1", port: 7000)
        for view in [two, failed, silent, unheard] {
            var record = try accepted(placement, in: view)
            #expect(record.losses == [AcceptedLoss(range: placement.range, time: now)])
            var metadata = view.metadata
            metadata.collections[record.collection.id] = record
            #expect(metadata.shardMap.lossy == [record.collection.id: now])
            // A ledger of erasures is whole from then on only, be the faces back or not.
            #expect(record.latestLoss == now)
            record.settleLosses { _ in true }
            #expect(record.losses.isEmpty && record.latestLoss == now)
        }
        unheard.metadata.standings[workers[3]] = .decommissioned
        #expect(try accepted(placement, in: unheard).losses.isEmpty)
    }

    @Test func whereAllAreThereNothingIsLost() throws {
        let (placement, view) = view([0: (7, 3, 50), 1: (9, 4, 60), 2: (9, 4, 40), 3: (9, 4, 70)])
        let record = try accepted(placement, in: view)
        #expect(record.losses.isEmpty && record.latestLoss == nil)
        #expect(record.placements[0].primary == workers[3])
    }

    /// The store was put back, and its primary went on by itself by the record that it holds while the others were
    /// away: they had gone on without it before. Whoever leads lacks what the other acknowledged.
    @Test func whereTheRecordWentOnWhileOthersKnewBetterALossIsRecorded() throws {
        let (_, found) = view([0: (7, 3, 4000), 1: (30, 10, 5000), 2: (30, 10, 5000)])
        var record = try #require(found.metadata.collections.values.first)
        func group(inSync: [NodeID]) -> ReplicaGroup {
            ReplicaGroup(epoch: Epoch(3), version: 7, primary: workers[0], inSync: inSync, minimumInSync: 1)
        }
        record.placements[0].group = group(inSync: [workers[0]])
        let shard = record.placements[0].shard
        for role in [ReplicaObservation.Role.primary, .waiting] {
            var view = found
            view.metadata.collections[record.collection.id] = record
            view.observations[workers[0]]!.replicas[shard]!.role = role
            for (worker, epoch) in [(0, 3), (1, 10), (2, 10)] as [(Int, UInt64)] {
                view.observations[workers[worker]]!.replicas[shard]!.appliedEpoch = Epoch(epoch)
            }
            let acceptance = try #require(RecordAcceptance(of: record.placements[0], in: view))
            #expect(acceptance.group?.primary == workers[1] && acceptance.group?.learners.contains(workers[0]) == true)
            #expect(!acceptance.isWhole)
            let accepted = try accepted(record.placements[0], in: view)
            #expect(accepted.losses == [AcceptedLoss(range: accepted.placements[0].range, time: now)])
            // Whatever was acknowledged by a record that has another in sync is there.
            var together = record
            together.placements[0].group = group(inSync: [workers[0], workers[2]])
            view.metadata.collections[record.collection.id] = together
            #expect(try #require(RecordAcceptance(of: together.placements[0], in: view)).isWhole)
        }
    }

    @Test func anAcceptanceIsKnownWhenItsGroupHasChangedSince() throws {
        let (placement, view) = view([1: (9, 4, 50), 2: (9, 4, 40)])
        let acceptance = try #require(RecordAcceptance(of: placement, in: view))
        var record = try #require(view.metadata.collections[placement.shard.collection])
        #expect(!acceptance.wasApplied(to: record))
        record = try accepted(placement, in: view)
        #expect(acceptance.wasApplied(to: record))
        record.placements[0].group.version += 1
        #expect(acceptance.wasApplied(to: record), "another replica has joined")
        record.placements[0].group.primary = workers[2]
        #expect(!acceptance.wasApplied(to: record))
    }

    @Test func whatNobodyKnowsBetterStays() throws {
        let (placement, view) = view([0: (7, 3, 50), 1: (6, 3, 40)])
        let acceptance = try #require(RecordAcceptance(of: placement, in: view))
        #expect(acceptance.group == nil && acceptance.knownVersion == 7)
    }

    /// The record went on by itself since it was put back, and has passed the version that the replica knows.
    @Test func aPromiseThatTheRecordNeverHeardOfIsGivenUpByALaterEpoch() throws {
        let (placement, equal) = view([0: (7, 3, 50), 1: (7, 3, 50), 2: (7, 3, 50), 3: (6, 1, 90)])
        #expect(try #require(RecordAcceptance(of: placement, in: equal)).group == nil)
        var ahead = equal
        ahead.observations[workers[3]]!.replicas[placement.shard]!.promisedEpoch = Epoch(5)
        let acceptance = try #require(RecordAcceptance(of: placement, in: ahead))
        let group = try #require(acceptance.group)
        // Whoever was in sync is: nothing of what the record went on with is given up.
        var expected = placement.group
        expected.epoch = Epoch(5 + RecordAcceptance.leap)
        expected.version = 7 + RecordAcceptance.leap
        #expect(group == expected)
        let record = try accepted(placement, in: ahead)
        #expect(record.losses == [AcceptedLoss(range: placement.range, time: now)], "of what was written in epoch 5")
        ahead.metadata.collections[record.collection.id] = record
        #expect(try #require(RecordAcceptance(of: record.placements[0], in: ahead)).group == nil)
    }

    @Test func whatIsAcceptedIsAboveWhatWasPromisedBeforeARestart() throws {
        let (placement, found) = view([1: (9, 1, 50)])
        var promised = found
        promised.observations[workers[1]]!.replicas[placement.shard]!.promisedEpoch = Epoch(8)
        let acceptance = try #require(RecordAcceptance(of: placement, in: promised))
        #expect(acceptance.group?.epoch == Epoch(8 + RecordAcceptance.leap))
    }

    @Test func somebodyMustBeThereToLead() {
        let (placement, view) = view([1: (9, 4, 50)], state: .failed)
        #expect(RecordAcceptance(of: placement, in: view) == nil)
    }
}
