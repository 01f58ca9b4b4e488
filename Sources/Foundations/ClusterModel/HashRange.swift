internal import Checksum
package import FaceModel

/// A closed range of the 64-bit hash ring.
package struct HashRange: Hashable, Sendable {
    package let first: UInt64
    package let last: UInt64

    package init(first: UInt64, last: UInt64) {
        precondition(first <= last, "a hash range does not wrap")
        self.first = first
        self.last = last
    }

    package static let all = HashRange(first: 0, last: .max)

    package func contains(_ hash: UInt64) -> Bool { first <= hash && hash <= last }

    package func overlaps(_ other: HashRange) -> Bool { first <= other.last && other.first <= last }

    /// Share of the ring that the range covers, in (0, 1].
    package var share: Double { (Double(last - first) + 1) / 0x1p64 }

    /// The whole ring cut into `count` ranges that differ by at most one in width.
    package static func divisions(_ count: Int) -> [HashRange] {
        precondition(count > 0)
        var ranges: [HashRange] = []
        var first: UInt64 = 0
        for index in 1...count {
            // Upper bound of part `index`: floor(2^64 * index / count) - 1, in 128 bits.
            let last =
                index == count
                ? UInt64.max : UInt64(count).dividingFullWidth((UInt64(index), 0)).quotient - 1
            ranges.append(HashRange(first: first, last: last))
            first = last &+ 1
        }
        return ranges
    }
}

/// Places face ids on the hash ring: SipHash-2-4 keyed by the collection's id, over the 16 id bytes, big-endian.
///
/// Stable for ever: the placement of every stored face depends on it.
/// - SeeAlso: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012). The key words are the collection id's
///   high and low words; the message words are the id's high and low words in little-endian reading of their
///   big-endian bytes.
package enum FaceIDHash {
    package static func hash(_ id: FaceID, in collection: CollectionID) -> UInt64 {
        sipHash(key: (collection.high, collection.low), id.high.byteSwapped, id.low.byteSwapped)
    }

    /// SipHash-2-4 of a 16-byte message given as two little-endian words.
    package static func sipHash(key: (UInt64, UInt64), _ first: UInt64, _ second: UInt64) -> UInt64 {
        SipHash.hash64(key: key) { hash in
            hash.add(first)
            hash.add(second)
        }
    }
}
