/// Appends little-endian fields to a byte array: the one way records and codebooks are written.
@usableFromInline
package struct ByteWriter: Sendable {
    @usableFromInline
    package internal(set) var bytes: [UInt8] = []

    package init(reservingByteCount byteCount: Int = 0) {
        bytes.reserveCapacity(byteCount)
    }

    @inlinable
    package mutating func write(_ value: some FixedWidthInteger) {
        unsafe withUnsafeBytes(of: value.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    package mutating func write(_ value: Float) {
        write(value.bitPattern)
    }

    package mutating func write(_ value: Double) {
        write(value.bitPattern)
    }

    package mutating func write(bytes more: some Sequence<UInt8>) {
        bytes.append(contentsOf: more)
    }

    package mutating func write(floats: [Float]) {
        for value in floats { write(value.bitPattern) }
    }

    /// A count of 16 bits, then UTF-8.
    /// - Precondition: at most 65 535 bytes.
    package mutating func write(string: String) {
        let utf8 = Array(string.utf8)
        precondition(utf8.count <= Int(UInt16.max), "string field too long")
        write(UInt16(utf8.count))
        bytes.append(contentsOf: utf8)
    }
}
