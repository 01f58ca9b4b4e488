import FaceModel
import PartitionStore
import Testing
import VectorMath

struct RecordFilterTests {
    private static let seed = UInt64.random(in: 0 ... .max)
    private static let face = FaceID(high: 3, low: 4)

    /// What a filter means, in the plainest form.
    private static func passes(_ face: FaceMetadata, _ filter: FaceFilter) -> Bool {
        func isOne(_ value: String?, of ids: [String]?) -> Bool {
            guard let ids else { return true }
            return ids.contains { Array($0.utf8) == value.map { Array($0.utf8) } }
        }
        return isOne(face.personID, of: filter.personIDs) && isOne(face.externalImageID, of: filter.externalImageIDs)
            && filter.attributes.allSatisfy { face.attributes[$0.key] == $0.value }
            && filter.createdFrom.map { from in face.created.map { $0 >= from } ?? false } ?? true
            && filter.createdBefore.map { end in face.created.map { $0 < end } ?? false } ?? true
    }

    private static func examine(_ metadata: FaceMetadata, _ filter: FaceFilter) throws -> Bool {
        let record = FaceRecord(row: 77, version: FaceVersion(epoch: 1, sequence: 2), metadata: metadata)
        let bytes = record.encoded(for: face)
        let result = try bytes.withUnsafeBytes { try RecordFilter(filter).examine($0, of: face) }
        #expect(result.row == 77)
        return result.passes
    }

    @Test func recordsAreJudgedAsTheirMetadataIs() throws {
        var generator = SplitMix64(seed: Self.seed)
        func maybe<T>(_ values: [T]) -> T? {
            Bool.random(using: &generator) ? values.randomElement(using: &generator) : nil
        }
        let names = ["a", "b", "ab", "ü"]
        var passed = 0
        for _ in 0..<20_000 {
            func attributes(_ count: Int) -> [String: String] {
                var attributes: [String: String] = [:]
                for _ in 0..<count {
                    attributes[names.randomElement(using: &generator)!] = ["", "x"].randomElement(using: &generator)!
                }
                return attributes
            }
            let times = (0..<4).map { Timestamp(milliseconds: Int64($0)) }
            let metadata = FaceMetadata(
                personID: maybe(names),
                externalImageID: maybe(names),
                imageID: maybe(names),
                boundingBox: maybe([BoundingBox(left: 0, top: 0, width: 1, height: 1)]),
                quality: maybe([1]),
                confidence: maybe([2]),
                created: maybe(times),
                expires: maybe(times),
                attributes: attributes(Int.random(in: 0...4, using: &generator))
            )
            let filter = FaceFilter(
                personIDs: maybe([["a"], ["b", "ü", "b"]]),
                externalImageIDs: maybe([["ab"], names]),
                attributes: attributes(Int.random(in: 0...2, using: &generator)),
                createdFrom: maybe(times),
                createdBefore: maybe(times)
            )
            let expected = Self.passes(metadata, filter)
            if expected { passed += 1 }
            try #require(
                try Self.examine(metadata, filter) == expected,
                "seed \(Self.seed): \(metadata) under \(filter)"
            )
        }
        #expect(passed > 500 && passed < 19_000, "\(passed)")
    }

    /// Two spellings that Swift takes for equal are different bytes, and different ids.
    @Test func textsAreComparedByteByByte() throws {
        let (composed, decomposed) = ("\u{e9}", "e\u{301}")
        #expect(composed == decomposed)
        let metadata = FaceMetadata(personID: composed, attributes: ["k": composed])
        #expect(try Self.examine(metadata, FaceFilter(personIDs: [composed])))
        #expect(try !Self.examine(metadata, FaceFilter(personIDs: [decomposed])))
        #expect(try !Self.examine(metadata, FaceFilter(attributes: ["k": decomposed])))
        #expect(
            RecordFilter(FaceFilter(personIDs: [composed])) != RecordFilter(FaceFilter(personIDs: [decomposed]))
        )
    }

    @Test func damagedRecordsAreNoticed() throws {
        let record = FaceRecord(
            row: 1,
            version: FaceVersion(epoch: 1, sequence: 1),
            metadata: FaceMetadata(personID: "p", attributes: ["k": "v"])
        )
        let bytes = record.encoded(for: Self.face)
        let filter = RecordFilter(FaceFilter(attributes: ["k": "v"]))
        for index in bytes.indices {
            var changed = bytes
            changed[index] ^= 4
            #expect(throws: PartitionStoreError.self) {
                try changed.withUnsafeBytes { try filter.examine($0, of: Self.face) }
            }
            #expect(throws: PartitionStoreError.self) {
                try bytes[..<index].withUnsafeBytes { try filter.examine($0, of: Self.face) }
            }
        }
    }

    @Test func keysOfANameLieTogetherByRow() {
        func bytes(_ name: String, _ row: UInt32) -> [UInt8] {
            NameKey(name: name, row: row).withKeyBytes { Array($0) }
        }
        #expect(bytes("ab", 0x0102_0304) == [0x61, 0x62, 0, 1, 2, 3, 4])
        let ordered = [bytes("a", 0), bytes("a", 1), bytes("a", .max), bytes("a!", 0), bytes("ab", 0), bytes("b", 0)]
        for (first, second) in zip(ordered, ordered.dropFirst()) { #expect(first.lexicographicallyPrecedes(second)) }
    }
}
