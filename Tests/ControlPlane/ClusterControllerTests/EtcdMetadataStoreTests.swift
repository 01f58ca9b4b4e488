import ClusterController
import ClusterModel
import Etcd
import HTTPScripting
import NIOPosix
import Synchronization
import Testing

struct EtcdMetadataStoreTests {
    private let etcd: EtcdProcess
    private let prefix = EtcdProcess.freshPrefix()

    init() throws { etcd = try EtcdProcess.shared.get() }

    private func open(
        endpoints: [String]? = nil,
        leaseTime: Duration = .seconds(2)
    ) async throws(MetadataError) -> EtcdMetadataStore {
        try await EtcdMetadataStore.open(etcd, endpoints: endpoints, prefix: prefix, leaseTime: leaseTime)
    }

    @Test(arguments: MetadataStoreContract.stories)
    func keepsTheContract(_ story: MetadataStoreContract) async throws {
        let store = try await open()
        try await story.tell(store)
        await store.close()
    }

    /// They are written to at one and watched at the next, and are one store.
    @Test(arguments: MetadataStoreContract.stories)
    func threeMembersKeepTheContract(_ story: MetadataStoreContract) async throws {
        let three = try EtcdProcess.ofThree.get()
        let store = try await EtcdMetadataStore.open(three, prefix: prefix)
        try await story.tell(store)
        await store.close()
    }

    @Test func prefixesAreApart() async throws {
        let store = try await open()
        let other = try await EtcdMetadataStore.open(
            EtcdOptions(endpoints: [etcd.endpoint]),
            prefix: prefix + "inner/",
            leaseTime: .seconds(2),
            group: MultiThreadedEventLoopGroup.singleton
        )
        try await other.commit([.absent(key: "a")], [.put(key: "a", value: [1])])
        #expect(try await store.read("a") == nil)
        try await store.commit([.absent(key: "a")], [.put(key: "a", value: [2])])
        #expect(try await other.list(prefix: "").records.map(\.value) == [[1]])
        await other.close()
        await store.close()
    }

    @Test func aMemberThatIsDownIsPassedOver() async throws {
        await (try open()).close()
        // Nothing listens on port 1 of loopback.
        let store = try await EtcdMetadataStore.open(
            EtcdOptions(endpoints: ["http://127.0.0.1:1", etcd.endpoint]),
            prefix: prefix,
            leaseTime: .seconds(2),
            group: MultiThreadedEventLoopGroup.singleton
        )
        let version = try await store.commit([], [.put(key: "a", value: [1])])
        #expect(try await store.read("a")?.version == version)
        let stream = store.revisions()
        let last = try await store.commit([], [.put(key: "a", value: [2])])
        for await revision in stream where revision >= last { break }
        await store.close()
    }

    @Test func anEtcdThatIsNotThereChangesNothingForSure() async throws {
        let error = await #expect(throws: MetadataError.self) { try await open(endpoints: ["http://127.0.0.1:1"]) }
        guard case .unavailable(let reason) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(reason.contains("127.0.0.1:1") && reason.hasSuffix("."), "\(reason)")
    }

    @Test func somethingElseAtTheEndpointIsRefused() async throws {
        let answers = [
            "{}", "[]", "<html>", #"{"header":{"revision":"3"},"succeeded":true}"#,
            // The probe's answer, but for revisions that none can be behind, or before.
            #"{"header":{"revision":"-1"},"responses":[{"response_range":{"header":{"revision":"-1"}}}]}"#,
            #"{"header":{"revision":"9223372036854775807"},"responses":[{"response_range":{}}]}"#,
        ]
        for answer in answers {
            let gateway = try await ScriptedServer.start { _, _ in .answer(200, answer) }
            await #expect(throws: MetadataError.self) { try await open(endpoints: [gateway.endpoint]) }
            await gateway.stop()
        }
    }

