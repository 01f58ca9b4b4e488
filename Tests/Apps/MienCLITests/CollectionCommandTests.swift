import ClusterModel
import FaceModel
import Testing
import WireProtocol

@Suite struct CollectionCommandTests {
    private func create(_ name: String, _ address: String) async -> CommandResult {
        await mienCommand([
            "collection", "create", name, "--dimension", "64", "--model", "toy-64", "--coordinator", address,
        ])
    }

    @Test func aCollectionIsCreatedWithAShardForEachWorker() async throws {
        try await ToyCluster.run { cluster, address in
            let result = await create("people", address)
            #expect(result.status == 0)
            #expect(result.output == "Created the collection people: dimension 64, model toy-64, 2 shards.\n")
            let configuration = cluster.current.collections["people"]
            #expect(configuration?.shardCount == 2)
            let again = await create("people", address)
            #expect(again.status == 1)
            #expect(again.error == "mien: the collection 'people' exists already\n")
        }
    }

    @Test func workersThatAreGoneOrAreToGoCountForNoShard() async throws {
        try await ToyCluster.run { cluster, address in
            for (name, isLive, standing) in [
                ("silent", false, WorkerStanding.active), ("drained", true, .draining),
                ("gone", true, .decommissioned),
            ] {
                cluster.change { state in
                    state.workersAreLive[1] = isLive
                    state.standings = [1: standing]
                }
                #expect(await create(name, address).status == 0)
                #expect(cluster.current.collections[name]?.shardCount == 1, "\(name)")
            }
        }
    }

