/// What a reader met in bytes that do not hold what they should.
@usableFromInline
package enum BinaryCodingError: Error, Hashable, Sendable {
    /// A field of `wanted` bytes at `offset` where only `available` are left.
    case truncated(offset: Int, wanted: Int, available: Int)
    case invalidText(offset: Int)
    /// Bytes behind the last field.
    case trailingBytes(count: Int)
    /// A field holds a value that the format does not know.
    case invalidValue(field: String, offset: Int)
}

extension BinaryCodingError: CustomStringConvertible {
    @usableFromInline
    package var description: String {
        switch self {
        case .truncated(let offset, let wanted, let available):
            "\(wanted) bytes are wanted at offset \(offset) and \(available) are there"
        case .invalidText(let offset): "the text at offset \(offset) is not UTF-8"
        case .trailingBytes(let count): "\(count) bytes follow the last field"
        case .invalidValue(let field, let offset): "the \(field) at offset \(offset) has a value that is not known"
        }
    }
}

/// Reads little-endian fields in order; never past the end, whatever the bytes say.
///
/// Inlinable: a reader of records that is called across modules for each number takes five times as long.
@usableFromInline
@safe
package struct ByteReader: ~Copyable {
    @usableFromInline
    let bytes: UnsafeRawBufferPointer
    @usableFromInline
    var nextOffset = 0

    /// - Parameter bytes: valid for as long as the reader is used.
    @inlinable
    package init(_ bytes: UnsafeRawBufferPointer) {
        unsafe self.bytes = unsafe bytes
    }

    /// Of the next field.
    @inlinable
    package var offset: Int { nextOffset }

    @inlinable
    package var remainingByteCount: Int { unsafe bytes.count - offset }

    @inlinable
    package mutating func read<Value: FixedWidthInteger>(
        _ type: Value.Type = Value.self
    ) throws(BinaryCodingError) -> Value {
        let byteCount = MemoryLayout<Value>.size
        try require(byteCount)
        defer { nextOffset += byteCount }
        return Value(littleEndian: unsafe bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
    }

    @inlinable
    package mutating func readFloat() throws(BinaryCodingError) -> Float {
        Float(bitPattern: try read(UInt32.self))
    }

    @inlinable
    package mutating func readDouble() throws(BinaryCodingError) -> Double {
        Double(bitPattern: try read(UInt64.self))
    }

    /// `count` floats; the count is checked against the bytes that are there before anything is allocated.
    package mutating func readFloats(count: Int) throws(BinaryCodingError) -> [Float] {
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: 4)
        try require(overflow || count < 0 ? Int.max : byteCount)
        var values: [Float] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try readFloat()) }
        return values
    }

    package mutating func readBytes(count: Int) throws(BinaryCodingError) -> [UInt8] {
        try require(count)
        defer { nextOffset += count }
        return unsafe Array(bytes[offset..<offset + count])
    }

    /// A count of 32 bits of what takes at least `leastByteCount` bytes each, checked against the bytes that are there
    /// before anything is allocated.
    package mutating func readCount(leastByteCount: Int) throws(BinaryCodingError) -> Int {
        let start = offset
        let count = Int(try read(UInt32.self))
        guard count <= remainingByteCount / leastByteCount else { throw .invalidValue(field: "count", offset: start) }
        return count
    }

    /// A count of 16 bits, then UTF-8.
    package mutating func readString() throws(BinaryCodingError) -> String {
        let byteCount = Int(try read(UInt16.self))
        let start = offset
        try require(byteCount)
        defer { nextOffset += byteCount }
        guard let text = unsafe String(validating: bytes[offset..<offset + byteCount], as: UTF8.self) else {
            throw .invalidText(offset: start)
        }
        return text
    }

    /// The bytes of a text as ``readString()`` reads it, in place and not checked to be UTF-8.
    @inlinable
    package mutating func readTextBytes() throws(BinaryCodingError) -> UnsafeRawBufferPointer {
        let byteCount = Int(try read(UInt16.self))
        try require(byteCount)
        defer { nextOffset += byteCount }
        return unsafe UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + byteCount])
    }

    @inlinable
    package mutating func skip(byteCount: Int) throws(BinaryCodingError) {
        try require(byteCount)
        nextOffset += byteCount
    }

    /// Ends reading; bytes that are left are an error.
    @inlinable
    package consuming func finish() throws(BinaryCodingError) {
        if remainingByteCount > 0 { throw .trailingBytes(count: remainingByteCount) }
    }

    @inlinable
    func require(_ byteCount: Int) throws(BinaryCodingError) {
        guard byteCount >= 0, byteCount <= remainingByteCount else {
            throw .truncated(offset: offset, wanted: byteCount, available: remainingByteCount)
        }
    }
}
