import ClusterModel
import FaceModel
import Testing

struct HashRangeTests {
    @Test func divisionsCoverTheRingWithoutGap() {
        for count in 1...1024 {
            let ranges = HashRange.divisions(count)
            #expect(ranges.count == count)
            #expect(ranges[0].first == 0 && ranges[count - 1].last == .max, "\(count) parts")
            let isGapless = zip(ranges, ranges.dropFirst()).allSatisfy { $0.last != .max && $0.last + 1 == $1.first }
            #expect(isGapless, "\(count) parts")
            // Width less one, so that the whole ring fits.
            let widths = ranges.map { $0.last - $0.first }
            #expect(widths.max()! - widths.min()! <= 1, "\(count) parts")
        }
    }

    @Test func boundsAreWithin() {
        let range = HashRange(first: 10, last: 20)
        #expect(range.contains(10) && range.contains(20))
        #expect(!range.contains(9) && !range.contains(21))
        #expect(HashRange.all.contains(0) && HashRange.all.contains(.max))
        #expect(HashRange.divisions(1) == [.all])
        #expect(HashRange.all.share == 1 && HashRange(first: 5, last: 5).share == 0x1p-64)
        #expect(HashRange.divisions(3).allSatisfy { abs($0.share - 1.0 / 3) < 1e-12 })
        #expect(HashRange.divisions(2)[1].first == 1 << 63)
    }

    /// `vectors_sip64` of the reference implementation: key 00…0f, message 00…0f, 16 bytes.
    @Test func sipHashIsThatOfTheReference() {
        let words: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
        #expect(FaceIDHash.sipHash(key: words, words.0, words.1) == 0x3f2a_cc7f_57c2_9bdb)
    }

    /// The placement of stored faces depends on this value: it never changes.
    @Test func theBytesOfAFaceIDAreHashedInTheOrderOfItsText() {
        let face = FaceID(high: 0x0001_0203_0405_0607, low: 0x0809_0a0b_0c0d_0e0f)
        let collection = CollectionID(high: 0x0706_0504_0302_0100, low: 0x0f0e_0d0c_0b0a_0908)
        #expect(FaceIDHash.hash(face, in: collection) == 0x3f2a_cc7f_57c2_9bdb)
    }

    @Test func everyBitOfIDAndCollectionMovesTheHash() {
        let face = FaceID(high: 3, low: 4)
        let collection = CollectionID(high: 1, low: 2)
        var hashes: Set<UInt64> = [FaceIDHash.hash(face, in: collection)]
        for bit in 0..<64 {
            let mask: UInt64 = 1 << UInt64(bit)
            hashes.insert(FaceIDHash.hash(FaceID(high: 3 ^ mask, low: 4), in: collection))
            hashes.insert(FaceIDHash.hash(FaceID(high: 3, low: 4 ^ mask), in: collection))
            hashes.insert(FaceIDHash.hash(face, in: CollectionID(high: 1 ^ mask, low: 2)))
            hashes.insert(FaceIDHash.hash(face, in: CollectionID(high: 1, low: 2 ^ mask)))
        }
        #expect(hashes.count == 257)
    }

    /// 64 shards, 64 000 ids that count up: 1000 each, give or take six deviations of √1000.
    @Test func idsThatCountUpSpreadOverTheShards() {
        let ranges = HashRange.divisions(64)
        var counts = [Int](repeating: 0, count: 64)
        for low in 0..<64_000 {
            let hash = FaceIDHash.hash(FaceID(high: 0, low: UInt64(low)), in: CollectionID(high: 5, low: 6))
            counts[ranges.firstIndex { $0.contains(hash) }!] += 1
        }
        #expect(counts.allSatisfy { abs($0 - 1000) < 190 })
    }
}
