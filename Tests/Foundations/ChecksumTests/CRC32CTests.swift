import Checksum
import Testing

/// CRC-32C against published values and against the definition, bit by bit.
struct CRC32CTests {
    /// The check value of the catalogue of CRCs, then RFC 3720, appendix B.4.
    static let published: [(bytes: [UInt8], expected: UInt32)] = [
        (Array("123456789".utf8), 0xE306_9283),
        ([], 0),
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
        ([UInt8](0..<32), 0x46DD_794E),
        ([UInt8]((0..<32).reversed()), 0x113F_DB5C),
    ]

    @Test(arguments: published)
    func publishedVectorsMatch(bytes: [UInt8], expected: UInt32) {
        #expect(bytes.withUnsafeBytes { CRC32C.checksum($0) } == expected)
    }

    /// Lengths around every step of the fast form: 8 bytes, three short streams, three long streams.
    @Test(arguments: [1, 7, 8, 9, 63, 64, 383, 384, 385, 391, 3071, 3072, 3073, 3456, 6144, 10_007])
    func everyLengthAndOffsetMatchesTheDefinition(count: Int) {
        var state: UInt64 = 0x2545_f491_4f6c_dd1d &+ UInt64(count)
        let bytes = (0..<count + 8).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        for offset in 0..<8 {
            let expected = bitwise(bytes[offset..<offset + count])
            let checksum = bytes.withUnsafeBytes {
                CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
            }
            #expect(checksum == expected, "offset \(offset)")
        }
    }

    @Test func extendingByPiecesEqualsTheWhole() {
        let bytes = (0..<9000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 / 7) }
        let whole = bytes.withUnsafeBytes { CRC32C.checksum($0) }
        for cut in [0, 1, 5, 100, 4096, 8999, 9000] {
            let pieces = bytes.withUnsafeBytes { raw in
                let head = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[..<cut]))
                return CRC32C.extend(head, with: UnsafeRawBufferPointer(rebasing: raw[cut...]))
            }
            #expect(pieces == whole, "cut at \(cut)")
        }
    }

    @Test func everySingleBitFlipIsSeen() {
        var bytes = (0..<512).map { UInt8(truncatingIfNeeded: $0) }
        let original = bytes.withUnsafeBytes { CRC32C.checksum($0) }
        for bit in 0..<bytes.count * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(bytes.withUnsafeBytes { CRC32C.checksum($0) } != original)
            bytes[bit / 8] ^= 1 << (bit % 8)
        }
    }

    private func bitwise(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var register = ~UInt32(0)
        for byte in bytes {
            register ^= UInt32(byte)
            for _ in 0..<8 { register = register & 1 == 1 ? register >> 1 ^ 0x82F6_3B78 : register >> 1 }
        }
        return ~register
    }
}
