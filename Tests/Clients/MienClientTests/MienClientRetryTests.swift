import ClusterModel
import FaceModel
import MienClient
import Synchronization
import Testing
import WireProtocol

@Suite struct MienClientRetryTests {
    private static let unavailable = WireStatus(.unavailable, "shard 1 has no live worker")

    private func enrolKeys(_ cluster: ScriptedCluster) -> [IdempotencyKey] {
        cluster.requests.compactMap { if case .enrolFaces(let message) = $0 { message.key } else { nil } }
    }

    @Test func anEnrolmentIsSentAgainUnderTheSameKey() async throws {
        try await ScriptedCluster.run { _, number in
            if number < 3 { throw Self.unavailable }
            return FacesEnrolled(outcomes: [.accepted, .replaced], token: Sample.token)
        } _: { client, cluster in
            let faces = [NewFace(id: .random()), NewFace(id: .random())]
            let receipt = try await client.enrol(
                faces,
                embeddings: Sample.embeddings(2),
                into: "people",
                model: "toy-64"
            )
            #expect(receipt.outcomes == [.accepted, .replaced])
            let keys = enrolKeys(cluster)
            #expect(keys.count == 4)
            #expect(Set(keys).count == 1)
            let ages = cluster.requests.compactMap {
                if case .enrolFaces(let message) = $0 { message.age } else { nil }
            }
            #expect(ages.first == .zero && ages.dropFirst().allSatisfy { $0 > .zero } && ages.sorted() == ages)
        }
    }

