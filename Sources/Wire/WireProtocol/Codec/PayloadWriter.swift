package import FaceModel
package import NIOCore

#if !_endian(little)
#error("the wire's float rows are copied as they lie in memory, which must be little-endian")
#endif

/// Appends fields to one payload.
///
/// Never traps on a value that comes from a caller: a string too long for the wire is noted in ``failure``.
package struct PayloadWriter {
    package private(set) var buffer: ByteBuffer
    /// The first field that the wire cannot carry.
    package private(set) var failure: WireStatus?
    private let start: Int
    private let laterFields: Bool

    /// - Parameters:
    ///   - reservedByteCount: zeros that stand before the payload, for its header.
    ///   - laterFields: whether the peer takes fields that came after the first revision of version 1.
    package init(_ buffer: ByteBuffer, reservedByteCount: Int = 0, laterFields: Bool = true) {
        self.buffer = buffer
        self.laterFields = laterFields
        self.buffer.writeRepeatingByte(0, count: reservedByteCount)
        start = self.buffer.writerIndex
    }

    package var payloadByteCount: Int { buffer.writerIndex - start }

    /// Hands over the buffer, of which the writer keeps nothing: whoever changes a byte of one that has two owners
    /// copies all of it first.
    package mutating func take() -> ByteBuffer {
        var taken = ByteBuffer()
        swap(&taken, &buffer)
        return taken
    }

    /// Fields that a message got at its end after the first revision of version 1, the last that are written.
    ///
    /// - SeeAlso: ``PayloadReader/later(_:_:)``.
    package mutating func later(_ write: (inout PayloadWriter) -> Void) {
        if laterFields { write(&self) }
    }

    package mutating func integer(_ value: some FixedWidthInteger) {
        buffer.writeInteger(value, endianness: .little)
    }

    /// A count or size, as 32 bits; a value beyond them becomes the nearest, which the reader's limits refuse.
    package mutating func count(_ value: Int) {
        integer(UInt32(clamping: value))
    }

    package mutating func flag(_ value: Bool) {
        integer(value ? 1 : 0 as UInt8)
    }

    package mutating func float(_ value: Float) {
        integer(value.bitPattern)
    }

    package mutating func double(_ value: Double) {
        integer(value.bitPattern)
    }

    /// Sixteen bytes, most significant first, as in a UUID.
    package mutating func identity(high: UInt64, low: UInt64) {
        buffer.writeInteger(high, endianness: .big)
        buffer.writeInteger(low, endianness: .big)
    }

    /// Byte count as 16 bits, then UTF-8.
    package mutating func string(_ value: String, _ field: String) {
        let byteCount = value.utf8.count
        guard let prefix = UInt16(exactly: byteCount) else {
            fail("\(field) of \(byteCount) bytes is too long: a string on the wire has at most 65535")
            return
        }
        integer(prefix)
        buffer.writeString(value)
    }

    /// Byte count as 32 bits, then the bytes.
    package mutating func bytes(_ value: [UInt8]) {
        count(value.count)
        buffer.writeBytes(value)
    }

    package mutating func fixedBytes(_ value: [UInt8]) {
        buffer.writeBytes(value)
    }

    /// 1 and the value, or 0.
    package mutating func optional<T>(_ value: T?, _ write: (inout PayloadWriter, T) -> Void) {
        flag(value != nil)
        if let value { write(&self, value) }
    }

    package mutating func optional(_ value: (some WireValue)?) {
        optional(value) { writer, value in value.encode(into: &writer) }
    }

    /// Count as 32 bits, then the elements.
    package mutating func array(_ values: [some WireValue]) {
        count(values.count)
        for value in values { value.encode(into: &self) }
    }

    /// Indices of shards.
    package mutating func indices(_ values: [UInt32]) {
        count(values.count)
        for value in values { integer(value) }
    }

    package mutating func zeros(_ count: Int) {
        buffer.writeRepeatingByte(0, count: count)
    }

    /// Zeros up to the next multiple of four from the payload's beginning.
    package mutating func align() {
        zeros(-payloadByteCount & 3)
    }

    /// Components of float32, from a multiple of four.
    package mutating func floats(_ values: [Float]) {
        align()
        unsafe values.withUnsafeBytes { _ = unsafe buffer.writeBytes($0) }
    }

    /// Dimension, row count, rows.
    package mutating func matrix(_ value: EmbeddingMatrix) {
        count(value.dimension)
        count(value.rowCount)
        floats(value.values)
    }

    private mutating func fail(_ sentence: String) {
        if failure == nil { failure = WireStatus(.limitExceeded, sentence) }
    }
}
