import ClusterModel
import FaceModel
import Testing
import WireProtocol

struct OperationCommandTests {
    private func step(
        _ index: UInt32,
        _ state: OperationStepState,
        from: UInt64 = 1
    ) -> OperationDescription.Step {
        .init(
            collection: "people",
            shardIndex: index,
            change: .move(from: NodeID(high: 7, low: from), to: NodeID(high: 7, low: 9)),
            state: state
        )
    }

    /// What stays as it is has to be known by whoever takes an operation back.
    @Test func cancellingListsWhatIsNotTakenBack() async throws {
        try await ToyCluster.run { cluster, address in
            let done = (10..<35 as Range<UInt32>).map { step($0, .done) }
            var operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .drain,
                worker: NodeID(high: 7, low: 1),
                state: .cancelling,
                created: Timestamp(milliseconds: 1),
                steps: [step(0, .undoing), step(1, .running), step(2, .undone)] + done
            )
            cluster.change { [operation] in $0.operations = [operation] }
            let cancel = ["operation", "cancel", operation.id.description, "--coordinator", address]
            let text = await mienCommand(cancel).output
            let lines = text.split(separator: "\n")
            let end = try #require(lines.firstIndex { $0.contains("brought to its end, since it is past") }, "\(text)")
            #expect(lines[end + 1].contains("people/1  "))
            let kept = try #require(lines.firstIndex { $0.contains("done, and not taken back") }, "\(text)")
            #expect(kept == end + 2 && lines.count == kept + 22, "\(text)")
            #expect(lines[kept + 1].contains("people/10  ") && lines[kept + 21].contains("and 5 more"))

            operation.state = .cancelled
            operation.steps = [step(0, .undone), step(1, .done)]
            cluster.change { [operation] in $0.operations = [operation] }
            let ended = await mienCommand(["operations", "--coordinator", address])
            #expect(ended.output.contains("not taken back:\n    people/1  "), "\(ended)")
            operation.steps = [step(0, .undone)]
            cluster.change { [operation] in $0.operations = [operation] }
            let whole = await mienCommand(["operations", "--coordinator", address])
            #expect(!whole.output.contains("not taken back"), "\(whole)")
        }
    }

    /// Nobody took it back: it is done, and what came between is told.
    @Test func aRebalanceListsWhatItDidNotMake() async throws {
        try await ToyCluster.run { cluster, address in
            var operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .rebalance,
                state: .done,
                created: Timestamp(milliseconds: 1),
                note: "Shard 1 has been pinned meanwhile.",
                steps: [step(0, .done), step(1, .undone)]
            )
            cluster.change { [operation] in $0.operations = [operation] }
            let text = await mienCommand(["operations", "--coordinator", address]).output
            #expect(text.contains("rebalance, done, 2 of 2 steps ended") && !text.contains("cancelled"), "\(text)")
            #expect(text.contains("  Shard 1 has been pinned meanwhile.\n  not made:\n    people/1  "), "\(text)")
            #expect(!text.contains("people/0"))
            operation.steps = [step(0, .done)]
            cluster.change { [operation] in $0.operations = [operation] }
            let whole = await mienCommand(["operations", "--coordinator", address]).output
            #expect(whole.contains("rebalance, done") && !whole.contains("not made"), "\(whole)")
        }
    }

    /// The collection has that number of copies, so that nothing was taken back; what is missing is made by others.
    @Test func anotherNumberOfCopiesListsWhatItDidNotMake() async throws {
        try await ToyCluster.run { cluster, address in
            let operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .copies,
                collection: "people",
                state: .done,
                created: Timestamp(milliseconds: 1),
                note: "1 shard has fewer than 3 copies in sync: what is missing is made as workers allow.",
                steps: [step(0, .done), step(1, .undone)]
            )
            cluster.change { $0.operations = [operation] }
            let text = await mienCommand(["operations", "--coordinator", address]).output
            #expect(text.contains("other number of copies of 'people', done, 2 of 2 steps ended"), "\(text)")
            #expect(text.contains("made as workers allow.\n  not made:\n    people/1  "), "\(text)")
        }
    }

    /// Its name is gone with it.
    @Test func anOperationOfADeletedCollectionSaysThatThatIsGone() async throws {
        try await ToyCluster.run { cluster, address in
            let operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .copies,
                collection: nil,
                state: .done,
                created: Timestamp(milliseconds: 1),
                steps: []
            )
            cluster.change { $0.operations = [operation] }
            let text = await mienCommand(["operations", "--coordinator", address]).output
            #expect(text.contains("other number of copies of a collection that is gone, done"), "\(text)")
        }
    }

    @Test func whatCannotBePlannedIsAnsweredWithWhatCan() async {
        for words in [["backup", "create", "people"], ["shard", "pin", "people", "0"], ["nothing"], []] {
            let plan = await mienCommand(["plan"] + words)
            #expect(plan.status == 64 && plan.error.contains("drain, decommission, recommission"), "\(plan)")
            #expect(!plan.error.contains("--to"), "\(plan)")
        }
        // What one of these lacks is said.
        let incomplete = await mienCommand(["plan", "shard", "split"])
        #expect(incomplete.status == 64 && incomplete.error.contains("Missing expected argument"), "\(incomplete)")
    }

    /// They are in the records, and nobody but the command gets on with them.
    @Test func collectionsThatAreBeingRestoredAreNamed() async throws {
        try await ToyCluster.run { cluster, address in
            let none = await mienCommand(["operations", "--coordinator", address])
            #expect(none.output == "no operation yet\n", "\(none)")
            for name in ["people", "others"] {
                let create = ["collection", "create", name, "--dimension", "64", "--model", "m"]
                let made = await mienCommand(create + ["--coordinator", address])
                #expect(made.status == 0, "\(made)")
            }
            cluster.change { $0.restorations["people"] = "others-20261127T004330158Z-21c1d990" }
            let text = await mienCommand(["operations", "--coordinator", address]).output
            let line = "restore of 'people' from others-20261127T004330158Z-21c1d990, not ended: 0 faces so far"
            #expect(text.hasPrefix(line) && !text.contains("'others'"), "\(text)")
        }
    }

    /// As an object beside the operations: nobody but the command knows more of it.
    @Test func collectionsThatAreBeingRestoredAreInTheJSON() async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "m"]
            let made = await mienCommand(create + ["--coordinator", address])
            #expect(made.status == 0, "\(made)")
            let operations = ["operations", "--coordinator", address, "--json"]
            let none = await mienCommand(operations)
            #expect(none.output == "[]\n", "\(none)")
            cluster.change { $0.restorations["people"] = "others-20261127T004330158Z-21c1d990" }
            let text = await mienCommand(operations).output
            for member in [
                "\"kind\": \"restore\"", "\"collection\": \"people\"", "\"state\": \"running\"",
                "\"created\": \"2026-01-01T00:00:00.123Z\"", "\"faces\": 0",
                "\"backup\": \"others-20261127T004330158Z-21c1d990\"",
            ] {
                #expect(text.contains(member), "\(member) in \(text)")
            }
        }
    }

    /// With what it waits for, wherever somebody looks; it is no reason for a status of its own.
    @Test func whatHasNotGotOnForAMinuteIsTold() async throws {
        try await ToyCluster.run { cluster, address in
            var still = step(0, .running)
            still.silentMilliseconds = 75_000
            still.waitsFor = "The replica is catching up."
            var operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .drain,
                worker: NodeID(high: 7, low: 1),
                state: .running,
                created: Timestamp(milliseconds: 1),
                steps: [still, step(1, .waiting)]
            )
            let sentence = "people/0 has not got on for 1 min 15 s: The replica is catching up."
            cluster.change { [operation] in $0.operations = [operation] }
            let words = [["operations"], ["status"], ["top", "--once", "--interval", "0.05"]]
            let prefixes = ["  ! ", "! operation \(operation.id): ", "! operation \(operation.id): "]
            for (words, prefix) in zip(words, prefixes) {
                let result = await mienCommand(words + ["--coordinator", address])
                #expect(result.status == 0 && result.output.contains("\n\(prefix)\(sentence)\n"), "\(result)")
            }
            for words in [["operations"], ["status"]] {
                let json = await mienCommand(words + ["--coordinator", address, "--json"]).output
                #expect(json.contains("\"standstills\": [\n") && json.contains(sentence), "\(json)")
            }
            // One of which nothing begins.
            still.state = .waiting
            still.silentMilliseconds = 0
            operation.steps = [still]
            operation.standstillMilliseconds = 60_000
            cluster.change { [operation] in $0.operations = [operation] }
            let waiting = await mienCommand(["operations", "--coordinator", address]).output
            #expect(waiting.contains("  ! nothing of it has got on for 1 min 0 s: The replica is"), "\(waiting)")
            // Nobody expects of it that it gets on.
            operation.state = .paused
            cluster.change { [operation] in $0.operations = [operation] }
            let paused = await mienCommand(["status", "--coordinator", address])
            #expect(paused.status == 0 && !paused.output.contains("got on"), "\(paused)")
        }
    }

    @Test func aRolloutTellsOfTrainingsThatFailed() async throws {
        try await ToyCluster.run { cluster, address in
            var operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .rollout,
                collection: "people",
                state: .running,
                created: Timestamp(milliseconds: 1),
                rollout: .init(generation: 2, cause: .growth, stage: .training, silentMilliseconds: 61_000)
            )
            operation.failedTrainingCount = 3
            cluster.change { [operation] in $0.operations = [operation] }
            let result = await mienCommand(["operations", "--coordinator", address])
            let lines = result.outputLines.map { $0.split(separator: " ").joined(separator: " ") }
            #expect(lines.contains("step state done rate left unchanged failed waits for"), "\(result)")
            #expect(lines.contains("train running - - - 1 min 1 s 3"), "\(result)")
            #expect(lines.contains("! codebook 2 has not got on for 1 min 1 s"), "\(result)")
            let json = await mienCommand(["operations", "--json", "--coordinator", address]).output
            #expect(json.contains("\"failed_trainings\": 3"), "\(json)")
        }
    }

    @Test func aReasonIsShownWhole() async throws {
        try await ToyCluster.run { cluster, address in
            var step = step(0, .running)
            let reason = String(repeating: "words of a reason ", count: 20)
            step.waitsFor = reason + "end"
            let operation = OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .drain,
                worker: NodeID(high: 7, low: 1),
                state: .running,
                created: Timestamp(milliseconds: 1),
                steps: [step]
            )
            cluster.change { [operation] in $0.operations = [operation] }
            let text = await mienCommand(["operations", "--coordinator", address]).output
            #expect(text.contains(reason + "end"), "\(text)")
        }
    }

    @Test(arguments: [
        ["shard", "move", "people", "--from", "a:1", "--", "-1"],
        ["shard", "lead", "people", "--worker", "a:1", "--", "-1"],
        ["shard", "pin", "people", "--", "-1"], ["shard", "unpin", "people", "--", "-1"],
        ["shard", "split", "people", "--", "-1"], ["shard", "merge", "people", "--", "0", "-1"],
        ["shard", "recover", "people", "--", "-1"], ["explain", "people", "--", "-1"],
    ])
    func shardsAreNumberedFrom0(words: [String]) async {
        let refused = await mienCommand(words)
        #expect(refused.status == 64, "\(refused)")
        #expect(refused.error.hasPrefix("mien: Shards are numbered from 0."), "\(refused)")
    }

    /// After its disk was replaced the worker at an address is another one, and the one that was there is still known.
    @Test func workersOfOneAddressAreToldApart() async throws {
        try await ToyCluster.run { cluster, address in
            cluster.change { state in
                state.workersShareAnAddress = true
                state.workersAreLive = [false, true]
            }
            let (old, new) = (NodeID(high: 7, low: 0), NodeID(high: 7, low: 1))
            let decommission = ["decommission", "127.0.0.1:7401", "--coordinator", address]
            let refused = await mienCommand(decommission)
            #expect(refused.status == 64)
            #expect(
                refused.error == "mien: '127.0.0.1:7401' names 2 workers: \(old) (silent), \(new) (live); give the "
                    + "identity\n"
            )
            let plan = OperationPlan(steps: [], loads: [], estimatedSeconds: 0, assumedBytesPerSecond: 1)
            cluster.change { $0.plans = [.decommission(old): plan] }
            let planned = await mienCommand(["plan", "decommission", "\(old)", "--coordinator", address])
            #expect(planned.status == 0, "\(planned)")

            // From then on the address is the other's.
            cluster.change { state in
                state.standings = [0: .decommissioned]
                state.plans = [.decommission(new): plan]
            }
            let byAddress = await mienCommand(["plan", "decommission", "127.0.0.1:7401", "--coordinator", address])
            #expect(byAddress.status == 0, "\(byAddress)")
            // To bring one back it is either's.
            let recommission = await mienCommand(["recommission", "127.0.0.1:7401", "--coordinator", address])
            #expect(recommission.status == 64)
            #expect(recommission.error.contains("\(old) (silent, decommissioned), \(new) (live)"))
        }
    }
}
