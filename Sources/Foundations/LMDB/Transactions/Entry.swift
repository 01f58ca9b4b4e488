/// A key and its value where a cursor stands, in the map itself.
///
/// Both buffers are valid until the transaction ends, and in a write transaction only until its next change.
/// Values of about 2 KiB and more start 16 bytes into a page; smaller ones are not aligned at all.
@usableFromInline
@unsafe
package struct Entry {
    package let key: UnsafeRawBufferPointer
    package let value: UnsafeRawBufferPointer
    let usesIntegerKeys: Bool

    /// The key as a number, `nil` if it has not the 8 bytes of one.
    package var uint64Key: UInt64? {
        guard unsafe key.count == 8 else { return nil }
        let stored = unsafe key.loadUnaligned(as: UInt64.self)
        return unsafe usesIntegerKeys ? stored : UInt64(bigEndian: stored)
    }

    /// The key as a number, `nil` if it has not the bytes of one or the number is larger.
    package var uint32Key: UInt32? {
        if unsafe usesIntegerKeys {
            return unsafe uint64Key.flatMap { UInt32(exactly: $0) }
        }
        return unsafe key.count == 4 ? UInt32(bigEndian: key.loadUnaligned(as: UInt32.self)) : nil
    }
}

/// What an iteration does after an entry.
package enum Step: Sendable {
    case next
    case stop
}
