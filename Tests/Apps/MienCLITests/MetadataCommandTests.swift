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
            #expect(cluster.current.olderRecords.count == 1)
            #expect(await mienCommand(accept + ["--shard", "0", "--yes"]).status == 1, "that one is as it should be")

            let done = await mienCommand(accept, input: "people")
            #expect(
                done.status == 0 && done.output.hasSuffix("Accepted the records of 1 shard of people.\n"),
                "\(done)"
            )
            #expect(done.output.contains("Shard 1 is led by \(first), which has its writes through 41.\n"), "\(done)")
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
}
