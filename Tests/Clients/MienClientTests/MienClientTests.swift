import ClusterModel
import FaceModel
import MienClient
import Testing
import WireProtocol

@Suite struct MienClientTests {
    /// As where the coordinator that had the first slices went away, and the next one has none.
    @Test func aCodebookOfSeveralSlicesIsSentAgainFromItsBeginning() async throws {
        try await ScriptedCluster.run { _, number in
            if number == 1 { throw WireStatus(.invalidRequest, "The slice does not continue what came before.") }
            return Acknowledgement()
        } _: { client, cluster in
            let copy = MienClient.CodebookCopy(
                origin: CodebookOrigin(cause: .growth, faceCount: 1200),
                summary: CollectionDescription.Codebook(
                    generation: 1,
                    codedDimension: 64,
                    codeByteCount: 2,
                    listCount: 9,
                    energyShare: 0.875,
                    sampleCount: 77,
                    calibrationProbeCount: 19,
                    calibration: []
                ),
                bytes: [UInt8](repeating: 3, count: 5 << 20)
            )
            let digest = [UInt8](repeating: 9, count: 32)
            try await client.restore(copy, digest: digest, into: "people", backup: "people-1")
            let offsets = cluster.requests.compactMap {
                if case .restoreCodebook(let message) = $0 { message.slice.offset } else { nil }
            }
            #expect(offsets == [0, 4 << 20, 0, 4 << 20])
        }
    }

    @Test func pagesGoOnWhereTheLastOneEnded() async throws {
        let next = ListPosition(first: 1 << 63)
        try await ScriptedCluster.run { request, _ in
            guard case .listFaces(let message) = request else { return nil }
            switch message.after {
            case nil:
                return FacePage(
                    faces: [Sample.stored(1), Sample.stored(2)],
                    next: .init(stretches: [.init(last: .max, face: FaceID(high: 0, low: 2))])
                )
            case next: return FacePage(faces: [Sample.stored(3)], next: nil)
            default: return FacePage(faces: [], next: next)
            }
        } _: { client, cluster in
            var pages: [[String]] = []
            for try await page in client.allFaces(in: "people", pageLimit: 2) {
                pages.append(page.map(\.id.description))
            }
            #expect(pages.map(\.count) == [2, 1])
            #expect(pages.joined().map { $0.suffix(1) } == ["1", "2", "3"])
            #expect(cluster.requests.count == 3)
        }
    }

    @Test func allPagesAreOfOneCollection() async throws {
        let (own, other) = (CollectionID(high: 1, low: 2), CollectionID(high: 1, low: 3))
        try await ScriptedCluster.run { request, number in
            guard case .listFaces = request else { return nil }
            return FacePage(
                faces: [Sample.stored(UInt64(number))],
                next: ListPosition(first: UInt64(number) + 1),
                collectionID: number < 2 ? own : other
            )
        } _: { client, cluster in
            var pages = client.allFaces(in: "people").makeAsyncIterator()
            for _ in 0..<2 {
                let page = try await pages.next()
                #expect(page?.count == 1)
            }
            // After an error the same page is asked for again.
            for _ in 0..<2 {
                let third: Result<Int?, MienClientError>
                do throws(MienClientError) {
                    third = .success(try await pages.next()?.count)
                } catch {
                    third = .failure(error)
                }
                guard case .failure(let error) = third else {
                    Issue.record("the listing went on in another collection")
                    continue
                }
                #expect(error.code == .invalidRequest && error.message.contains("another has its name"), "\(error)")
            }
            let sent = cluster.requests.map { request -> ListFaces? in
                if case .listFaces(let message) = request { message } else { nil }
            }
            #expect(sent.map { $0?.collectionID } == [nil, own, own, own])
            #expect(sent.map { $0?.after?.first } == [nil, 1, 2, 2])
        }
    }

