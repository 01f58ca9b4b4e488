import ClusterModel
import Testing
import WireProtocol

struct ShardRecoverCommandTests {
    private let leader = NodeID(high: 7, low: 1)

    /// The second worker of the cluster goes on with what it has.
    private var recovery: ShardRecovered {
        ShardRecovered(
            lost: [NodeID(high: 9, low: 1)],
            shardIndex: 0,
            primary: leader,
            replicas: [.init(worker: leader, sequence: 41)],
            epoch: Epoch(5)
        )
    }

    @Test func whatIsToldCanBeCopiedAndNothingElseIsDone() async throws {
        try await ToyCluster.run { cluster, address in
            let recover = ["shard", "recover", "people", "0", "--coordinator", address]
            cluster.change { $0.recovery = recovery }
            let told = await mienCommand(recover)
            #expect(
                told.status == 0
                    && told.output.hasSuffix(
                        "Nothing was changed: --accept-data-loss --led-by 127.0.0.1:7402@41 does it.\n"
                    ),
                "\(told)"
            )
            let others = ["127.0.0.1:7401@41", "127.0.0.1:7402@42"]
            for other in others {
                let refused = await mienCommand(recover + ["--accept-data-loss", "--led-by", other])
                #expect(refused.status == 69 && refused.error.contains("nothing was changed"), "\(refused)")
            }
            #expect(await mienCommand(recover + ["--accept-data-loss", "--led-by", "41"]).status == 64)
            #expect(cluster.current.confirmedRecoveries.isEmpty)

            let copied = recover + ["--accept-data-loss", "--led-by", "127.0.0.1:7402@41"]
            let done = await mienCommand(copied)
            #expect(done.status == 0 && done.output.contains("Done. Answers say"), "\(done)")
            #expect(
                told.output.contains("\nDeletions that were acknowledged after write 41 would be undone"),
                "\(told)"
            )
            let undone = "\nDeletions that were acknowledged after write 41 are undone: delete those faces again.\n"
            #expect(done.output.contains(undone), "\(done)")
            // What comes of it is confirmed with or without the option.
            #expect(await mienCommand(recover + ["--accept-data-loss"]).status == 0)
            let confirmed = RecoverShard.Confirmation(epoch: Epoch(5), primary: leader, sequence: 41)
            #expect(cluster.current.confirmedRecoveries == [confirmed, confirmed])

            // Nothing of it is left by the time that it is copied.
            var nothing = recovery
            nothing.shardIndex = 1
            cluster.change { [nothing] in $0.recovery = nothing }
            let empty = await mienCommand(copied)
            #expect(empty.status == 69 && empty.error.contains("nothing was changed"), "\(empty)")
            let without = await mienCommand(recover + ["--accept-data-loss"])
            #expect(without.status == 0 && without.output.contains("has anything of shard 0: shard 1"), "\(without)")
            #expect(!without.output.contains("Deletions"), "nobody is in it: \(without)")
            let confirmedLast = RecoverShard.Confirmation(epoch: Epoch(5), primary: nil, sequence: 0)
            #expect(cluster.current.confirmedRecoveries.last == confirmedLast)
        }
    }

    @Test func whoIsAwayAndMayHaveWhatIsLostIsNamed() async throws {
        try await ToyCluster.run { cluster, address in
            let recover = ["shard", "recover", "people", "0", "--coordinator", address]
            var away = recovery
            away.away = [leader]
            away.lost.append(leader)
            away.replicas = [.init(worker: NodeID(high: 7, low: 0), sequence: nil)]
            away.primary = NodeID(high: 7, low: 0)
            away.shardIndex = 1
            cluster.change { [away] in $0.recovery = away }
            let told = await mienCommand(recover)
            #expect(told.status == 0 && told.outputLines.count { $0.contains("is lost") } == 1, "\(told)")
            #expect(told.outputLines.contains { $0.hasPrefix("127.0.0.1:7402") && $0.contains("is away") }, "\(told)")
            #expect(told.output.contains("Start 127.0.0.1:7402 first if that can be"), "\(told)")
            let json = await mienCommand(recover + ["--json"])
            #expect(json.output.contains("away_workers") && json.output.contains("\(leader)"), "\(json)")
            let done = await mienCommand(recover + ["--accept-data-loss"])
            #expect(done.output.contains("What 127.0.0.1:7402 may have had is given up too"), "\(done)")
        }
    }

    @Test func whoWasLostIsToldWhenOnlyTheAnswerWas() async throws {
        try await ToyCluster.run { cluster, address in
            let recover = ["shard", "recover", "people", "0", "--accept-data-loss", "--coordinator", address]
            var made = recovery
            made.lost = []
            cluster.change { [made] state in
                state.recovery = recovery
                state.recovered = made
            }
            let again = await mienCommand(recover)
            #expect(again.status == 0 && again.output.contains("is lost"), "\(again)")
        }
    }

    /// By what it told nothing could be confirmed.
    @Test func aCoordinatorThatWouldNotLookAtWhatWasToldIsNotAsked() async throws {
        try await ToyCluster.run { cluster, address in
            let recover = ["shard", "recover", "people", "0", "--accept-data-loss", "--coordinator", address]
            var told = recovery
            told.epoch = nil
            cluster.change { [told] state in state.recovery = told }
            let refused = await mienCommand(recover)
            #expect(refused.status != 0 && refused.error.contains("bring it up to date first"), "\(refused)")
            #expect(cluster.current.confirmedRecoveries.isEmpty)
        }
    }

    @Test func anotherReplicaThatLeadsThanWasToldIsNoticed() async throws {
        try await ToyCluster.run { cluster, address in
            let recover = ["shard", "recover", "people", "0", "--accept-data-loss", "--coordinator", address]
            let told = recovery
            var other = told
            other.primary = NodeID(high: 7, low: 0)
            other.replicas = [.init(worker: other.primary, sequence: 50)]
            cluster.change { [told, other] state in
                state.recovery = told
                state.recovered = other
            }
            let loud = await mienCommand(recover)
            #expect(loud.status == 70 && loud.error.contains("was to be led by another replica"), "\(loud)")
        }
    }
}
