import FaceModel
import Foundation
import Glibc
import LMDB
import PartitionEngine
import PartitionStore
import Testing

/// Entries that say when faces expire are keys alone, which no checksum covers.
struct PartitionExpiryCorruptionTests {
    private static let probe: [Float] = {
        var source = FaceSource(dimension: 64, seed: 8)
        return source.embedding()
    }()

    /// Face `n` of the first four expires at this moment, the others never.
    private static func expiry(_ face: Int) -> Timestamp { Timestamp(milliseconds: Int64(40 + 20 * face)) }

    private static func isCorruption(_ error: any Error) -> Bool {
        (error as? PartitionError)?.isCorruption == true
    }

    private func filled() throws -> PartitionFixture {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<30).map { FaceID($0) }
        let expiries = Dictionary(uniqueKeysWithValues: (0..<4).map { (FaceID($0), Self.expiry($0)) })
        try fixture.enrol(ids, ids.map { _ in source.embedding() }) { FaceMetadata(expires: expiries[$0]) }
        return fixture
    }

    /// Where the keys of the entries lie in the file of a closed partition.
    private func places(_ fixture: PartitionFixture) throws -> [Int] {
        let file = try Data(contentsOf: URL(filePath: "\(fixture.directory)/data.mdb"))
        return try (0..<4).map { face in
            let key = ExpiryKey(expires: Self.expiry(face), row: UInt32(face)).withKeyBytes { Data($0) }
            return try #require(file.range(of: key)).lowerBound
        }
    }

    /// Changes a bit of the file, or changes it back.
    private func flip(_ fixture: PartitionFixture, _ place: Int, _ bit: Int) {
        let descriptor = open("\(fixture.directory)/data.mdb", O_RDWR)
        defer { close(descriptor) }
        var byte: UInt8 = 0
        #expect(pread(descriptor, &byte, 1, off_t(place + bit / 8)) == 1)
        byte ^= 1 << UInt8(bit % 8)
        #expect(pwrite(descriptor, &byte, 1, off_t(place + bit / 8)) == 1)
    }

    /// A face that has not expired is found, and one that has is not, or the damage is noticed.
    @Test func aDamagedExpiryHidesNoFaceAndShowsNone() throws {
        let fixture = try filled()
        let moments = [0, 50, 90, 1000].map { Timestamp(milliseconds: $0) }
        func found(at moment: Timestamp) throws -> [[Found]] {
            try fixture.search([Self.probe], limit: 100, now: moment).found
        }
        let sound = try moments.map { try found(at: $0) }
        #expect(sound.map { $0[0].count } == [30, 29, 27, 26])
        fixture.partition.close()
        var noticedCount = 0
        for place in try places(fixture) {
            for bit in 0..<96 {
                flip(fixture, place, bit)
                defer { flip(fixture, place, bit) }
                try fixture.reopen()
                defer { fixture.partition.close() }
                var isNoticed = false
                for (moment, expected) in zip(moments, sound) {
                    do {
                        #expect(try found(at: moment) == expected, "key at \(place), bit \(bit), \(moment)")
                    } catch {
                        #expect(Self.isCorruption(error), "\(error)")
                        isNoticed = true
                    }
                }
                if isNoticed { noticedCount += 1 }
            }
        }
        // At the last moment all four have expired, by their records.
        #expect(noticedCount == 4 * 96)
        try fixture.reopen()
        #expect(try moments.map { try found(at: $0) } == sound)
    }

    /// What a face leaves behind would stay for good.
    @Test func aFaceWhoseExpiryIsDamagedIsNotDeleted() throws {
        let fixture = try filled()
        fixture.partition.close()
        let place = try places(fixture)[2]
        // Of its row.
        flip(fixture, place, 94)
        try fixture.reopen()
        #expect(throws: PartitionError.self) { try fixture.delete([FaceID(2)]) }
        fixture.partition.close()
        flip(fixture, place, 94)
        try fixture.reopen()
        #expect(try fixture.partition.statistics().faceCount == 30)
        try fixture.delete([FaceID(2)])
        #expect(try fixture.partition.verifyAll() != nil)
    }
}