    @Test func aTokenOfSeveralWritesStandsForAllOfThem() async throws {
        let tokens = [
            ConsistencyToken(collection: Sample.collection.id, sequences: [0: 4]),
            ConsistencyToken(collection: Sample.collection.id, sequences: [0: 3, 1: 9]),
            ConsistencyToken(collection: CollectionID(high: 1, low: 3), sequences: [0: 5]),
        ]
        try await ScriptedCluster.run { request, number in
            switch request {
            case .deleteFaces(let message):
                FacesDeleted(outcomes: message.ids.map { _ in .deleted }, token: tokens[number])
            case .getFaces: FaceList(faces: [])
            default: nil
            }
        } _: { client, cluster in
            var written: [WriteToken] = []
            for _ in tokens {
                written.append(try await client.deleteFaces([Face.ID(high: 0, low: 1)], from: "people").token)
            }
            let both = try #require(written[0].union(written[1]))
            #expect(written[1].union(written[0]) == both)
            #expect(both.union(written[2]) == nil)
            _ = try await client.faces([Face.ID(high: 0, low: 7)], in: "people", after: both)
            guard case .getFaces(let read)? = cluster.requests.last else {
                Issue.record("the read was not sent")
                return
            }
            let union = ConsistencyToken(collection: Sample.collection.id, sequences: [0: 4, 1: 9])
            #expect(read.token == union)
        }
    }

    /// Also of a collection that has nothing left, none of whose pages anybody sees.
    @Test func readsTellOfALoss() async throws {
        try await ScriptedCluster.run { request, _ in
            switch request {
            case .listFaces(let message): FacePage(faces: [], next: nil, hasLoss: message.collection == "lossy")
            case .getFaces(let message): FaceList(faces: [], hasLoss: message.collection == "lossy")
            default: nil
            }
        } _: { client, _ in
            for (name, isLossy) in [("lossy", true), ("whole", false)] {
                var pages = client.allFaces(in: name).makeAsyncIterator()
                let page = try await pages.next()
                #expect(page == nil && pages.hasLoss == isLossy)
                let faces = try await client.faces([Face.ID(high: 0, low: 7)], in: name)
                #expect(faces.isEmpty && faces.hasLoss == isLossy)
            }
        }
    }

    @Test func aFailedPageCanBeAskedForAgain() async throws {
        try await ScriptedCluster.run(calls: .init(timeout: .seconds(10), retryDuration: .zero)) { request, number in
            if number == 1 { throw WireStatus(.unavailable, "away") }
            guard case .listFaces(let message) = request else { return nil }
            return message.after == nil
                ? FacePage(
                    faces: [Sample.stored(1)],
                    next: .init(stretches: [.init(last: .max, face: FaceID(high: 0, low: 1))])
                )
                : FacePage(faces: [Sample.stored(2)], next: nil)
        } _: { client, _ in
            var pages = client.allFaces(in: "people").makeAsyncIterator()
            let first = try await pages.next()
            #expect(first?.count == 1)
            let failed: Result<Int?, MienClientError>
            do throws(MienClientError) {
                failed = .success(try await pages.next()?.count)
            } catch {
                failed = .failure(error)
            }
            #expect(failed == .failure(MienClientError(code: .unavailable, message: "away")))
            let second = try await pages.next()
            #expect(second?.first?.id == Face.ID(high: 0, low: 2))
            let end = try await pages.next()
            #expect(end == nil)
        }
    }

    @Test func facesComeWithEverythingThatIsStored() async throws {
        try await ScriptedCluster.run { request, _ in
            guard case .getFaces(let message) = request else { return nil }
            return FaceList(faces: message.ids.map { Sample.stored($0.low) })
        } _: { client, _ in
            let face = try #require(try await client.faces([Face.ID(high: 0, low: 7)], in: "people").first)
            #expect(face.id == Face.ID(high: 0, low: 7))
            #expect(face.version.sequence == 7)
            #expect(face.metadata.personID == "p")
            #expect(face.metadata.boundingBox == Face.BoundingBox(left: 0.1, top: 0.2, width: 0.3, height: 0.4))
            #expect(face.metadata.expires?.millisecondsSince1970 == 6)
            #expect(face.embedding == nil)
        }
    }

    @Test func aStrongReadCarriesTheLatestToken() async throws {
        try await ScriptedCluster.run { request, _ in
            switch request {
            case .getLatestToken(let message) where message.collection == "people": LatestToken(token: Sample.token)
            case .getFaces(let message) where message.token == Sample.token:
                FaceList(faces: message.ids.map { Sample.stored($0.low) })
            default: nil
            }
        } _: { client, _ in
            let token = try await client.latestToken(of: "people")
            let faces = try await client.faces([Face.ID(high: 0, low: 7)], in: "people", after: token)
            #expect(faces.count == 1)
        }
    }

