/// A value that can stand as a key: its bytes, in an order that sorts as the value does.
///
/// Conform composite keys by writing their parts big-endian, one after the other, into a fixed-size buffer.
@usableFromInline
package protocol Key {
    /// Gives `body` the key's bytes (1 to 511); they are valid during the call only.
    func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R
}

/// Big-endian, so that byte order is numeric order; a table of integer keys stores it in native order instead.
extension UInt32: Key {
    @inlinable
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe withUnsafeBytes(of: bigEndian, body)
    }
}

/// Big-endian, so that byte order is numeric order; a table of integer keys stores it in native order instead.
extension UInt64: Key {
    @inlinable
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe withUnsafeBytes(of: bigEndian, body)
    }
}

/// The bytes as they are.
extension UnsafeRawBufferPointer: @unsafe Key {
    @inlinable
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe body(self)
    }
}

/// The bytes as they are.
extension [UInt8]: Key {
    @inlinable
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe span.bytes.withUnsafeBytes(body)
    }
}

/// The UTF-8 bytes; order is by code point, and canonically equal spellings are different keys.
extension String: Key {
    @inlinable
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe utf8.span.bytes.withUnsafeBytes(body)
    }
}

/// The UTF-8 bytes, without copying.
extension StaticString: Key {
    @inlinable
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        precondition(hasPointerRepresentation, "a single-scalar StaticString is no key")
        return try unsafe body(UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount))
    }
}
