extension FixedWidthInteger {
    /// Its bytes, least significant first.
    var littleEndianBytes: [UInt8] {
        (0..<Self.bitWidth / 8).map { UInt8(truncatingIfNeeded: self >> Self($0 * 8)) }
    }

    /// Its bytes, most significant first.
    var bigEndianBytes: [UInt8] { littleEndianBytes.reversed() }

    /// - Precondition: as many bytes as the type has.
    init(bigEndianBytes bytes: some Sequence<UInt8>) {
        self = bytes.reduce(0) { $0 << 8 | Self($1) }
    }

    /// - Precondition: as many bytes as the type has.
    init(littleEndianBytes bytes: some Swift.Collection<UInt8>) {
        self.init(bigEndianBytes: bytes.reversed())
    }
}