    @Test func metadataReachesTheClusterUnchanged() async throws {
        try await ScriptedCluster.run { request, _ in
            guard case .enrolFaces(let message) = request else { return nil }
            let isWhole = message.rows.map(\.metadata) == [Sample.metadata] && message.embeddingModel == "toy-64"
            return FacesEnrolled(
                outcomes: [isWhole ? .accepted : .rejected(.invalidMetadata)],
                token: Sample.token
            )
        } _: { client, _ in
            let metadata = Face.Metadata(
                personID: "p",
                externalImageID: "e",
                imageID: "i",
                boundingBox: .init(left: 0.1, top: 0.2, width: 0.3, height: 0.4),
                quality: 50,
                confidence: 99,
                created: .init(millisecondsSince1970: 5),
                expires: .init(millisecondsSince1970: 6),
                attributes: ["a": "b"]
            )
            let receipt = try await client.enrol(
                [NewFace(id: .random(), metadata: metadata)],
                embeddings: Sample.embeddings(1),
                into: "people",
                model: "toy-64"
            )
            #expect(receipt.outcomes == [.accepted])
        }
    }

    @Test func aReadCarriesTheTokenOfTheWriteItMustSee() async throws {
        try await ScriptedCluster.run { request, _ in
            switch request {
            case .deleteFaces(let message):
                return FacesDeleted(outcomes: message.ids.map { $0.low == 1 ? .deleted : .absent }, token: Sample.token)
            case .searchFaces(let message) where message.token == Sample.token:
                return SearchAnswer(outcomes: [.matches([])], coverage: Coverage(), elapsedMicroseconds: 1500)
            default: throw WireStatus(.notYet, "without the token")
            }
        } _: { client, _ in
            let receipt = try await client.deleteFaces([Face.ID(high: 0, low: 1), .random()], from: "people")
            #expect(receipt.wasPresent == [true, false])
            let results = try await client.search(
                "people",
                probes: Sample.embeddings(1),
                model: "toy-64",
                after: receipt.token
            )
            #expect(results.coordinatorTime == .microseconds(1500))
        }
    }

