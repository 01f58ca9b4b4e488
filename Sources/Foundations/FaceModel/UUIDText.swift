/// The textual form of 128-bit identities (RFC 9562), shared by every identity type of Mien.
package enum UUIDText {
    private static let digits: [UInt8] = Array("0123456789abcdef".utf8)
    private static let hyphenOffsets: Set<Int> = [8, 13, 18, 23]

    /// Lower-case 8-4-4-4-12 form.
    package static func format(high: UInt64, low: UInt64) -> String {
        var text: [UInt8] = []
        text.reserveCapacity(36)
        for nibble in 0..<32 {
            if nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20 { text.append(UInt8(ascii: "-")) }
            let word = nibble < 16 ? high : low
            text.append(digits[Int((word >> UInt64(60 - 4 * (nibble & 15))) & 0xf)])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// The value of a canonical UUID text in either case; nil when the text is not one.
    package static func parse(_ text: some StringProtocol) -> (high: UInt64, low: UInt64)? {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        var words: (high: UInt64, low: UInt64) = (0, 0)
        var nibbleCount = 0
        for (offset, byte) in bytes.enumerated() {
            if hyphenOffsets.contains(offset) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            let value: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            if nibbleCount < 16 {
                words.high = words.high << 4 | UInt64(value)
            } else {
                words.low = words.low << 4 | UInt64(value)
            }
            nibbleCount += 1
        }
        return words
    }

    /// A random version 4 value.
    package static func random() -> (high: UInt64, low: UInt64) {
        let high = UInt64.random(in: .min ... .max) & 0xffff_ffff_ffff_0fff | 0x4000
        let low = UInt64.random(in: .min ... .max) & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
        return (high, low)
    }
}
