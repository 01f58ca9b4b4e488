import ClusterModel
import Testing
import WireProtocol

struct MetadataCommandTests {
    @Test func acceptingOlderRecordsTellsWhatComesOfItAndAsks() async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            let accept = ["metadata", "accept", "people", "--coordinator", address]
            let nothing = await mienCommand(accept + ["--yes"])
            #expect(nothing.status == 1 && nothing.error.contains("nothing was changed"), "\(nothing)")

            let (first, second) = (NodeID(high: 9, low: 1), NodeID(high: 9, low: 2))
            let older = RecordAccepted(
                storedVersion: 3,
                knownVersion: 9,
                primary: first,
                replicas: [.init(worker: first, sequence: 41), .init(worker: second, sequence: nil)]
            )
            cluster.change { $0.olderRecords[1] = older }
            let refused = await mienCommand(accept, input: "other")
            #expect(refused.status == 1 && refused.error.contains("another name was typed"), "\(refused)")
            #expect(refused.output.contains("leads") && refused.output.contains("is away"), "\(refused)")
            #expect(refused.output.contains("that only other replicas have would be undone"), "\(refused)")
            #expect(cluster.current.olderRecords.count == 1)
            #expect(await mienCommand(accept + ["--shard", "0", "--yes"]).status == 1, "that one is as it should be")

            let done = await mienCommand(accept, input: "people")
            #expect(
                done.status == 0 && done.output.hasSuffix("Accepted the records of 1 shard of people.\n"),
                "\(done)"
            )
            #expect(done.output.contains("Shard 1 is led by \(first), which has its writes through 41.\n"), "\(done)")
            let undone = "Deletions that only other replicas have are undone: delete those faces again.\n"
            #expect(done.output.contains(undone), "\(done)")
            #expect(cluster.current.olderRecords.isEmpty)
            let confirmed = AcceptRecord.Confirmation(storedVersion: 3, primary: first, sequence: 41)
            #expect(cluster.current.confirmations == [confirmed])
            cluster.change { $0.olderRecords[0] = older }
            let json = await mienCommand(accept + ["--shard", "0", "--yes", "--json"])
            #expect(json.status == 0 && json.output.contains("\"known_version\": 9"), "\(json)")

            // The record went on since, and a replica has promised a later epoch than it has.
            let promised = RecordAccepted(
                storedVersion: 12,
                knownVersion: 12,
                primary: first,
                replicas: [.init(worker: first, sequence: 41)]
            )
            cluster.change { $0.olderRecords[1] = promised }
            let raised = await mienCommand(accept + ["--yes"])
            #expect(raised.status == 0 && cluster.current.olderRecords.isEmpty, "\(raised)")
        }
    }

    /// Not even the plan of another shard is asked for: the other one must not stand for it.
    @Test func aNumberThatNoShardHasIsRefused() async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            let leader = NodeID(high: 9, low: 1)
            let older = RecordAccepted(
                storedVersion: 3,
                knownVersion: 9,
                primary: leader,
                replicas: [.init(worker: leader, sequence: 41)]
            )
            cluster.change { $0.olderRecords = [0: older, .max: older] }
            let accept = ["metadata", "accept", "people", "--yes", "--coordinator", address]
            for (shard, status) in [("-1", 64), ("4294967296", 65), ("\(Int.max)", 65)] as [(String, Int32)] {
                let refused = await mienCommand(accept + ["--shard=\(shard)"])
                #expect(refused.status == status && refused.output.isEmpty, "\(refused)")
                #expect(refused.error.contains("Shards are numbered from 0"), "\(refused)")
            }
            #expect(cluster.current.olderRecords.count == 2 && cluster.current.confirmations.isEmpty)
        }
    }

    @Test func whatWasAcceptedBeforeAnotherShardWasRefusedIsTold() async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            let accept = ["metadata", "accept", "people", "--yes", "--json", "--coordinator", address]
            let leader = NodeID(high: 9, low: 1)
            let older = RecordAccepted(
                storedVersion: 3,
                knownVersion: 9,
                primary: leader,
                replicas: [.init(worker: leader, sequence: 41)]
            )
            cluster.change { state in
                state.olderRecords = [0: older, 1: older]
                state.acceptances[1] = .failure(WireStatus(.invalidRequest, "It is another record."))
            }
            let refused = await mienCommand(accept)
            #expect(refused.status == 65 && refused.error.contains("It is another record."), "\(refused)")
            #expect(refused.output.contains("\"index\": 0") && !refused.output.contains("\"index\": 1"), "\(refused)")

            // Another leads since.
            let other = NodeID(high: 9, low: 2)
            var another = older
            (another.primary, another.replicas) = (other, [.init(worker: other, sequence: 50)])
            var less = older
            less.replicas[0].sequence = 40
            for reply in [another, less] {
                cluster.change { state in
                    state.olderRecords = [0: older, 1: older]
                    state.acceptances = [0: .success(reply), 1: .success(older)]
                }
                let loud = await mienCommand(accept)
                #expect(loud.status == 70 && loud.error.contains("that is not what was shown: Shard 0 is"), "\(loud)")
                // The other one is not left as it is for that.
                #expect(loud.output.contains("\"index\": 0") && loud.output.contains("\"index\": 1"), "\(loud)")
            }
        }
    }
}