    @Test func searchOptionsAndCoverageAreTranslated() async throws {
        try await ScriptedCluster.run { request, _ in
            guard case .searchByFace(let message) = request else { return nil }
            let filter = FaceFilter(
                personIDs: ["a", "b"],
                externalImageIDs: ["c"],
                attributes: ["k": "v"],
                createdFrom: Timestamp(milliseconds: 5),
                createdBefore: Timestamp(milliseconds: 6)
            )
            #expect(
                message.parameters
                    == SearchParameters(matchLimit: 3, threshold: 0.5, effort: .lists(8), filter: filter)
            )
            #expect(message.coverage == .minimum(0.5))
            return SearchAnswer(
                outcomes: [
                    .matches([Match(faceID: FaceID(high: 0, low: 9), similarity: 0.75, metadata: Sample.metadata)]),
                    .rejected(.zeroNorm),
                ],
                coverage: Coverage(
                    shardsAsked: 2,
                    shardsAnswered: 1,
                    facesTotal: 10,
                    facesAnswered: 6,
                    rowsVisited: 4,
                    listsVisited: 2,
                    generation: 1,
                    missing: [.init(shardIndex: 1, reason: .unavailable)]
                ),
                elapsedMicroseconds: 1
            )
        } _: { client, _ in
            let results = try await client.search(
                "people",
                face: Face.ID(high: 0, low: 1),
                options: SearchOptions(
                    matchLimit: 3,
                    threshold: 0.5,
                    effort: .lists(8),
                    coverage: .atLeast(0.5),
                    filter: SearchOptions.Filter(
                        personIDs: ["a", "b"],
                        externalImageIDs: ["c"],
                        attributes: ["k": "v"],
                        createdFrom: Face.Timestamp(millisecondsSince1970: 5),
                        createdBefore: Face.Timestamp(millisecondsSince1970: 6)
                    )
                )
            )
            guard case .matches(let matches) = results.outcomes[0], case .rejected(let refusal) = results.outcomes[1]
            else {
                Issue.record("outcomes of other kinds")
                return
            }
            #expect(matches.map(\.similarity) == [0.75])
            #expect(refusal == .zeroNorm)
            #expect(!results.coverage.isFull)
            #expect(results.coverage.share == 0.6)
            #expect(results.coverage.missing.map(\.index) == [1])
            #expect(results.coverage.missing.map(\.reason) == ["no live worker"])
        }
    }

    @Test func aFilterThatMatchesNothingIsAProblem() {
        #expect(SearchOptions(filter: .init(personIDs: ["a"])).problem == nil)
        #expect(SearchOptions(filter: .init(personIDs: [])).problem?.contains("1–256 person ids") == true)
    }

    @Test func aCollectionIsDescribedShardByShard() async throws {
        try await ScriptedCluster.run { _, _ in
            Sample.description
        } _: { client, _ in
            let collection = try await client.describe("people")
            #expect(collection.options == Sample.options)
            #expect(collection.faceCount == 5)
            #expect(collection.shards.map(\.state) == [.serving, .missing])
            #expect(collection.shards[1].workerID == nil)
            #expect(collection.training == .notNeeded)
        }
    }

    @Test func anAnswerOfAnotherLengthIsADefect() async throws {
        try await ScriptedCluster.run { _, _ in
            FacesEnrolled(outcomes: [.accepted], token: Sample.token)
        } _: { client, _ in
            let faces = [NewFace(id: .random()), NewFace(id: .random())]
            let error = await #expect(throws: MienClientError.self) {
                try await client.enrol(faces, embeddings: Sample.embeddings(2), into: "people", model: "toy-64")
            }
            #expect(error?.code == .internalError)
        }
    }

    @Test func facesAndEmbeddingsMustBeAsMany() async throws {
        let client = try MienClient(addresses: [.init(host: "127.0.0.1", port: 1)])
        let error = await #expect(throws: MienClientError.self) {
            try await client.enrol(
                [NewFace(id: .random())],
                embeddings: Sample.embeddings(2),
                into: "people",
                model: "m"
            )
        }
        #expect(error?.code == .invalidRequest)
    }

    @Test func aClientNeedsAnAddressAndReadableTLSFiles() {
        #expect(throws: MienClientError.self) { try MienClient(addresses: []) }
        let error = #expect(throws: MienClientError.self) {
            try MienClient(
                addresses: [.init(host: "127.0.0.1", port: 1)],
                tls: .init(trustRootsFile: "/nonexistent/roots.pem")
            )
        }
        #expect(error?.message.contains("/nonexistent/roots.pem") == true)
    }

    @Test func aTokenForAnAddressBeyondLoopbackNeedsTLS() throws {
        let addresses = [MienClient.Address(host: "127.0.0.1", port: 1), .init(host: "192.0.2.1", port: 7400)]
        let error = #expect(throws: MienClientError.self) { try MienClient(addresses: addresses, token: "secret") }
        #expect(error?.code == .invalidRequest && error?.message.contains("192.0.2.1:7400") == true)
        #expect(error?.message.contains("TLS") == true && error?.message.contains("secret") == false)
        _ = try MienClient(addresses: addresses, token: "secret", tls: .init())
        _ = try MienClient(addresses: addresses)
        _ = try MienClient(addresses: [addresses[0], .init(host: "localhost", port: 1)], token: "secret")
    }

    @Test(arguments: ["host:1", "[::1]:7400", "127.0.0.1:65535"])
    func addressesAreWrittenAsTheyAreRead(text: String) throws {
        #expect(try #require(MienClient.Address(text)).description == text)
    }

    @Test(arguments: ["", "host", "host:", ":1", "host:0", "host:65536", "::1:7400", "host:-1"])
    func otherTextIsNoAddress(text: String) {
        #expect(MienClient.Address(text) == nil)
    }

    @Test(arguments: StatusCode.allCases)
    func everyStatusHasACode(status: StatusCode) async throws {
        try await ScriptedCluster.run(calls: .init(timeout: .seconds(10), retryDuration: .zero)) { _, _ in
            throw WireStatus(status, "a sentence")
        } _: { client, _ in
            let error = try #require(await #expect(throws: MienClientError.self) { try await client.status() })
            #expect(error.message == "a sentence")
            let sameName = error.code.description == "\(status)"
            let others: [StatusCode] = [.staleEpoch, .unknownReplica, .corruptPartition, .malformedFrame]
            #expect(sameName != others.contains(status))
        }
    }
}
