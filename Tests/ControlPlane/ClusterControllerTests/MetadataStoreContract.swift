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
            #expect(listing2 == MetadataListing(records: [], revision: MetadataRevision(0)))
        },
        MetadataStoreContract("what was put is read, with the revision that put it") { store in
            let revision = try await store.commit([], [put("a", 1), put("b", 2)])
            #expect(revision > MetadataRevision(0))
            let record3 = try await store.read("a")
            #expect(record3 == MetadataRecord(key: "a", value: [1], version: revision))
            let record4 = try await store.read("b")
            #expect(record4?.version == revision)
            let listing5 = try await store.list(prefix: "")
            #expect(listing5.revision == revision)
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
            #expect(listing.revision == version)
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
            for await revision in stream where revision == last { break }
        },
    ]

    private static func put(_ key: String, _ value: UInt8) -> MetadataChange { .put(key: key, value: [value]) }
}
