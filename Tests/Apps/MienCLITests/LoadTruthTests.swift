import FaceModel
import LoadGenerator
import MienClient
import SyntheticGallery
import Testing

/// A load against a cluster that lies, in every way that a finding is of, beside one against a cluster that does not.
@Suite struct LoadTruthTests {
    private static let faceCount = 150
    private static let everything = "search=40,photo:3=10,by-face=10,enrol:2=15,upsert=10,delete=15"

    private typealias Lie = (ToyCluster, LoadPopulation) -> Void

    private static func population() throws -> LoadPopulation {
        var parameters = GalleryParameters(faceCount: faceCount, dimension: 64, seed: 3)
        parameters.irregularities = .none
        return try LoadPopulation(parameters, writeCount: 1024)
    }

    /// Runs a body with a cluster that has been filled.
    private func withFaces(_ body: (ToyCluster, MienClient, LoadPopulation) async throws -> Void) async throws {
        let population = try Self.population()
        try await ToyCluster.run { cluster, address in
            let client = try MienClient(addresses: [try #require(MienClient.Address(address))])
            _ = try await client.createCollection(
                CollectionOptions(name: "people", dimension: 64, embeddingModel: "toy", shardCount: 2)
            )
            _ = try await client.enrol(
                (0..<Self.faceCount).map {
                    NewFace(id: population.faceID($0), metadata: population.metadata(ofImage: $0))
                },
                embeddings: Embeddings(dimension: 64, values: population.embeddings(of: 0..<Self.faceCount)),
                into: "people",
                model: "toy"
            )
            try await body(cluster, client, population)
            await client.close()
        }
    }

    /// Loads a filled cluster, one call after the other, and checks everything.
    ///
    /// - Parameters:
    ///   - before: what is done to the cluster before the load.
    ///   - after: what is done to it between the load and its checks.
    private func truth(
        mix: String = "search=1",
        options: SearchOptions = SearchOptions(matchLimit: 5),
        callCount: Int = 30,
        liveSearchCount: Int = 20,
        before: Lie = { _, _ in },
        after: Lie = { _, _ in }
    ) async throws -> TruthReport {
        var report = TruthReport()
        try await withFaces { cluster, client, population in
            var plan = LoadPlan(
                arrivals: .closed(callerCount: 1),
                mix: try LoadMix(mix),
                duration: .seconds(60),
                warmUp: .zero,
                options: options,
                inFlightLimit: 10,
                seed: 1
            )
            plan.comparedAnswerLimit = 20
            let pool = ProbePool(population, count: 100)
            let stock = ImageStock(population, part: 0, of: 1, aheadCount: plan.mix.hasWrites ? 512 : 0)
            stock.fill()
            let run = LoadRun(
                plan: plan,
                clients: [client],
                writers: [client],
                collection: "people",
                model: "toy",
                population: population,
                pool: pool,
                stock: stock
            )
            let recorder = run.recorder
            before(cluster, population)
            await run.run(from: .now) { recorder.figures.all.count >= callCount }
            after(cluster, population)
            var limits = LoadVerification.Limits()
            limits.liveSearchCount = liveSearchCount
            let verification = LoadVerification(
                client: client,
                collection: "people",
                model: "toy",
                population: population,
                pool: pool,
                plan: plan,
                limits: limits
            )
            report = await verification.run(recorder) { _ in }
        }
        #expect(report.unchecked.isEmpty, "\(report.unchecked)")
        return report
    }

    private static func filled(_ face: Int, _ population: LoadPopulation) -> (id: FaceID, metadata: FaceMetadata) {
        let metadata = FaceMetadata(personID: population.metadata(ofImage: face).personID)
        return (population.faceID(face).value, metadata)
    }

    private static func answering(_ change: @escaping @Sendable ([Match]) -> [Match]) -> Lie {
        { cluster, _ in cluster.change { $0.matchChange = change } }
    }

    /// Every answer begins with that face as it was filled, whatever has become of it.
    private static func answeringTheFirstFace(_ cluster: ToyCluster, _ population: LoadPopulation) {
        let (id, metadata) = filled(0, population)
        cluster.change { state in
            state.matchChange = { matches in
                let others = matches.filter { $0.faceID != id }
                return [Match(faceID: id, similarity: 0.9, metadata: metadata)] + others
            }
        }
    }

    private static func hiding(_ faces: some Sequence<Int>) -> Lie {
        { cluster, population in
            let hidden = Set(faces.map { Self.filled($0, population).id })
            cluster.change { $0.hiddenFaces = hidden }
        }
    }

    @Test func ofAClusterThatDoesNotLieNothingIsFound() async throws {
        let report = try await truth(mix: Self.everything, callCount: 80)
        #expect(report.findings.isClean, "\(report.findings.examples)")
        #expect(report.checkedAnswerCount > 20 && report.writtenFaceCount > 10)
        #expect(report.deletedFaceCount == report.deletedSearchCount && report.deletedSearchCount > 2)
        let own = try #require(report.ownSearches)
        #expect(own.searchCount == own.foundCount && own.searchCount > 25 && own.knownCount > own.searchCount)
        #expect(report.readBackCount == report.readableCount && report.comparedAnswerCount > 10)
        #expect(report.requiredMatchCount > 0 && report.foundMatchCount == report.requiredMatchCount)
    }

    // MARK: What is stored

    @Test func aFaceThatNobodyWroteIsMissed() async throws {
        let report = try await truth(after: { cluster, population in
            let victim = Self.filled(77, population).id
            cluster.change { _ = $0.faces["people"]?.removeValue(forKey: victim) }
        })
        #expect(report.findings.examples.contains { $0.hasPrefix("lost: ") && $0.hasSuffix("was never written") })
    }

    @Test func aFaceThatTheLoadWroteIsMissed() async throws {
        let report = try await truth(
            mix: "enrol=1",
            callCount: 5,
            after: { cluster, population in
                let filled = Set((0..<Self.faceCount).map { Self.filled($0, population).id })
                cluster.change { state in
                    let victim = state.faces["people"]?.keys.first { !filled.contains($0) }
                    if let victim { state.faces["people"]?[victim] = nil }
                }
            }
        )
        #expect(report.findings.examples.contains { $0.hasPrefix("lost: ") && $0.contains("it may hold") })
    }

    @Test func aDeletedFaceThatIsBackIsFoundByItsIdAndByItsEmbedding() async throws {
        var deleted: (id: FaceID, stored: ToyCluster.Stored)?
        try await withFaces { cluster, _, population in
            // The first one that a load deletes.
            let id = Self.filled(0, population).id
            deleted = cluster.faces(of: "people")[id].map { (id: id, stored: $0) }
        }
        let (id, stored) = try #require(deleted)
        let report = try await truth(
            mix: "delete=1",
            callCount: 4,
            after: { cluster, _ in
                #expect(cluster.faces(of: "people")[id] == nil)
                cluster.change { $0.faces["people"]?[id] = stored }
            }
        )
        #expect(report.findings.examples.contains { $0.hasPrefix("resurrected: ") && $0.contains("holds image 0") })
        #expect(report.findings.examples.contains("resurrected: \(id) was deleted and is found"))
        #expect(report.findings.examples.contains { $0.contains("faces are there; at most") })
    }

    @Test func anotherEmbeddingIsWrongContent() async throws {
        let report = try await truth(after: { cluster, population in
            let victim = Self.filled(5, population).id
            cluster.change { state in
                guard let embedding = state.faces["people"]?[victim]?.embedding else { return }
                state.faces["people"]?[victim]?.embedding = embedding.map { -$0 }
            }
        })
        #expect(report.findings.examples.contains { $0.hasPrefix("wrong content: ") && $0.contains("embedding") })
    }

    /// A mix, and what is said when the first face that it takes was not there.
    @Test(arguments: [("delete=1", "was not there to be deleted"), ("upsert=1", "was taken as new")])
    func aWriteTellsThatItsFaceWasLost(_ mix: String, _ says: String) async throws {
        let report = try await truth(
            mix: mix,
            callCount: 3,
            before: { cluster, population in
                let victim = Self.filled(0, population).id
                cluster.change { _ = $0.faces["people"]?.removeValue(forKey: victim) }
            }
        )
        #expect(report.findings.examples.contains { $0.hasPrefix("lost: ") && $0.contains(says) })
    }

    @Test func aFaceThatIsNoProbeAnyMoreIsLost() async throws {
        let report = try await truth(
            mix: "by-face=1",
            callCount: 20,
            before: { cluster, population in
                let victims = (0..<100).map { Self.filled($0, population).id }
                cluster.change { state in for victim in victims { state.faces["people"]?[victim] = nil } }
            }
        )
        #expect(report.findings.examples.contains { $0.hasPrefix("lost: ") && $0.hasSuffix("is not there as a probe") })
    }

    // MARK: What is answered

    @Test func aDeletedFaceInAnAnswerIsResurrected() async throws {
        let mix = "search=80,delete=20"
        let report = try await truth(mix: mix, callCount: 40, before: Self.answeringTheFirstFace)
        #expect(report.findings.count(.resurrected) > 1)
        #expect(report.findings.examples.contains { $0.contains("was found with image 0 by a search that began at") })
    }

    @Test func anOlderImageInAnAnswerIsWrongContent() async throws {
        let mix = "search=80,upsert=20"
        let report = try await truth(mix: mix, callCount: 40, before: Self.answeringTheFirstFace)
        let isSeen = report.findings.examples.contains {
            $0.hasPrefix("wrong content: ") && $0.contains("was found with image 0 by a search")
        }
        #expect(isSeen, "\(report.findings.examples)")
    }

    @Test func aFaceTwiceInAnAnswerIsADuplicate() async throws {
        let report = try await truth(before: Self.answering { $0 + $0.prefix(1) })
        #expect(report.findings.count(.duplicate) == 30)
    }

    @Test func aFaceThatNobodyEnrolledIsForeign() async throws {
        let stranger = Match(faceID: FaceID(high: 9, low: 9), similarity: -1, metadata: FaceMetadata())
        let report = try await truth(before: Self.answering { $0 + [stranger] })
        #expect(report.findings.count(.foreign) == 30)
    }

    // MARK: What is not found

    @Test func aFaceThatNoSearchFindsIsAFinding() async throws {
        let report = try await truth(
            liveSearchCount: Self.faceCount,
            before: { cluster, population in
                let victim = Self.filled(77, population).id
                cluster.change { $0.matchChange = { matches in matches.filter { $0.faceID != victim } } }
            }
        )
        #expect(report.findings.count(.unfound) == 1 && report.findings.totalCount == 1)
        let says = "is not found by an exact search with its own embedding"
        #expect(report.findings.examples.allSatisfy { $0.hasSuffix(says) }, "\(report.findings.examples)")
    }

    @Test func anEffortThatMissesTooManyFacesIsAFinding() async throws {
        let report = try await truth(liveSearchCount: Self.faceCount, before: Self.hiding(0..<60))
        #expect(report.ownSearches?.searchCount == 150 && report.ownSearches?.foundCount == 90)
        let says = "60 of 150 faces were not found by recall:0.99 with their own embeddings; at most 13 may be missed"
        #expect(report.findings.examples.contains("there and not found: " + says), "\(report.findings.examples)")
        let few = try await truth(liveSearchCount: Self.faceCount, before: Self.hiding([3, 99]))
        #expect(few.findings.isClean && few.ownSearches?.foundCount == 148, "\(few.findings.examples)")
    }

    @Test func tooFewMatesInAnswersAreAFinding() async throws {
        let report = try await truth(before: Self.hiding(0..<Self.faceCount))
        #expect(report.requiredMateCount > 5 && report.foundMateCount == 0)
        #expect(report.findings.examples.contains { $0.contains("mates were not in sampled answers of recall:0.99") })
    }

    @Test func whatAnExactAnswerLacksIsAFinding() async throws {
        let report = try await truth(
            options: SearchOptions(matchLimit: 5, effort: .exact),
            before: Self.answering { Array($0.dropFirst()) },
            after: { cluster, _ in cluster.change { $0.matchChange = nil } }
        )
        #expect(report.findings.count(.unfound) == 20, "\(report.findings.examples)")
    }

    // MARK: What is said of coverage

    @Test func anAnswerThatCallsItselfFullAndIsNotIsFound() async throws {
        let report = try await truth(before: { cluster, _ in
            cluster.change { state in
                state.coverages = [
                    Coverage(shardsAsked: 2, shardsAnswered: 2, facesTotal: 50, facesAnswered: 50),
                    Coverage(shardsAsked: 2, shardsAnswered: 2, facesTotal: 150, facesAnswered: 151),
                    Coverage(shardsAsked: 2, shardsAnswered: 2, facesTotal: 150, facesAnswered: 150),
                ]
            }
        })
        #expect(report.findings.count(.unflaggedPartial) == 2 && report.findings.totalCount == 2)
        #expect(report.flaggedPartialCount == 0)
    }

    /// What a partial answer says of itself: shards answered, shards missing, faces answered, faces in all; and what is
    /// wrong with it, nil for nothing.
    @Test(
        arguments: [
            (1, [1], 75, 150, nil), (2, [], 149, 150, nil), (1, [1], 80, 160, nil),
            (1, [1], 160, 150, "covers more faces than it says there are"),
            (1, [], 80, 150, "does not name every shard"),
            (0, [1, 1], 80, 150, "does not name every shard"), (1, [1], 30, 150, "covers less than was asked for"),
            (1, [1], 151, 200, "covers more faces than there can be"),
            (1, [1], 75, 75, "leaves out the faces of missing shards"),
        ] as [(Int, [UInt32], UInt64, UInt64, String?)]
    )
    func aPartialAnswersFiguresMustAgree(
        _ answered: Int,
        _ missing: [UInt32],
        _ facesAnswered: UInt64,
        _ facesTotal: UInt64,
        _ problem: String?
    ) async throws {
        let coverage = Coverage(
            shardsAsked: 2,
            shardsAnswered: answered,
            facesTotal: facesTotal,
            facesAnswered: facesAnswered,
            missing: missing.map { .init(shardIndex: $0, reason: .unavailable) }
        )
        let report = try await truth(
            options: SearchOptions(matchLimit: 5, coverage: .atLeast(0.5)),
            callCount: 5,
            before: { cluster, _ in cluster.change { $0.coverages = [coverage] } }
        )
        #expect(report.flaggedPartialCount == 1)
        #expect(report.findings.totalCount == (problem == nil ? 0 : 1), "\(report.findings.examples)")
        if let problem {
            #expect(report.findings.count(.wrongCoverage) == 1)
            #expect(report.findings.examples.allSatisfy { $0.contains(problem) }, "\(report.findings.examples)")
        }
    }

    @Test func aPartialAnswerWhereAllWasAskedForIsFound() async throws {
        let report = try await truth(before: { cluster, _ in
            cluster.change { state in
                state.coverages = [
                    Coverage(
                        shardsAsked: 2,
                        shardsAnswered: 1,
                        facesTotal: 150,
                        facesAnswered: 75,
                        missing: [.init(shardIndex: 1, reason: .unavailable)]
                    )
                ]
            }
        })
        #expect(report.findings.count(.wrongCoverage) == 1 && report.findings.totalCount == 1)
    }

    @Test func facesThatWereGivenUpAreLost() async throws {
        let report = try await truth(before: { cluster, _ in
            cluster.change { state in
                let coverage = Coverage(
                    shardsAsked: 2,
                    shardsAnswered: 2,
                    facesTotal: 150,
                    facesAnswered: 150,
                    hasLoss: true
                )
                state.coverages = [Coverage](repeating: coverage, count: 1000)
            }
        })
        #expect(report.lossAnswerCount == 30)
        #expect(report.findings.count(.lost) == 1 && report.findings.totalCount == 1, "\(report.findings.examples)")
    }

    // MARK: Before a load

    @Test func whatIsNotAsItWasFilledIsToldAndLeftAsItIs() async throws {
        try await withFaces { cluster, client, population in
            let restoration = LoadRestoration(
                client: client,
                collection: "people",
                model: "toy",
                population: population
            )
            let clean = try await restoration.findings()
            #expect(clean.isClean, "\(clean.examples)")
            // A face that only loads enrol: images begin at a block of their own behind the filled ones.
            let stray = population.faceID(256).value
            let (lost, changed) = (Self.filled(7, population).id, Self.filled(8, population).id)
            cluster.change { state in
                let stored = state.faces["people"]?.removeValue(forKey: lost)
                state.faces["people"]?[stray] = stored
                state.faces["people"]?[changed]?.metadata = FaceMetadata(personID: "somebody else")
            }
            let before = Set(cluster.faces(of: "people").keys)
            let found = try await restoration.findings()
            #expect(found.count(.lost) == 1 && found.count(.resurrected) == 1 && found.count(.wrongContent) == 1)
            #expect(found.examples.contains("lost: \(lost) is not there before the load"), "\(found.examples)")
            #expect(Set(cluster.faces(of: "people").keys) == before, "nothing is mended")
            let mended = try await restoration.run()
            #expect(mended.removedCount == 1 && mended.restoredCount == 2)
            let after = try await restoration.findings()
            #expect(after.isClean, "\(after.examples)")
        }
    }
}
