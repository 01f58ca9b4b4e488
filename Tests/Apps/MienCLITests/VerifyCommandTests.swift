import Testing
import WireProtocol

struct VerifyCommandTests {
    @Test func everyShardIsShown() async throws {
        try await ToyCluster.run { _, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            let verify = ["verify", "people", "--coordinator", address]
            let text = await mienCommand(verify)
            #expect(text.status == 0 && text.outputLines.count { $0.contains("sound") } == 2, "\(text)")
            let json = await mienCommand(verify + ["--json"])
            #expect(json.status == 0 && json.output.contains("\"sound\": true"), "\(json)")
        }
    }

    @Test func whatIsDamagedIsToldWholeAndHowItIsMended() async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            let cause = String(repeating: "The page is not what was written. ", count: 8) + "It is the last sentence."
            cluster.change { state in
                state.finding = .damaged
                state.findingDetail = cause
            }
            let found = await mienCommand(["verify", "people", "--coordinator", address])
            #expect(found.status == 1 && found.output.contains(cause), "\(found)")
            let last = "'mien verify people --repair' has what is damaged or different made anew."
            #expect(found.outputLines.last.map(String.init) == last)
            let kept = await mienCommand(["verify", "people", "--repair", "--coordinator", address])
            #expect(kept.status == 1 && !kept.output.contains("made anew"), "\(kept)")
        }
    }

    /// Replicas of the shards before may be damaged, and be replaced since.
    @Test func whatWasFoundBeforeAShardFailedIsShown() async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            cluster.change { $0.unverifiedShards = [1] }
            let verify = ["verify", "people", "--coordinator", address]
            let text = await mienCommand(verify)
            #expect(text.status == 69 && text.error.contains("Shard 1 cannot be asked."), "\(text)")
            #expect(text.outputLines.count { $0.contains("sound") } == 1, "\(text)")
            let json = await mienCommand(verify + ["--json"])
            #expect(json.status == 69 && json.output.contains("\"index\": 0"), "\(json)")
            #expect(!json.output.contains("\"index\": 1") && json.output.contains("\"sound\": false"), "\(json)")

            cluster.change { $0.unverifiedShards = [0, 1] }
            let nothing = await mienCommand(verify)
            #expect(nothing.status == 69 && nothing.output.isEmpty, "\(nothing)")
        }
    }
}
