import FaceModel
import Testing
import WireProtocol

@Suite struct FaceCommandTests {
    private func withFaces(_ body: (ToyCluster, [String]) async throws -> Void) async throws {
        try await ToyCluster.run { cluster, address in
            let create = ["collection", "create", "people", "--dimension", "64", "--model", "toy-64"]
            #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            cluster.change { state in
                for number in 1...30 {
                    state.faces["people"]?[FaceID(high: 0, low: UInt64(number))] = .init(
                        metadata: FaceMetadata(
                            personID: "person-\(number)",
                            quality: 50,
                            expires: Timestamp(milliseconds: -1),
                            attributes: ["camera": "gate\u{7}"]
                        ),
                        embedding: [Float](repeating: 0.125, count: 64),
                        sequence: 4
                    )
                }
            }
            try await body(cluster, ["people", "--coordinator", address])
        }
    }

    private func id(_ number: Int) -> String { FaceID(high: 0, low: UInt64(number)).description }

    @Test func getShowsWhatIsStoredWithoutTheEmbedding() async throws {
        try await withFaces { _, common in
            let result = await mienCommand(["face", "get"] + common + [id(7)])
            #expect(result.status == 0)
            let expected = """
                face          00000000-0000-0000-0000-000000000007
                person        person-7
                quality       50
                expires       1969-12-31T23:59:59.999Z
                attributes    camera = gate
                version       epoch 1, sequence 4

                """
            #expect(result.output == expected)
            let both = await mienCommand(["face", "get"] + common + [id(7), id(7)])
            #expect(both.output == expected + "\n" + expected)
            let json = await mienCommand(["face", "get"] + common + [id(7), id(8), "--json"])
            #expect(json.outputLines.count == 2)
            #expect(!json.output.contains("0.125"))
        }
    }

    @Test func anAbsentFaceIsANo() async throws {
        try await withFaces { _, common in
            let result = await mienCommand(["face", "get"] + common + [id(1), id(99)])
            #expect(result.status == 1)
            #expect(result.output.contains(id(1)))
            #expect(result.error == "mien: the face \(id(99)) is not in people\n")
        }
    }

    /// What is absent may have been given up, and a list is not all that there was.
    @Test func aLossIsTold() async throws {
        try await withFaces { cluster, common in
            cluster.change { $0.lossyCollections = ["people"] }
            let warning = "mien: warning: faces of people were given up with every copy of them and are not among these"
            let absent = await mienCommand(["face", "get"] + common + [id(1), id(99)])
            #expect(absent.status == 1 && absent.error.hasPrefix(warning), "\(absent)")
            #expect(absent.error.contains("the face \(id(99)) is not in people"))
            let found = await mienCommand(["face", "get"] + common + [id(1)])
            #expect(found.status == 0 && found.error.isEmpty, "\(found)")
            let list = await mienCommand(["face", "list"] + common + ["--json"])
            #expect(list.status == 0 && list.error.hasPrefix(warning) && list.outputLines.count == 20, "\(list)")
            // Nor is one empty because nothing was ever there.
            cluster.change { $0.faces["people"] = [:] }
            let empty = await mienCommand(["face", "list"] + common)
            #expect(empty.status == 0 && empty.error.hasPrefix(warning), "\(empty)")
        }
    }

    @Test func listStopsAtItsLimit() async throws {
        try await withFaces { _, common in
            let some = await mienCommand(["face", "list"] + common + ["--limit", "3"])
            #expect(
                some.output == """
                    face                                  person                        external id
                    00000000-0000-0000-0000-000000000001  person-1
                    00000000-0000-0000-0000-000000000002  person-2
                    00000000-0000-0000-0000-000000000003  person-3

                    """
            )
            let all = await mienCommand(["face", "list"] + common + ["--all", "--json"])
            #expect(all.outputLines.count == 30)
        }
    }

    /// Whoever deletes what it lists would take one that ends early for the end.
    @Test func aWholeListGoesOnAfterAWorkerWasAway() async throws {
        try await withFaces { cluster, common in
            cluster.change { $0.failingPages = 3 }
            let all = await mienCommand(["face", "list"] + common + ["--all", "--json"])
            #expect(all.status == 0 && all.outputLines.count == 30, "\(all)")
            cluster.change { $0.failingPages = 1 }
            let some = await mienCommand(["face", "list"] + common)
            #expect(some.status == 69 && some.output.isEmpty, "\(some)")
        }
    }

    /// Another has its name: what is listed so far is of none that is there.
    @Test func aListOfACollectionThatIsReplacedMeanwhileIsANo() async throws {
        try await withFaces { cluster, common in
            cluster.change { state in
                let face = state.faces["people"]?[FaceID(high: 0, low: 1)]
                for number in 31...1100 { state.faces["people"]?[FaceID(high: 0, low: UInt64(number))] = face }
                state.beforeAnswer = { [weak cluster] request in
                    guard case .listFaces(let page) = request, page.after != nil else { return }
                    cluster?.change { $0.collectionIDs["people"] = CollectionID(high: 7, low: 7) }
                }
            }
            let all = await mienCommand(["face", "list"] + common + ["--all", "--json"])
            #expect(all.status == 1 && all.outputLines.count == 1000, "\(all.error)")
            #expect(all.error.contains("the collection was deleted"), "\(all.error)")
        }
    }

    @Test func deletedFacesAreGone() async throws {
        try await withFaces { cluster, common in
            let result = await mienCommand(["face", "delete"] + common + [id(1), id(2)])
            #expect(result.status == 0)
            #expect(result.output == "Deleted 2 faces from people.\n")
            #expect(cluster.faces(of: "people").count == 28)
            let again = await mienCommand(["face", "delete"] + common + [id(2), id(3)])
            #expect(again.status == 1)
            #expect(again.output == "Deleted 1 face from people.\n")
            #expect(again.error == "mien: the face \(id(2)) was not in people\n")
            // Where faces were given up it may be one of them, and is deleted for good.
            cluster.change { $0.lossyCollections = ["people"] }
            let lost = await mienCommand(["face", "delete"] + common + [id(2)])
            #expect(lost.status == 1, "\(lost)")
            #expect(lost.error.hasPrefix("mien: warning: faces of people were given up"), "\(lost)")
            let wayOut = "a restore leaves them out as deleted\nmien: the face \(id(2)) was not in people\n"
            #expect(lost.error.hasSuffix(wayOut), "\(lost)")
            let found = await mienCommand(["face", "delete"] + common + [id(4)])
            #expect(found.status == 0 && found.error.isEmpty, "\(found)")
        }
    }

    /// What is deleted stays so, whatever becomes of the requests that follow.
    @Test func whatWasDeletedBeforeAFailureIsTold() async throws {
        try await withFaces { cluster, common in
            let delete = ["face", "delete"] + common + (1...1500).map(id)
            cluster.change { $0.deletionLimit = 1 }
            let text = await mienCommand(delete)
            #expect(text.status == 74 && text.output == "Deleted 30 faces from people.\n", "\(text.error.suffix(300))")
            let lines = text.error.split(separator: "\n")
            #expect(lines.count == 972 && lines[0] == "mien: the face \(id(31)) was not in people")
            #expect(lines.dropLast().last == "mien: the disk is full")
            let rest = "500 faces more may or may not be deleted: the same command again deletes what is left of them"
            #expect(lines.last.map(String.init) == "mien: \(rest)")
            cluster.change { $0.deletionLimit = 1 }
            let json = await mienCommand(delete + ["--json"])
            #expect(json.status == 74 && json.output.contains("\"complete\": false"), "\(json.error.suffix(300))")
            #expect(json.output.contains("\"deleted\": 0"))
            // Where nothing was answered there is nothing to tell.
            let nothing = await mienCommand(delete)
            #expect(nothing.status == 74 && nothing.output.isEmpty, "\(nothing)")
            #expect(nothing.error == "mien: the disk is full\n")
            cluster.change { $0.deletionLimit = .max }
            let whole = await mienCommand(["face", "delete"] + common + [id(99), "--json"])
            #expect(whole.status == 1 && whole.output.contains("\"complete\": true"), "\(whole)")
        }
    }

    /// A cluster that is too old is no defect in this program.
    @Test func aClusterOfAnotherVersionIsUnavailable() async throws {
        try await withFaces { cluster, common in
            cluster.change { state in
                state.deletionLimit = 0
                state.deletionFailure = WireStatus(.incompatibleVersion, "the coordinator is of an earlier version")
            }
            let result = await mienCommand(["face", "delete"] + common + [id(1)])
            #expect(result.status == 69 && result.error.contains("of an earlier version"), "\(result)")
        }
    }
}
