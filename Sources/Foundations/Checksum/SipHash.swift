/// SipHash-2-4 of a message of whole 64-bit words, each hashed as its little-endian bytes: what an accident makes alike
/// once in 2⁶⁴ or 2¹²⁸ times. Stored digests and chains depend on it, so it is the same for ever.
///
/// - SeeAlso: Aumasson, Bernstein, "SipHash: a fast short-input PRF" (2012); the wide form is that of the reference
///   implementation (`SIPHASH-2-4-128`).
package struct SipHash: Sendable {
    @usableFromInline var v0: UInt64
    @usableFromInline var v1: UInt64
    @usableFromInline var v2: UInt64
    @usableFromInline var v3: UInt64
    @usableFromInline var wordCount: UInt64 = 0

    @inlinable
    init(key: (UInt64, UInt64), isWide: Bool) {
        v0 = key.0 ^ 0x736f_6d65_7073_6575
        v1 = key.1 ^ 0x646f_7261_6e64_6f6d ^ (isWide ? 0xee : 0)
        v2 = key.0 ^ 0x6c79_6765_6e65_7261
        v3 = key.1 ^ 0x7465_6462_7974_6573
    }

    /// The 64-bit hash of the words that `body` adds.
    @inlinable
    package static func hash64(key: (UInt64, UInt64), _ body: (inout SipHash) -> Void) -> UInt64 {
        var hash = SipHash(key: key, isWide: false)
        body(&hash)
        hash.absorb(hash.wordCount << 59)
        hash.v2 ^= 0xff
        return hash.squeeze()
    }

    /// The 128-bit hash of the words that `body` adds; its low half comes first in the reference's bytes.
    @inlinable
    package static func hash128(key: (UInt64, UInt64), _ body: (inout SipHash) -> Void) -> UInt128 {
        var hash = SipHash(key: key, isWide: true)
        body(&hash)
        hash.absorb(hash.wordCount << 59)
        hash.v2 ^= 0xee
        let low = hash.squeeze()
        hash.v1 ^= 0xdd
        return UInt128(hash.squeeze()) << 64 | UInt128(low)
    }

    @inlinable
    package mutating func add(_ word: UInt64) {
        wordCount += 1
        absorb(word)
    }

    @inlinable
    mutating func absorb(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    @inlinable
    mutating func squeeze() -> UInt64 {
        for _ in 0..<4 { round() }
        return v0 ^ v1 ^ v2 ^ v3
    }

    @inlinable
    mutating func round() {
        v0 &+= v1
        v1 = Self.rotate(v1, 13) ^ v0
        v0 = Self.rotate(v0, 32)
        v2 &+= v3
        v3 = Self.rotate(v3, 16) ^ v2
        v0 &+= v3
        v3 = Self.rotate(v3, 21) ^ v0
        v2 &+= v1
        v1 = Self.rotate(v1, 17) ^ v2
        v2 = Self.rotate(v2, 32)
    }

    @inlinable
    static func rotate(_ value: UInt64, _ count: UInt64) -> UInt64 { value << count | value >> (64 - count) }
}
