package import FaceModel
package import NIOCore

/// Takes fields off one payload. Every length is checked against what is there before memory is taken for it.
package struct PayloadReader {
    private var buffer: ByteBuffer
    private let start: Int
    /// What the receiving side granted.
    package let limits: WireLimits

    package init(_ payload: ByteBuffer, limits: WireLimits) {
        buffer = payload
        start = payload.readerIndex
        self.limits = limits
    }

    package var remainingByteCount: Int { buffer.readableBytes }

    /// - Throws: when bytes are left.
    package func finish() throws(WireDecodingError) {
        if buffer.readableBytes > 0 { throw .trailingBytes(count: buffer.readableBytes) }
    }

    /// Fields that a message got at its end after the first revision of version 1: from a peer that does not know them
    /// they are what it means without them.
    package mutating func later<T>(
        _ absent: T,
        _ read: (inout PayloadReader) throws(WireDecodingError) -> T
    ) throws(WireDecodingError) -> T {
        buffer.readableBytes == 0 ? absent : try read(&self)
    }

    package mutating func integer<T: FixedWidthInteger>(_ field: String) throws(WireDecodingError) -> T {
        guard let value = buffer.readInteger(endianness: .little, as: T.self) else {
            throw .truncated(field: field, needed: T.bitWidth / 8, available: buffer.readableBytes)
        }
        return value
    }

    /// A 32-bit number in a range, as an `Int`.
    package mutating func count(_ field: String, in range: ClosedRange<Int>) throws(WireDecodingError) -> Int {
        let value = Int(try integer(field) as UInt32)
        guard range.contains(value) else { throw .outOfRange(field: field, value: value, range: range) }
        return value
    }

    /// How many faces, rows or bytes there are, which is added to what others say.
    ///
    /// - Parameter limit: of ``AmountLimit``.
    mutating func amount(_ field: String, limit: UInt64) throws(WireDecodingError) -> UInt64 {
        let value: UInt64 = try integer(field)
        guard value <= limit else { throw .invalid(field: field, rule: "no shard has more than \(limit)") }
        return value
    }

    package mutating func flag(_ field: String) throws(WireDecodingError) -> Bool {
        switch try integer(field) as UInt8 {
        case 0: return false
        case 1: return true
        case let value: throw .unknownValue(field: field, value: UInt64(value))
        }
    }

    package mutating func enumeration<T: RawRepresentable>(_ field: String) throws(WireDecodingError) -> T
    where T.RawValue: FixedWidthInteger & UnsignedInteger {
        let number: T.RawValue = try integer(field)
        guard let value = T(rawValue: number) else { throw .unknownValue(field: field, value: UInt64(number)) }
        return value
    }

    /// Any bit pattern, NaN and infinity too.
    package mutating func float(_ field: String) throws(WireDecodingError) -> Float {
        Float(bitPattern: try integer(field))
    }

    /// A number in a range; NaN is in none.
    package mutating func float(_ field: String, in range: ClosedRange<Float>) throws(WireDecodingError) -> Float {
        let value = try float(field)
        guard range.contains(value) else {
            throw .invalid(field: field, rule: "it must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// A number in a range; NaN is in none.
    package mutating func double(_ field: String, in range: ClosedRange<Double>) throws(WireDecodingError) -> Double {
        let value = Double(bitPattern: try integer(field))
        guard range.contains(value) else {
            throw .invalid(field: field, rule: "it must be from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    package mutating func identity(_ field: String) throws(WireDecodingError) -> (high: UInt64, low: UInt64) {
        guard let (high, low) = buffer.readMultipleIntegers(endianness: .big, as: (UInt64, UInt64).self) else {
            throw .truncated(field: field, needed: 16, available: buffer.readableBytes)
        }
        return (high, low)
    }

    package mutating func string(_ field: String, limit: Int) throws(WireDecodingError) -> String {
        let byteCount = Int(try integer(field) as UInt16)
        guard byteCount <= limit else { throw .limitExceeded(field: "\(field) bytes", count: byteCount, limit: limit) }
        guard let view = buffer.viewBytes(at: buffer.readerIndex, length: byteCount) else {
            throw .truncated(field: field, needed: byteCount, available: buffer.readableBytes)
        }
        guard let value = String(validating: view, as: UTF8.self) else { throw .invalidUTF8(field: field) }
        buffer.moveReaderIndex(forwardBy: byteCount)
        return value
    }

    package mutating func bytes(_ field: String, limit: Int) throws(WireDecodingError) -> [UInt8] {
        let byteCount = Int(try integer(field) as UInt32)
        guard byteCount <= limit else { throw .limitExceeded(field: "\(field) bytes", count: byteCount, limit: limit) }
        return try fixedBytes(field, byteCount: byteCount)
    }

    package mutating func fixedBytes(_ field: String, byteCount: Int) throws(WireDecodingError) -> [UInt8] {
        guard let value = buffer.readBytes(length: byteCount) else {
            throw .truncated(field: field, needed: byteCount, available: buffer.readableBytes)
        }
        return value
    }

    package mutating func optional<T>(
        _ field: String,
        _ read: (inout PayloadReader) throws(WireDecodingError) -> T
    ) throws(WireDecodingError) -> T? {
        try flag(field) ? try read(&self) : nil
    }

    package mutating func optional<T: WireValue>(_ field: String) throws(WireDecodingError) -> T? {
        try flag(field) ? try T(decoding: &self) : nil
    }

    package mutating func array<T: WireValue>(
        _ field: String,
        limit: Int = .max,
        isEmptyAllowed: Bool = true
    ) throws(WireDecodingError) -> [T] {
        let count = try elementCount(
            field,
            leastByteCount: T.leastByteCount,
            limit: limit,
            isEmptyAllowed: isEmptyAllowed
        )
        var values: [T] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try T(decoding: &self)) }
        return values
    }

    /// Indices of shards.
    package mutating func indices(limit: Int = .max) throws(WireDecodingError) -> [UInt32] {
        let count = try elementCount("shard indices", leastByteCount: 4, limit: limit)
        var values: [UInt32] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try integer("shard index")) }
        return values
    }

    /// A 32-bit element count that the rest of the payload can hold.
    package mutating func elementCount(
        _ field: String,
        leastByteCount: Int,
        limit: Int = .max,
        isEmptyAllowed: Bool = true
    ) throws(WireDecodingError) -> Int {
        let count = Int(try integer(field) as UInt32)
        if count > limit { throw .limitExceeded(field: field, count: count, limit: limit) }
        if count == 0 && !isEmptyAllowed { throw .invalid(field: field, rule: "there must be at least one") }
        guard count <= buffer.readableBytes / leastByteCount else {
            throw .truncated(field: field, needed: count * leastByteCount, available: buffer.readableBytes)
        }
        return count
    }

    package mutating func zero(byteCount: Int) throws(WireDecodingError) {
        let offset = buffer.readerIndex - start
        guard let bytes = buffer.readBytes(length: byteCount) else {
            throw .truncated(field: "padding", needed: byteCount, available: buffer.readableBytes)
        }
        guard bytes.allSatisfy({ $0 == 0 }) else { throw .nonZeroPadding(offset: offset) }
    }

    /// Goes past the next bytes if all of them are there and zero; false, and nothing is read, otherwise.
    package mutating func skipZeros(byteCount: Int) -> Bool {
        guard byteCount <= buffer.readableBytes else { return false }
        let end = buffer.readerIndex + byteCount
        var index = buffer.readerIndex
        while index + 8 <= end {
            guard buffer.getInteger(at: index, as: UInt64.self) == 0 else { return false }
            index += 8
        }
        while index < end {
            guard buffer.getInteger(at: index, as: UInt8.self) == 0 else { return false }
            index += 1
        }
        buffer.moveReaderIndex(to: end)
        return true
    }

    /// Skips zeros up to the next multiple of four from the payload's beginning.
    package mutating func align() throws(WireDecodingError) {
        let byteCount = -(buffer.readerIndex - start) & 3
        if byteCount > 0 { try zero(byteCount: byteCount) }
    }

    /// Components of float32, from a multiple of four. Any bit patterns: NaN is refused where rows are.
    package mutating func floats(_ field: String, count: Int) throws(WireDecodingError) -> [Float] {
        try align()
        let (byteCount, isTooMany) = count.multipliedReportingOverflow(by: 4)
        guard !isTooMany, byteCount <= buffer.readableBytes else {
            throw .truncated(field: field, needed: isTooMany ? .max : byteCount, available: buffer.readableBytes)
        }
        let values = unsafe buffer.withUnsafeReadableBytes { source in
            unsafe [Float](unsafeUninitializedCapacity: count) { target, initializedCount in
                unsafe UnsafeMutableRawBufferPointer(target).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: source.prefix(byteCount))
                )
                initializedCount = count
            }
        }
        buffer.moveReaderIndex(forwardBy: byteCount)
        return values
    }

    /// Dimensions that a matrix on the wire may have; whether it is the collection's is for the receiver to say.
    package static let dimensionRange = 1...65_536

    package mutating func matrix(_ field: String, rowLimit: Int = .max) throws(WireDecodingError) -> EmbeddingMatrix {
        let dimension = try count("\(field) dimension", in: Self.dimensionRange)
        let rowCount = Int(try integer("\(field) rows") as UInt32)
        if rowCount > rowLimit { throw .limitExceeded(field: field, count: rowCount, limit: rowLimit) }
        return EmbeddingMatrix(
            dimension: dimension,
            values: try floats(field, count: rowCount * dimension)
        )
    }
}
