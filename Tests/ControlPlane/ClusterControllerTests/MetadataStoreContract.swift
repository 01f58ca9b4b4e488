import ClusterController
import Testing

/// What every metadata store must do. Each story is told to an empty store.
struct MetadataStoreContract: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let tell: @Sendable (any MetadataStore) async throws -> Void

    private init(_ title: String, _ tell: @escaping @Sendable (any MetadataStore) async throws -> Void) {
        testDescription = title
        self.tell = tell
    }

    static let stories = [
        MetadataStoreContract("an empty store has nothing") { store in
            let record1 = try await store.read("a")
            #expect(record1 == nil)
            let listing2 = try await store.list(prefix: "")
            #expect(listing2.records.isEmpty)
        },
        MetadataStoreContract("what was put is read, with the revision that put it") { store in
            let revision = try await store.commit([], [put("a", 1), put("b", 2)])
            #expect(revision > MetadataRevision(0))
            let record3 = try await store.read("a")
            #expect(record3 == MetadataRecord(key: "a", value: [1], version: revision))
            let record4 = try await store.read("b")
            #expect(record4?.version == revision)
            let listing5 = try await store.list(prefix: "")
            #expect(listing5.revision >= revision, "others may commit to the same store")
            #expect(listing5.records.map(\.version) == [revision, revision])
        },
        MetadataStoreContract("revisions rise, and versions only of what was put") { store in
            let first = try await store.commit([], [put("a", 1), put("b", 1)])
            let second = try await store.commit([], [put("b", 1)])
            #expect(second > first)
            let record6 = try await store.read("a")
            #expect(record6?.version == first)
            let record7 = try await store.read("b")
            #expect(record7?.version == second)
        },
        MetadataStoreContract("an unchanged record can be swapped, once") { store in
            let version = try await store.commit([], [put("a", 1)])
            try await store.commit([.unchanged(key: "a", version: version)], [put("a", 2)])
            await #expect(throws: MetadataError.conflict(key: "a")) {
                try await store.commit([.unchanged(key: "a", version: version)], [put("a", 3)])
            }
            let record8 = try await store.read("a")
            #expect(record8?.value == [2])
        },
        MetadataStoreContract("an absent record can be made, once") { store in
            try await store.commit([.absent(key: "a")], [put("a", 1)])
            await #expect(throws: MetadataError.conflict(key: "a")) {
                try await store.commit([.absent(key: "a")], [put("a", 2)])
            }
            let record9 = try await store.read("a")
            #expect(record9?.value == [1])
        },
        MetadataStoreContract("a removed record is not unchanged, and is absent") { store in
            let version = try await store.commit([], [put("a", 1)])
            try await store.commit([], [.remove(key: "a"), .remove(key: "never there")])
            let record10 = try await store.read("a")
            #expect(record10 == nil)
            await #expect(throws: MetadataError.conflict(key: "a")) {
                try await store.commit([.unchanged(key: "a", version: version)], [put("a", 2)])
            }
            try await store.commit([.absent(key: "a")], [put("a", 3)])
        },
        MetadataStoreContract("when one condition fails nothing is changed") { store in
            let version = try await store.commit([], [put("a", 1), put("b", 1)])
            await #expect(throws: MetadataError.conflict(key: "c")) {
                try await store.commit(
                    [.unchanged(key: "a", version: version), .unchanged(key: "c", version: version)],
                    [put("a", 2), .remove(key: "b"), put("d", 4)]
                )
            }
            let listing = try await store.list(prefix: "")
            #expect(listing.records.map(\.key) == ["a", "b"])
            #expect(listing.records.map(\.value) == [[1], [1]])
            #expect(listing.records.map(\.version) == [version, version])
        },
        MetadataStoreContract("listings are in order of key and hold the prefix only") { store in
            try await store.commit([], ["b/2", "a", "b/10", "b", "c", "b/", "bb"].map { put($0, 1) })
            let listing11 = try await store.list(prefix: "b/")
            #expect(listing11.records.map(\.key) == ["b/", "b/10", "b/2"])
            let listing12 = try await store.list(prefix: "d")
            #expect(listing12.records.isEmpty)
            let listing13 = try await store.list(prefix: "")
            #expect(listing13.records.map(\.key) == ["a", "b", "b/", "b/10", "b/2", "bb", "c"])
        },
        MetadataStoreContract("values up to the limit are kept whole, longer ones refused") { store in
            let value = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try await store.commit([], [.put(key: "long", value: value), .put(key: "empty", value: [])])
            let record14 = try await store.read("long")
            #expect(record14?.value == value)
            let record15 = try await store.read("empty")
            #expect(record15?.value == [])
            await #expect(throws: MetadataError.valueTooLong(key: "longer", byteCount: 1 << 20 + 1, limit: 1 << 20)) {
                try await store.commit([], [.put(key: "longer", value: value + [0])])
            }
        },
        MetadataStoreContract("of many who swap at once every one succeeds once") { store in
            try await store.commit([], [put("counter", 0)])
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var done = false
                        while !done {
                            guard let record = try? await store.read("counter") else { return }
                            let commit = try? await store.commit(
                                [.unchanged(key: "counter", version: record.version)],
                                [put("counter", record.value[0] + 1)]
                            )
                            done = commit != nil
                        }
                    }
                }
            }
            let record16 = try await store.read("counter")
            #expect(record16?.value == [8])
        },
        MetadataStoreContract("watchers hear of the newest revision") { store in
            let stream = store.revisions()
            try await store.commit([], [put("a", 1)])
            let last = try await store.commit([], [put("a", 2)])
            for await revision in stream where revision >= last { break }
        },
        MetadataStoreContract("a watcher that comes late hears of what comes then") { store in
            let before = try await store.commit([], [put("a", 1)])
            let stream = store.revisions()
            let after = try await store.commit([], [.remove(key: "a")])
            #expect(after > before)
            for await revision in stream where revision >= after { break }
        },
        MetadataStoreContract("every commit that has returned is seen by reads and listings") { store in
            for number in 0..<20 as Range<UInt8> {
                let version = try await store.commit([], [put("a", number)])
                let record = try await store.read("a")
                #expect(record == MetadataRecord(key: "a", value: [number], version: version))
                let listing = try await store.list(prefix: "a")
                #expect(listing.records == [record] && listing.revision >= version)
            }
        },
        MetadataStoreContract("of two who make one record at once exactly one does") { store in
            for round in 0..<10 {
                let winners = await withTaskGroup(of: UInt8?.self) { group in
                    for number in [1, 2] as [UInt8] {
                        group.addTask {
                            let key = "contested/\(round)"
                            return (try? await store.commit([.absent(key: key)], [put(key, number)])) == nil
                                ? nil : number
                        }
                    }
                    return await group.reduce(into: [UInt8]()) { if let number = $1 { $0.append(number) } }
                }
                #expect(winners.count == 1)
                let record = try await store.read("contested/\(round)")
                #expect(record?.value == winners)
            }
        },
        MetadataStoreContract("listings that take several answers are whole and of one revision") { store in
            let keys = (0..<300).map { "many/\(1000 + $0)" }
            for start in stride(from: 0, to: 300, by: 100) {
                try await store.commit([], keys[start..<start + 100].map { put($0, 1) })
            }
            let writing = Task {
                for round in 0..<50 as Range<UInt8> where !Task.isCancelled {
                    // All of them at once, or none: a listing of two moments shows.
                    try await store.commit([], [keys[0], keys[150], keys[299]].map { put($0, round) })
                }
            }
            for _ in 0..<10 {
                let listing = try await store.list(prefix: "many/")
                #expect(listing.records.map(\.key) == keys)
                let values = Set([0, 150, 299].map { listing.records[$0].value })
                #expect(values.count == 1, "\(values)")
            }
            writing.cancel()
            _ = await writing.result
        },
        MetadataStoreContract("keys may hold any text") { store in
            let keys = [
                " ", "\"quoted\" \\ back/", "a\u{0}b", "line\nline", "ÄÖ/日本/\u{1F600}",
                String(repeating: "k", count: 511),
            ]
            for (number, key) in keys.enumerated() {
                try await store.commit([.absent(key: key)], [put(key, UInt8(number))])
            }
            for (number, key) in keys.enumerated() {
                let record = try await store.read(key)
                #expect(record?.value == [UInt8(number)] && record?.key == key)
            }
            let listing = try await store.list(prefix: "")
            #expect(
                listing.records.map(\.key) == keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
            )
        },
        MetadataStoreContract("the values of a commit have a limit together") { store in
            let half = [UInt8](repeating: 7, count: 1 << 19)
            try await store.commit([], [.put(key: "a", value: half), .put(key: "b", value: half)])
            await #expect(throws: MetadataError.valueTooLong(key: "b", byteCount: 1 << 20 + 1, limit: 1 << 20)) {
                try await store.commit([], [.put(key: "a", value: half), .put(key: "b", value: half + [7])])
            }
        },
        MetadataStoreContract("who competes alone has the lease, and the fence holds") { store in
            let (standings, standing) = AsyncStream.makeStream(of: LeaseStanding.self)
            let competing = Task { await store.compete(as: candidate(1)) { standing.yield($0) } }
            for await standing in standings {
                guard case .held(let fence) = standing else { continue }
                let conditions = [fence].compactMap(\.self)
                try await store.commit(conditions, [put("a", 1)])
                try await store.commit(conditions, [put("a", 2)])
                break
            }
            competing.cancel()
            await competing.value
            let listing = try await store.list(prefix: "")
            #expect(listing.records.map(\.key) == ["a"], "what a competitor wrote ends with it")
        },
        MetadataStoreContract("the lease goes from one competitor to the next, and the fence with it") { store in
            let isAlone = store.isExclusive
            let first = Competitor(1, store)
            let fence = await first.awaitLease()
            #expect((fence == nil) == isAlone, "whoever has no fence has the store to itself")
            try await store.commit([fence].compactMap(\.self), [put("a", 1)])
            // Where nobody else can have the lease nobody waits for it.
            let waiting = isAlone ? nil : Competitor(2, store)
            if let waiting {
                let standing = await waiting.nextStanding()
                #expect(standing == .waiting)
            }
            await first.end()
            let second = waiting ?? Competitor(2, store)
            let laterFence = await second.awaitLease()
            #expect((laterFence == nil) == isAlone)
            if let fence {
                await #expect(throws: MetadataError.conflict(key: "controller")) {
                    try await store.commit([fence], [put("a", 2)])
                }
            }
            try await store.commit([laterFence].compactMap(\.self), [put("b", 3)])
            await second.end()
            let listing = try await store.list(prefix: "")
            #expect(listing.records.map(\.key) == ["a", "b"])
            #expect(listing.records.map(\.value) == [[1], [3]])
        },
        MetadataStoreContract("a closed store is unavailable, whatever it is asked") { store in
            try await store.commit([], [put("a", 1)])
            await store.close()
            await expectUnavailable("a read") { _ = try await store.read("a") }
            await expectUnavailable("a listing") { _ = try await store.list(prefix: "") }
            // Nothing was begun: nobody has to find out what became of it.
            await expectUnavailable("a commit") { _ = try await store.commit([], [put("a", 2)]) }
            await store.close()
            await expectUnavailable("a read after it was closed twice") { _ = try await store.read("a") }
        },
    ]

    /// Somebody who competes for the lease, with the standings that it is told.
    private struct Competitor {
        private let standings: AsyncStream<LeaseStanding>
        private let task: Task<Void, Never>

        init(_ number: UInt8, _ store: any MetadataStore) {
            let (standings, standing) = AsyncStream.makeStream(of: LeaseStanding.self)
            self.standings = standings
            task = Task {
                await store.compete(as: MetadataStoreContract.candidate(number)) { standing.yield($0) }
            }
        }

        /// The next thing that it is told, but that the store does not answer at the moment.
        func nextStanding() async -> LeaseStanding? {
            for await standing in standings {
                if case .unreachable = standing { continue }
                return standing
            }
            return nil
        }

        /// Waits until it has the lease.
        ///
        /// - Returns: its fence; nil without one.
        func awaitLease() async -> MetadataCondition? {
            for await standing in standings {
                if case .held(let fence) = standing { return fence }
            }
            return nil
        }

        /// Gives up, and waits until nothing is left of it.
        func end() async {
            task.cancel()
            await task.value
        }
    }

    private static func expectUnavailable(_ what: String, _ call: () async throws -> Void) async {
        do {
            try await call()
            Issue.record("\(what) of a closed store is answered")
        } catch MetadataError.unavailable {
            // As it should be.
        } catch {
            Issue.record("\(what) of a closed store: \(error)")
        }
    }

    static func candidate(_ number: UInt8) -> LeaseCandidate {
        LeaseCandidate(
            presence: .init(key: "coordinator/\(number)", value: [number]),
            leaseKey: "controller",
            leaseValue: { [number, .random(in: 0...255), .random(in: 0...255)] }
        )
    }

    private static func put(_ key: String, _ value: UInt8) -> MetadataChange { .put(key: key, value: [value]) }
}