    /// What the probe of a new store is answered by an etcd.
    private static let probed = ScriptedServer.Reaction.answer(
        200,
        #"{"header":{"revision":"7"},"responses":[{"response_range":{"header":{"revision":"7"}}}]}"#
    )

    @Test func aCommitWhoseAnswerIsLostIsOfUnknownOutcome() async throws {
        let lost: [(reaction: ScriptedServer.Reaction, what: String)] = [
            (.close, "the connection is closed"),
            (.answer(503, #"{"error":"etcdserver: request timed out","code":14}"#), "etcd gives up"),
            (.answer(503, #"{"error":"etcdserver: leader changed","code":14}"#), "the leader changes"),
            (.answer(503, #"{"error":"etcdserver: server stopped","code":14}"#), "the member stops"),
            (.answer(502, "a proxy's page"), "something between answers"),
            (.answer(200, #"{"header":{"revision":"8"},"succeeded":true}"#), "the answer is of another request"),
        ]
        for (reaction, what) in lost {
            let gateway = try await ScriptedServer.start { number, _ in number == 0 ? Self.probed : reaction }
            let store = try await open(endpoints: [gateway.endpoint])
            let error = await #expect(throws: MetadataError.self) {
                try await store.commit([.absent(key: "a")], [.put(key: "a", value: [1])])
            }
            guard case .outcomeUnknown = error else {
                Issue.record("\(what): \(String(describing: error))")
                continue
            }
            #expect(gateway.requestCount == 2, "\(what): a change is not sent again")
            await store.close()
            await gateway.stop()
        }
    }

    @Test func aCommitThatWasRefusedHasChangedNothing() async throws {
        let refusals = [
            #"{"error":"etcdserver: no leader","code":14}"#,
            #"{"error":"etcdserver: mvcc: database space exceeded","code":8}"#,
            #"{"error":"etcdserver: permission denied","code":7}"#,
        ]
        for refusal in refusals {
            let gateway = try await ScriptedServer.start { number, _ in
                number == 0 ? Self.probed : .answer(503, refusal)
            }
            let store = try await open(endpoints: [gateway.endpoint])
            let error = await #expect(throws: MetadataError.self) {
                try await store.commit([], [.put(key: "a", value: [1])])
            }
            guard case .unavailable = error else {
                Issue.record("\(refusal): \(String(describing: error))")
                continue
            }
            await store.close()
            await gateway.stop()
        }
    }

    @Test func aReadIsAskedAgainElsewhereWhenItsAnswerIsLost() async throws {
        await (try open()).close()
        let gateway = try await ScriptedServer.start { number, _ in number == 0 ? Self.probed : .close }
        let store = try await open(endpoints: [gateway.endpoint, etcd.endpoint])
        #expect(try await store.read("a") == nil)
        #expect(gateway.requestCount == 2)
        await store.close()
        await gateway.stop()
    }

    @Test func noChangeIsSentToAMemberThatHangsWhileAnotherAnswers() async throws {
        let hanging = try await ScriptedServer.start { number, _ in number == 0 ? Self.probed : .hang }
        // Without a quorum nothing that is read would tell which member answers.
        let leaderless = try await ScriptedServer.start { _, _ in
            .answer(503, #"{"error":"etcdserver: no leader","code":14}"#)
        }
        let store = try await EtcdMetadataStore.open(
            EtcdOptions(
                endpoints: [hanging.endpoint, leaderless.endpoint],
                attemptTimeout: .seconds(3)
            ),
            prefix: prefix,
            leaseTime: .seconds(2),
            group: MultiThreadedEventLoopGroup.singleton
        )
        await #expect(throws: MetadataError.self) { try await store.read("a") }
        #expect(hanging.requestCount == 2 && leaderless.requestCount == 1)
        let error = await #expect(throws: MetadataError.self) {
            try await store.commit([], [.put(key: "a", value: [1])])
        }
        // It would have been left open whether the change was made.
        guard case .unavailable = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(hanging.requestCount == 2 && leaderless.requestCount == 2)
        await store.close()
        await hanging.stop()
        await leaderless.stop()
    }

    /// Calls that are streams in gRPC answer failures in a form of their own.
    @Test func aCompetitorSaysWhatEtcdLacks() async throws {
        let gateway = try await ScriptedServer.start { number, body in
            if number == 0 { return Self.probed }
            return body.contains("TTL")
                ? .answer(200, #"{"header":{"revision":"8"},"ID":"5","TTL":"2"}"#)
                : .answer(
                    503,
                    #"{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","#
                        + #""http_status":"Service Unavailable"}}"#
                )
        }
        let store = try await open(endpoints: [gateway.endpoint])
        let standing = Mutex<LeaseStanding?>(nil)
        let candidate = LeaseCandidate(
            presence: .init(key: "coordinator/a", value: [1]),
            leaseKey: "controller",
            leaseValue: { [2] }
        )
        let competition = Task {
            await store.compete(as: candidate) { now in standing.withLock { $0 = now } }
        }
        try await eventually("it is told") { standing.withLock { $0 != nil } }
        competition.cancel()
        await competition.value
        #expect(
            standing.withLock(\.self)
                == .unreachable(reason: "etcd cannot be used: \(gateway.endpoint): etcdserver: no leader.")
        )
        await store.close()
        await gateway.stop()
    }

    @Test func conditionsAndChangesAreWrittenAsEtcdReadsThem() async throws {
        let bodies = Mutex<[String]>([])
        let gateway = try await ScriptedServer.start { number, body in
            bodies.withLock { $0.append(body) }
            return number == 0
                ? Self.probed
                : .answer(
                    200,
                    #"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_put":{}},"#
                        + #"{"response_delete_range":{}}]}"#
                )
        }
        let store = try await EtcdMetadataStore.open(
            EtcdOptions(endpoints: [gateway.endpoint]),
            prefix: "p/",
            leaseTime: .seconds(2),
            group: MultiThreadedEventLoopGroup.singleton
        )
        let revision = try await store.commit(
            [.absent(key: "a"), .unchanged(key: "b", version: MetadataRevision(1 << 60))],
            [.put(key: "c", value: [1]), .remove(key: "d")]
        )
        #expect(revision == MetadataRevision(9))
        let body = bodies.withLock { $0[1] }
        // Keys in base64: p/a, p/b, p/c, p/d.
        for part in [
            #""target":"CREATE""#, #""create_revision":"0""#, #""key":"cC9h""#, #""target":"MOD""#,
            #""mod_revision":"1152921504606846976""#, #""key":"cC9i""#, #""request_put":{"#, #""key":"cC9j""#,
            #""request_delete_range":{"#, #""key":"cC9k""#, #""request_range":{"#, #""compare":["#, #""success":["#,
            #""failure":["#,
        ] { #expect(body.contains(part), "\(part) in \(body)") }
        await store.close()
        await gateway.stop()
    }

    @Test func aRecordThatSomethingElseWroteIsNamed() async throws {
        let store = try await open()
        try await store.commit([], [.put(key: "good", value: [1])])
        let client = try EtcdClient(
            EtcdOptions(endpoints: [etcd.endpoint]),
            group: MultiThreadedEventLoopGroup.singleton
        )
        _ = try await client.commit([], [.put(Array("\(prefix)bad".utf8), Array("by hand".utf8), lease: nil)])
        await #expect(throws: MetadataError.corrupt(key: "bad", reason: "its checksum is wrong")) {
            try await store.read("bad")
        }
        await #expect(throws: MetadataError.corrupt(key: "bad", reason: "its checksum is wrong")) {
            try await store.list(prefix: "")
        }
        await client.close()
        await store.close()
    }

    @Test func aClosedStoreSaysSo() async throws {
        let store = try await open()
        await store.close()
        await #expect(throws: MetadataError.self) { try await store.read("a") }
        await store.close()
    }

    // MARK: The lease

    /// One competitor, with the standings that it was told.
    private final class Competitor: Sendable {
        let standings = Mutex<[LeaseStanding]>([])
        let task: Task<Void, Never>
        let store: EtcdMetadataStore

        init(_ store: EtcdMetadataStore, _ number: UInt8) {
            self.store = store
            let (stream, continuation) = AsyncStream.makeStream(of: LeaseStanding.self)
            task = Task { await store.compete(as: MetadataStoreContract.candidate(number)) { continuation.yield($0) } }
            Task { [weak self] in
                for await standing in stream { self?.standings.withLock { $0.append(standing) } }
            }
        }

        var last: LeaseStanding? { standings.withLock(\.last) }

        var fence: MetadataCondition? {
            if case .held(let fence?) = last { fence } else { nil }
        }
    }

    @Test func oneOfTwoHasTheLeaseAndTheOtherFollowsAtOnce() async throws {
        // So long that nobody waits for its end by chance.
        let leaseTime = Duration.seconds(20)
        let firstStore = try await open(leaseTime: leaseTime)
        let secondStore = try await open(leaseTime: leaseTime)
        let first = Competitor(firstStore, 1)
        try await eventually("the first has it") { first.last?.isHeld == true }
        let second = Competitor(secondStore, 2)
        try await eventually("the second waits") { second.last == .waiting }
        let fence = try #require(first.fence)
        try await firstStore.commit([fence], [.put(key: "a", value: [1])])

        let begin = ContinuousClock.now
        first.task.cancel()
        await first.task.value
        try await eventually("the second has it") { second.last?.isHeld == true }
        #expect(ContinuousClock.now - begin < .seconds(15), "who gives up does not make the next one wait")
        await #expect(throws: MetadataError.conflict(key: "controller")) {
            try await firstStore.commit([fence], [.put(key: "a", value: [2])])
        }
        let later = try #require(second.fence)
        try await secondStore.commit([later], [.put(key: "a", value: [3])])
        let keys = try await secondStore.list(prefix: "").records.map(\.key)
        #expect(keys == ["a", "controller", "coordinator/2"])
        second.task.cancel()
        await second.task.value
        await firstStore.close()
        await secondStore.close()
    }

    @Test func aHolderThatDiesLosesTheLeaseToTheNext() async throws {
        let (firstStore, secondStore) = (try await open(), try await open())
        let first = Competitor(firstStore, 1)
        try await eventually("the first has it") { first.last?.isHeld == true }
        let second = Competitor(secondStore, 2)
        try await eventually("the second waits") { second.last == .waiting }
        // Its calls fail from now on, as those of a process without a network.
        await firstStore.close()
        try await eventually("the first knows that it may have lost it") {
            if case .unreachable = first.last { true } else { false }
        }
        try await eventually("the second has it") { second.last?.isHeld == true }
        for competitor in [first, second] {
            competitor.task.cancel()
            await competitor.task.value
        }
        await secondStore.close()
    }

    @Test func aLeaseThatWasTakenAwayIsNotHeld() async throws {
        let store = try await open()
        let competitor = Competitor(store, 1)
        try await eventually("it has the lease") { competitor.last?.isHeld == true }
        let fence = try #require(competitor.fence)
        try await store.commit([], [.put(key: "controller", value: [9])])
        try await eventually("it notices") { competitor.last == .waiting }
        await #expect(throws: MetadataError.conflict(key: "controller")) {
            try await store.commit([fence], [.put(key: "a", value: [1])])
        }
        try await store.commit([], [.remove(key: "controller")])
        try await eventually("it has it again") { competitor.last?.isHeld == true }
        #expect(competitor.fence != fence)
        competitor.task.cancel()
        await competitor.task.value
        await store.close()
    }
}