    /// Nothing was done where every attempt says so of itself.
    @Test(arguments: [[true, true], [false, true], [true, false]])
    func anErrorTellsWhetherNothingWasDone(attempts: [Bool]) async throws {
        try await ScriptedCluster.run(calls: .init(timeout: .seconds(20), retryDuration: .seconds(10))) { _, number in
            if number + 1 < attempts.count {
                throw attempts[number] ? Self.unavailable.withoutEffect : Self.unavailable
            }
            let last = WireStatus(.storageFull, "the disk is full")
            throw attempts[number] ? last.withoutEffect : last
        } _: { client, cluster in
            let error = await #expect(throws: MienClientError.self) {
                try await client.deleteFaces([.random()], from: "people")
            }
            #expect(error?.code == .storageFull)
            #expect(error?.hasNoEffect == !attempts.contains(false))
            #expect(cluster.requests.count == attempts.count)
        }
    }

    @Test func aWriteIsDoneAgainUnderTheKeyThatIsGiven() async throws {
        try await ScriptedCluster.run { _, _ in
            FacesEnrolled(outcomes: [.accepted], token: Sample.token)
        } _: { client, cluster in
            let made = WriteKey()
            let kept = WriteKey(high: made.high, low: made.low, age: .seconds(90))
            let face = NewFace(id: .random())
            for key in [made, kept] {
                _ = try await client.enrol(
                    [face],
                    embeddings: Sample.embeddings(1),
                    into: "people",
                    model: "toy-64",
                    key: key
                )
            }
            #expect(enrolKeys(cluster) == Array(repeating: IdempotencyKey(high: made.high, low: made.low), count: 2))
            let ages = cluster.requests.compactMap {
                if case .enrolFaces(let message) = $0 { message.age } else { nil }
            }
            #expect(ages[0] < .seconds(60) && ages[1] >= .seconds(90))
        }
    }

    @Test func twoEnrolmentsHaveDifferentKeys() async throws {
        try await ScriptedCluster.run { _, _ in
            FacesEnrolled(outcomes: [.accepted], token: Sample.token)
        } _: { client, cluster in
            for _ in 0..<2 {
                _ = try await client.enrol(
                    [NewFace(id: .random())],
                    embeddings: Sample.embeddings(1),
                    into: "people",
                    model: "toy-64"
                )
            }
            #expect(Set(enrolKeys(cluster)).count == 2)
        }
    }

    @Test func whatNoRetryHelpsAgainstIsSentOnce() async throws {
        try await ScriptedCluster.run { _, _ in
            throw WireStatus(.dimensionMismatch, "the collection has dimension 128")
        } _: { client, cluster in
            let error = await #expect(throws: MienClientError.self) {
                try await client.search("people", probes: Sample.embeddings(1), model: "toy-64")
            }
            #expect(error == MienClientError(code: .dimensionMismatch, message: "the collection has dimension 128"))
            #expect(cluster.requests.count == 1)
        }
    }

    @Test func withoutTimeForRetriesTheFirstFailureIsTheAnswer() async throws {
        try await ScriptedCluster.run(calls: .init(timeout: .seconds(20), retryDuration: .zero)) { _, _ in
            throw Self.unavailable
        } _: { client, cluster in
            let error = await #expect(throws: MienClientError.self) { try await client.status() }
            #expect(error?.code == .unavailable)
            #expect(error?.message == Self.unavailable.message)
            #expect(cluster.requests.count == 1)
        }
    }

    @Test func theNextCoordinatorIsAskedWhenOneIsAway() async throws {
        try await ScriptedCluster.run(
            unreachableFirst: true,
            calls: .init(timeout: .seconds(20), retryDuration: .zero)
        ) { _, _ in
            CollectionList(collections: [Sample.description])
        } _: { client, cluster in
            for _ in 0..<3 {
                let collections = try await client.collections()
                #expect(collections.map(\.options.name) == ["people"])
            }
            #expect(cluster.requests.count == 3)
        }
    }

    @Test func aCallEndsAtItsDeadline() async throws {
        try await ScriptedCluster.run(calls: .init(timeout: .milliseconds(200), retryDuration: .seconds(5))) { _, _ in
            nil
        } _: { client, cluster in
            let start = ContinuousClock.now
            let error = await #expect(throws: MienClientError.self) { try await client.status() }
            #expect(error?.code == .deadlineExceeded)
            #expect(ContinuousClock.now - start < .seconds(5))
            #expect(cluster.requests.count == 1)
        }
    }

    @Test func cancellingTheTaskCancelsTheCall() async throws {
        try await ScriptedCluster.run { _, _ in
            nil
        } _: { client, cluster in
            let task = Task { () async -> MienClientError? in
                do throws(MienClientError) {
                    _ = try await client.status()
                    return nil
                } catch {
                    return error
                }
            }
            while cluster.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            task.cancel()
            #expect(await task.value?.code == .cancelled)
            let end = ContinuousClock.now + .seconds(5)
            while !cluster.openCallsAreCancelled, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(cluster.openCallsAreCancelled)
        }
    }

    /// What is under way, and what comes later; however long calls are tried again.
    @Test func aClosedClientCallsNobody() async throws {
        let calls = MienClient.CallOptions(timeout: .seconds(120), retryDuration: .seconds(100))
        try await ScriptedCluster.run(calls: calls) { _, _ in
            nil
        } _: { client, cluster in
            let patient = client.with(calls: calls)
            let task = Task { () async -> MienClientError? in
                do throws(MienClientError) {
                    _ = try await patient.status()
                    return nil
                } catch {
                    return error
                }
            }
            while cluster.requests.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
            let start = ContinuousClock.now
            await client.close()
            #expect(await task.value?.code == .unavailable)
            let closed = MienClientError(code: .unavailable, message: "the client was closed", hasNoEffect: true)
            for later in [client, patient] {
                let error = await #expect(throws: MienClientError.self) { try await later.status() }
                #expect(error == closed)
            }
            #expect(ContinuousClock.now - start < .seconds(30))
            #expect(cluster.requests.count == 1)
        }
    }

    @Test func aBatchAboveTheLimitHasNoEffect() async throws {
        try await ScriptedCluster.run(limits: WireLimits(payloadByteCount: 64 << 10)) { _, _ in
            nil
        } _: { client, cluster in
            let faces = (0..<300).map { _ in NewFace(id: .random()) }
            let error = await #expect(throws: MienClientError.self) {
                try await client.enrol(faces, embeddings: Sample.embeddings(300), into: "people", model: "toy-64")
            }
            #expect(error?.code == .limitExceeded && error?.hasNoEffect == true)
            #expect(cluster.requests.isEmpty)
        }
    }

    /// Nobody is asked: nobody is there.
    @Test func whatNamesNothingHasNoEffect() async throws {
        let client = try MienClient(addresses: [.init(host: "127.0.0.1", port: 1)])
        let shard = await #expect(throws: MienClientError.self) { try await client.verify("people", shard: -1) }
        let plan = await #expect(throws: MienClientError.self) { try await client.begin(.rebalance, planned: "none") }
        let worker = await #expect(throws: MienClientError.self) { try await client.begin(.drain(worker: "nobody")) }
        let pin = await #expect(throws: MienClientError.self) {
            try await client.pin("people", shard: 0, to: ["nobody"])
        }
        let change = await #expect(throws: MienClientError.self) { try await client.pauseOperation("none") }
        for error in [shard, plan, worker, pin, change] {
            #expect(error?.code == .invalidRequest || error?.code == .notFound)
            #expect(error?.hasNoEffect == true, "\(String(describing: error))")
        }
    }

    @Test func aCreationWhoseAnswerWasLostIsNoFailure() async throws {
        try await ScriptedCluster.run { request, number in
            switch request {
            case .createCollection:
                throw number == 0 ? Self.unavailable : WireStatus(.alreadyExists, "people exists")
            default: Sample.description
            }
        } _: { client, _ in
            let collection = try await client.createCollection(Sample.options)
            #expect(collection.options == Sample.options)
        }
    }

    @Test func aCollectionOfOtherOptionsStillExistsAfterALostAnswer() async throws {
        try await ScriptedCluster.run { request, number in
            switch request {
            case .createCollection:
                throw number == 0 ? Self.unavailable : WireStatus(.alreadyExists, "people exists")
            default: Sample.description
            }
        } _: { client, _ in
            var other = Sample.options
            other.embeddingModel = "another"
            let error = await #expect(throws: MienClientError.self) { try await client.createCollection(other) }
            #expect(error?.code == .alreadyExists)
        }
    }

    @Test func aDeletionWhoseAnswerWasLostIsNoFailure() async throws {
        try await ScriptedCluster.run { request, number in
            if case .describeCollection = request { return Sample.description }
            throw number == 1 ? Self.unavailable : WireStatus(.notFound, "no such collection")
        } _: { client, cluster in
            let deletion = try await client.deleteCollection("people")
            #expect(deletion.faceCount == nil && deletion.unconfirmedWorkers.isEmpty)
            await #expect(throws: MienClientError.self) { try await client.deleteCollection("people") }
            #expect(deletions(cluster) == [CollectionID?](repeating: Sample.collection.id, count: 3))
        }
    }

    private func deletions(_ cluster: ScriptedCluster) -> [CollectionID?] {
        cluster.requests.compactMap { if case .deleteCollection(let message) = $0 { message.id } else { nil } }
    }

    /// What a person was shown is deleted, and nothing that got its name since.
    @Test func theCollectionThatIsNamedIsMeant() async throws {
        try await ScriptedCluster.run { _, _ in
            CollectionDeleted(faceCount: 5, unconfirmed: [.init(id: NodeID(high: 1, low: 2), address: nil)])
        } _: { client, cluster in
            let shown = CollectionID(high: 3, low: 4)
            let deletion = try await client.deleteCollection("people", id: shown.description)
            #expect(deletion.faceCount == 5 && deletions(cluster) == [shown] && cluster.requests.count == 1)
            #expect(deletion.unconfirmedWorkers.map(\.id) == [NodeID(high: 1, low: 2).description])
            let error = await #expect(throws: MienClientError.self) {
                try await client.deleteCollection("people", id: "people")
            }
            #expect(error?.code == .notFound && error?.hasNoEffect == true && cluster.requests.count == 1)
        }
    }

    /// One coordinator of several was set up with another cluster's token.
    @Test func aCoordinatorOfAnotherTokenStopsNobody() async throws {
        let calls = MienClient.CallOptions(timeout: .seconds(20), retryDuration: .zero)
        try await ScriptedCluster.run(token: "another-cluster's-token") { _, _ in
            nil
        } _: { _, other in
            try await ScriptedCluster.run(
                token: "right-token-of-the-cluster",
                before: other.address,
                calls: calls
            ) { _, _ in
                CollectionList(collections: [Sample.description])
            } _: { client, cluster in
                for _ in 0..<3 {
                    let collections = try await client.collections()
                    #expect(collections.map(\.options.name) == ["people"])
                }
                #expect(cluster.requests.count == 3 && other.requests.isEmpty)
            }
            // Where all of them refuse it that is the answer.
            try await ScriptedCluster.run(
                token: "right-token-of-the-cluster",
                clientToken: "wrong",
                before: other.address,
                calls: calls
            ) { _, _ in
                nil
            } _: { client, cluster in
                let error = await #expect(throws: MienClientError.self) { try await client.status() }
                #expect(error?.code == .unauthenticated && error?.hasNoEffect == true)
                #expect(cluster.requests.isEmpty && other.requests.isEmpty)
            }
        }
    }

    @Test func aWrongTokenIsUnauthenticated() async throws {
        try await ScriptedCluster.run(token: "right-token-of-the-cluster", clientToken: "wrong") { _, _ in
            nil
        } _: { client, cluster in
            let error = await #expect(throws: MienClientError.self) { try await client.status() }
            #expect(error?.code == .unauthenticated)
            #expect(cluster.requests.isEmpty)
        }
    }
}
