import Checksum
import Testing

/// SipHash-2-4 against the reference implementation: key 00 … 0f, message 00, 01, ….
struct SipHashTests {
    private static let key: (UInt64, UInt64) = (0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908)
    private static let words: [UInt64] = [
        0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908, 0x1716_1514_1312_1110, 0x1f1e_1d1c_1b1a_1918,
        0x2726_2524_2322_2120,
    ]

    @Test(arguments: [(2, 0x3f2a_cc7f_57c2_9bdb as UInt64), (5, 0x0e3e_a96b_5304_a7d0)])
    func hashesOf64BitsAreTheReferences(wordCount: Int, expected: UInt64) {
        let hash = SipHash.hash64(key: Self.key) { hash in
            for word in Self.words.prefix(wordCount) { hash.add(word) }
        }
        #expect(hash == expected)
    }

    @Test(
        arguments: [
            (2, 0xbb54_b067_caa4_e26e as UInt64, 0x7705_2385_bf15_33fd as UInt64),
            (5, 0xad5d_c995_1e30_6adf, 0xd83b_91c6_c80c_ae97),
        ]
    )
    func hashesOf128BitsAreTheReferences(wordCount: Int, low: UInt64, high: UInt64) {
        let hash = SipHash.hash128(key: Self.key) { hash in
            for word in Self.words.prefix(wordCount) { hash.add(word) }
        }
        #expect(hash == UInt128(high) << 64 | UInt128(low))
    }
}