    @Test func describeShowsFactsAndShards() async throws {
        try await ToyCluster.run { _, address in
            _ = await create("people", address)
            let result = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            #expect(result.status == 0)
            #expect(
                result.output == """
                    collection  people
                    faces       0
                    dimension   64, stored as float16
                    model       toy-64
                    durability  single copy
                    index       not needed yet: searches compare every embedding
                    created     2026-01-01T00:00:00.123Z

                    shard  faces  fresh  dead rows  codes  worker          state
                        0      0      0          0  none   127.0.0.1:7401  serving
                        1      0      0          0  none   127.0.0.1:7402  serving

                    """
            )
        }
    }

    private static func replica(
        _ number: UInt64,
        isPrimary: Bool = false,
        isInSync: Bool = true,
        state: CollectionDescription.ShardState = .serving,
        sequence: UInt64
    ) -> CollectionDescription.Replica {
        .init(
            worker: NodeID(high: 7, low: number),
            isPrimary: isPrimary,
            isInSync: isInSync,
            role: isPrimary ? .primary : isInSync ? .secondary : .waiting,
            state: state,
            sequence: sequence
        )
    }

    private func createReplicated(_ address: String, _ arguments: [String] = []) async -> CommandResult {
        await mienCommand(
            [
                "collection", "create", "people", "--dimension", "64", "--model", "toy-64", "--copies", "3",
                "--coordinator", address,
            ] + arguments
        )
    }

    @Test func copiesAreAskedForAndChecked() async throws {
        try await ToyCluster.run { cluster, address in
            let refused = await createReplicated(address, ["--min-copies", "4"])
            #expect(refused.status == 64, "\(refused)")
            #expect(refused.error.contains("must be from 1 to the 3 there are"), "\(refused)")
            let result = await createReplicated(address)
            #expect(
                result.output
                    == "Created the collection people: dimension 64, model toy-64, 2 shards of 3 copies.\n"
            )
            let configuration = cluster.current.collections["people"]
            #expect(configuration?.replicationFactor == 3 && configuration?.minimumInSync == 2)
        }
    }

    @Test func describeShowsCopiesAndWhatTheyArePromisedFor() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await createReplicated(address, ["--min-copies", "1"])
            cluster.change {
                $0.replicas = [
                    Self.replica(1, isPrimary: true, sequence: 70), Self.replica(2, sequence: 68),
                    Self.replica(3, isInSync: false, state: .missing, sequence: 9),
                ]
            }
            let result = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            for line in [
                "copies      3 of each shard",
                "durability  single copy: writes go on while only one copy is in sync",
                "shard  copy on worker                        role         last write  behind  state",
                "    0  127.0.0.1:7402                        primary              70       0  serving",
                "    0  00000000-0000-0007-0000-000000000002  in sync              68       2  serving",
                "    1  00000000-0000-0007-0000-000000000003  catching up           9      61  missing",
            ] { #expect(result.outputLines.contains(line[...]), "\(result.output)") }
            let json = await mienCommand(["collection", "list", "--json", "--coordinator", address])
            #expect(json.output.contains(#""copies":3,"min_copies":1,"durability":"single copy""#), "\(json.output)")
            let replica =
                #""in_sync":2,"replicas":[{"worker":"00000000-0000-0007-0000-000000000001","primary":true,"#
                + #""in_sync":true,"answers_searches":true,"state":"serving","sequence":70,"behind":0}"#
            #expect(json.output.contains(replica), "\(json.output)")
            let list = await mienCommand(["collection", "list", "--coordinator", address])
            #expect(
                list.output == """
                    collection  faces  shards  copies  in sync  dimension  model   index
                    people          0       2       3   4 of 6         64  toy-64  not needed yet
                    durability: single copy of people

                    """
            )
        }
    }

    @Test func statusTellsOfCopiesThatAreMissing() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await createReplicated(address)
            let status = ["status", "--coordinator", address]
            let all = (1...3).map { Self.replica(UInt64($0), isPrimary: $0 == 1, sequence: 5) }
            cluster.change { $0.replicas = all }
            let whole = await mienCommand(status)
            #expect(whole.status == 0 && !whole.output.contains("durability"), "two copies have what is acknowledged")
            cluster.change { $0.replicas[2].isInSync = false }
            let fewer = await mienCommand(status)
            #expect(fewer.status == 69)
            let problem = "collection people: fewer than 3 copies in sync: shard 0 (2 of 3), shard 1 (2 of 3)\n"
            #expect(fewer.error.contains(problem), "\(fewer.error)")
            // In sync by the records, and its worker is away.
            cluster.change { $0.replicas[1].state = .missing }
            let tooFew = await mienCommand(status).error
            let most = "collection people: too few copies in sync for writes: shard 0 (1 of 3)"
            #expect(tooFew.contains(most), "\(tooFew)")
        }
    }

    private static let codebook = CollectionDescription.Codebook(
        generation: 3,
        codedDimension: 56,
        codeByteCount: 80,
        listCount: 256,
        energyShare: 0.96875,
        sampleCount: 20_000,
        calibrationProbeCount: 1500,
        calibration: [
            .init(leastSimilarity: 0.25, recall: 0.5, visitedShare: 0.0125),
            .init(leastSimilarity: 0.25, recall: 0.995, visitedShare: 0.25),
            .init(leastSimilarity: 0.25, recall: 1, visitedShare: 1),
            .init(leastSimilarity: 0.5, recall: 1, visitedShare: 1),
            .init(leastSimilarity: 0.75, recall: 0.995, visitedShare: 0.0625),
            .init(leastSimilarity: 0.75, recall: 1, visitedShare: 1),
        ]
    )

    @Test func describeShowsWhatTheIndexHasLearnt() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            cluster.change { $0.codebook = Self.codebook }
            let result = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            #expect(result.status == 0)
            #expect(
                result.output == """
                    collection  people
                    faces       0
                    dimension   64, stored as float16
                    model       toy-64
                    durability  single copy
                    index       256 lists
                    codes       56 of 64 components in 80 bytes a face, 96.9 % of the energy
                    codebook    generation 3, trained on 20000 faces
                    created     2026-01-01T00:00:00.123Z

                    shard  faces  fresh  dead rows  codes  worker          state
                        0      0      0          0  none   127.0.0.1:7401  serving
                        1      0      0          0  none   127.0.0.1:7402  serving

                    recall  from 0.25  from 0.75
                    0.5        1.25 %          -
                    0.995     25.00 %     6.25 %
                    1        100.00 %   100.00 %
                    Share of the faces that a search visits for a recall of the mates from a similarity up (its
                    threshold, and 0.30 at least), missing at most twice as many in any band of 0.05: what
                    1500 probes at each similarity, of as many faces, show with 95 % confidence, and a part
                    left for codes to lose.

                    """
            )
        }
    }

    private static let training = CollectionDescription.Training(
        generation: 4,
        worker: NodeID(high: 7, low: 1),
        progress: .init(stage: .centroids, share: 0.4375, elapsedMilliseconds: 12_345)
    )

    @Test func aTrainingUnderWayIsShown() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            cluster.change { $0.training = Self.training }
            let first = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            for line in [
                "training    generation 4, centroids 43 %, for 12.3 s",
                "trainer     worker at 127.0.0.1:7402",
            ] {
                #expect(first.outputLines.contains { $0 == line }, "\(first.output)")
            }
            #expect(first.output.contains("in training: searches compare every embedding until it is there"))
            let status = await mienCommand(["status", "--coordinator", address])
            #expect(status.output.contains("training: centroids 43 %"), "\(status.output)")

            cluster.change { $0.codebook = Self.codebook }
            let next = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            #expect(next.output.contains("256 lists, the next in training"), "\(next.output)")
            let json = await mienCommand(["collection", "list", "--json", "--coordinator", address])
            let member =
                #""training_under_way":{"generation":4,"worker":"00000000-0000-0007-0000-000000000001","#
                + #""stage":"centroids","share":0.4375,"elapsed_seconds":12.345}"#
            #expect(json.output.contains(member), "\(json.output)")
        }
    }

    @Test func whyThereIsACodebookAndHowItFitsIsShown() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            cluster.change {
                $0.codebook = Self.codebook
                $0.standing = .init(
                    origin: CodebookOrigin(cause: .growth, faceCount: 200_000),
                    fit: CodebookFit(recentRowCount: 5000, energyRatio: 0.995, imbalanceRatio: 1.25)
                )
            }
            let result = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            let fit = "fit         5000 faces since: 99.5 % of the expected energy, lists 1.25 times as uneven"
            #expect(
                result.outputLines.contains { $0 == "because     the collection had grown to 200000 faces" },
                "\(result.output)"
            )
            #expect(result.outputLines.contains { $0 == fit }, "\(result.output)")
            let json = await mienCommand(["collection", "list", "--json", "--coordinator", address])
            #expect(json.output.contains(#""codebook_standing":{"cause":"growth","faces":200000,"recent_faces":5000,"#))
            #expect(json.output.contains(#""live_recall":null,"miss_ratio":1"#), "\(json.output)")
        }
    }

    @Test func whatSearchesFindAndHowItIsCorrectedIsShown() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            var fit = CodebookFit.unknown
            fit.recall = RecallEvidence(probeCount: 1000, missedCount: 50, expectedCount: 10)
            cluster.change {
                $0.codebook = Self.codebook
                $0.standing = .init(origin: CodebookOrigin(cause: .recall, faceCount: 200_000), fit: fit)
            }
            let result = await mienCommand(["collection", "describe", "people", "--coordinator", address])
            for line in [
                "because      searches missed more mates than the calibration promised, at 200000 faces",
                "live recall  95.00 % of 1000 mated probes, 50 missed (93.46 to 96.27 %)",
                "correction   3.53 times as many mates missed as promised; searches for about that recall visit more",
            ] { #expect(result.outputLines.contains(line[...]), "\(result.output)") }
            let json = await mienCommand(["collection", "list", "--json", "--coordinator", address])
            #expect(json.output.contains(#""live_recall":{"recall":0.95,"low":0.93"#), "\(json.output)")
            #expect(json.output.contains(#""cause":"recall""#) && json.output.contains(#""miss_ratio":3.5"#))
        }
    }

    @Test func theJSONHoldsTheCalibration() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            cluster.change { $0.codebook = Self.codebook }
            let result = await mienCommand(["collection", "list", "--json", "--coordinator", address])
            let codebook =
                #""codebook":{"generation":3,"lists":256,"coded_dimension":56,"code_bytes":80,"#
                + #""energy_share":0.96875,"sample":20000,"calibration_probes":1500,"calibration":["#
                + #"{"least_similarity":0.25,"recall":0.5,"visited_share":0.0125},"#
                + #"{"least_similarity":0.25,"recall":0.995,"visited_share":0.25},"#
                + #"{"least_similarity":0.25,"recall":1,"visited_share":1},"#
                + #"{"least_similarity":0.5,"recall":1,"visited_share":1},"#
                + #"{"least_similarity":0.75,"recall":0.995,"visited_share":0.0625},"#
                + #"{"least_similarity":0.75,"recall":1,"visited_share":1}]}"#
            #expect(result.output.contains(codebook), "\(result.output)")
        }
    }

    @Test func theFirstFacesOfTheJSONAreTheCollections() async throws {
        try await ToyCluster.run { _, address in
            _ = await create("people", address)
            let result = await mienCommand(["collection", "describe", "people", "--json", "--coordinator", address])
            let line = try #require(result.outputLines.first { $0.contains("\"faces\"") })
            #expect(line == "  \"faces\": 0,")
        }
    }

    @Test func anAbsentCollectionIsANo() async throws {
        try await ToyCluster.run { _, address in
            let result = await mienCommand(["collection", "describe", "nobody", "--coordinator", address])
            #expect(result.status == 1)
            #expect(result.error == "mien: there is no collection 'nobody'\n")
            #expect(result.output.isEmpty)
        }
    }

    @Test func theListHasALineForEachCollection() async throws {
        try await ToyCluster.run { _, address in
            let list = ["collection", "list", "--coordinator", address]
            #expect(await mienCommand(list).output.hasPrefix("There is no collection yet"))
            for name in ["people", "animals"] { _ = await create(name, address) }
            let result = await mienCommand(list)
            #expect(
                result.output == """
                    collection  faces  shards  dimension  model   index
                    animals         0       2         64  toy-64  not needed yet
                    people          0       2         64  toy-64  not needed yet
                    durability: single copy of animals, people

                    """
            )
            let json = await mienCommand(list + ["--json"]).outputLines
            #expect(json.count == 2)
            #expect(json.allSatisfy { $0.hasPrefix("{\"name\":") && $0.hasSuffix("}") })
        }
    }

    @Test func onlyLossesThatAreShownAreSaidToBeBack() async throws {
        try await ToyCluster.run { cluster, address in
            let ranges = HashRange.divisions(2)
            let losses = ([1_700_000_000_000, 1_700_000_060_000] as [Int64]).enumerated().map { index, time in
                LossList.Loss(range: ranges[index], time: Timestamp(milliseconds: time))
            }
            cluster.change {
                $0.losses = [losses[0]]
                $0.lossesMeanwhile = [losses[1]]
            }
            let command = ["collection", "losses", "people", "--coordinator", address]
            let text = await mienCommand(command + ["--restored"])
            #expect(text.status == 0)
            #expect(
                text.output == """
                    These are back:
                    given up              share of the collection
                    2023-11-14T22:13:20Z                   50.0 %
                    These are still given up:
                    given up              share of the collection
                    2023-11-14T22:14:20Z                   50.0 %

                    """
            )
            cluster.change { $0.lossesMeanwhile = [] }
            let json = await mienCommand(command + ["--restored", "--json"])
            #expect(json.output.contains("\"losses\": []") && json.output.contains("22:14:20"), "\(json)")
            let none = await mienCommand(command + ["--restored"])
            #expect(none.output == "No faces of people are given up.\n")
        }
    }

    @Test func deletingAsksForTheName() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            let delete = ["collection", "delete", "people", "--coordinator", address]
            let refused = await mienCommand(delete, input: "other")
            #expect(refused.status == 1)
            #expect(cluster.current.collections.count == 1)
            #expect(await mienCommand(delete).status == 1)
            let done = await mienCommand(delete, input: "people")
            #expect(done.status == 0)
            #expect(done.output == "Deleted the collection people and its 0 faces.\n")
            #expect(await mienCommand(delete + ["--yes"]).status == 1)
        }
    }

    @Test func whoHasNotDroppedADeletedCollectionIsNamed() async throws {
        try await ToyCluster.run { cluster, address in
            let worker = NodeID(high: 7, low: 1)
            cluster.change { state in
                state.unconfirmed = [.init(id: worker, address: NodeAddress(host: "127.0.0.1", port: 7402))]
            }
            let delete = ["collection", "delete", "people", "--yes", "--coordinator", address]
            _ = await create("people", address)
            let done = await mienCommand(delete)
            #expect(done.status == 0 && done.output == "Deleted the collection people and its 0 faces.\n", "\(done)")
            #expect(done.error.contains("warning: nobody has heard that what 127.0.0.1:7402 has of people"), "\(done)")
            #expect(done.error.contains("cut off from the metadata store may go on answering"), "\(done)")
            _ = await create("people", address)
            let json = await mienCommand(delete + ["--json"])
            #expect(json.status == 0 && json.output.contains("\"unconfirmed_workers\": ["), "\(json)")
            #expect(json.output.contains("\(worker)"), "\(json)")
        }
    }

    /// Three quarters of the codes of each of the toy's workers are in memory.
    @Test func aColdWorkerIsNoProblemUnlessAskedFor() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            let status = ["status", "--coordinator", address]
            #expect(await mienCommand(status).status == 0)
            let cold = await mienCommand(status + ["--warm"])
            #expect(cold.status == 69)
            #expect(cold.error.contains("the worker at 127.0.0.1:7401 is cold: 75.0 % of its codes are in memory\n"))
            cluster.change { for index in $0.workersAreLive.indices { $0.workersAreLive[index] = false } }
            #expect(await !mienCommand(status + ["--warm"]).error.contains("cold"))
        }
    }

    @Test func statusTellsWhoIsTheControllerOfSeveral() async throws {
        try await ToyCluster.run { cluster, address in
            let status = ["status", "--coordinator", address]
            cluster.change { state in
                let other = NodeAddress(host: "127.0.0.1", port: 7399)
                state.coordinators.append(.init(id: NodeID(high: 2, low: 3), address: other, controllerSince: nil))
            }
            let whole = await mienCommand(status)
            #expect(whole.status == 0, "\(whole)")
            let table = """
                coordinator     role        since
                127.0.0.1:7399  routes      -
                127.0.0.1:7400  controller  2023-11-14T22:13:20Z  answered
                """
            #expect(whole.output.contains(table + "\n"), "\(whole)")
            let json = await mienCommand(status + ["--json"])
            #expect(json.output.contains("\"controller_since\": \"2023-11-14T22:13:20Z\""), "\(json)")

            cluster.change { state in
                state.coordinators[0].controllerSince = nil
                state.storeProblem = "The metadata store does not answer."
            }
            let problem = await mienCommand(status)
            #expect(problem.status == 69)
            #expect(
                problem.error == """
                    mien: The metadata store does not answer.
                    mien: no coordinator is the controller: workers are not told to do anything

                    """
            )
        }
    }

    @Test func statusTellsWhatIsMissing() async throws {
        try await ToyCluster.run { cluster, address in
            _ = await create("people", address)
            let status = ["status", "--coordinator", address]
            let whole = await mienCommand(status)
            #expect(whole.status == 0)
            #expect(
                whole.output == """
                    cluster 00000000-0000-0001-0000-000000000001
                    coordinator 0.0.0, up 3 min 20 s, epoch 3

                    worker          state  replicas  faces  disk  memory  warm codes  warm rows  kernels
                    127.0.0.1:7401  live          0      0   0 B  64 MiB      75.0 %     62.5 %  avx2
                    127.0.0.1:7402  live          0      0   0 B  64 MiB      75.0 %     62.5 %  avx2

                    collection  faces  shards  dimension  model   index
                    people          0       2         64  toy-64  not needed yet
                    durability: single copy of people

                    """
            )
            #expect(await mienCommand(status + ["--workers", "3"]).status == 69)
            cluster.change { $0.workersAreLive[1] = false }
            let partial = await mienCommand(status)
            #expect(partial.status == 69)
            #expect(
                partial.error == """
                    mien: the worker at 127.0.0.1:7402 is missing (silent 12.0 s)
                    mien: collection people: no live worker for shard 1

                    """
            )
            cluster.change { $0.shardState = .opening }
            #expect(await mienCommand(status).error.contains("collection people: not served yet: shard 0\n"))
            cluster.change { $0.shardState = .failed }
            #expect(await mienCommand(status).error.contains("collection people: out of service: shard 0\n"))
            let json = await mienCommand(status + ["--json"])
            #expect(json.status == 69)
            #expect(json.output.contains("\"state\": \"failed\""))
            #expect(json.output.contains("\"silent_seconds\": 12"))
            #expect(json.output.contains("\"resident_code_bytes\": 3145728"))
            #expect(json.output.contains("\"resident_embedding_bytes\": 10485760"))
        }
    }

    @Test func statusSaysWhyAWorkerIsSilentAndWhatItMayHold() async throws {
        try await ToyCluster.run { cluster, address in
            let status = ["status", "--coordinator", address]
            cluster.change {
                $0.workersAreLive[1] = false
                $0.silenceCause = .hanging
            }
            let clause = "it takes connections and does not say hello: the process hangs"
            let hanging = await mienCommand(status)
            #expect(hanging.output.contains("\n127.0.0.1:7402: \(clause)\n"))
            #expect(hanging.error == "mien: the worker at 127.0.0.1:7402 is missing (silent 12.0 s): \(clause)\n")
            let json = await mienCommand(status + ["--json"])
            #expect(json.output.contains("\"silence_cause\": \"hanging\""))
            #expect(json.output.contains("\"silence_cause\": null"), "of the other")
            #expect(!json.output.contains("\"may_hold_deleted_faces\": true"))

            // It was not heard of in the day since the coordinator's start.
            cluster.change {
                $0.silenceCause = .notRunning
                $0.silentMilliseconds = .max
                $0.uptimeSeconds = 86_401
            }
            let mayHold =
                "may hold faces that were deleted since it was heard: start it, or destroy its disk and decommission it"
            let dead = await mienCommand(status)
            #expect(dead.output.contains("the process is not running; it \(mayHold)\n"))
            #expect(dead.error.contains("mien: the worker at 127.0.0.1:7402 \(mayHold)\n"))
            let deadJSON = await mienCommand(status + ["--json"])
            #expect(deadJSON.output.contains("\"may_hold_deleted_faces\": true"))

            // Of one that was heard what it held is known: a shard that was being made is something, too.
            for makesShards in [false, true] {
                cluster.change {
                    $0.silentMilliseconds = 86_401_000
                    $0.makesShards = makesShards
                }
                #expect(await mienCommand(status).output.contains(mayHold) == makesShards)
            }

            cluster.change { $0.standings[1] = .decommissioned }
            let gone = await mienCommand(status)
            #expect(!gone.output.contains(mayHold) && !gone.error.contains(mayHold))
        }
    }
}
