internal import Checksum
package import FaceModel
internal import LMDB

/// Keys of the `meta` table.
package enum MetaKey {
    package static let identity: StaticString = "identity"
    package static let state: StaticString = "state"
    package static let digest: StaticString = "digest"
    package static let codebook: StaticString = "codebook"
    package static let olderCodebook: StaticString = "olderCodebook"
    package static let recoding: StaticString = "recoding"
    package static let looseRuns: StaticString = "looseRuns"
    package static let intake: StaticString = "intake"
    /// There while faces of a backup are being put back.
    package static let restoration: StaticString = "restoration"
    /// There once all of them have been: see ``RestorationEndRecord``.
    package static let restorationEnd: StaticString = "restorationEnd"
    /// Time of the newest erasure that was forgotten.
    package static let forgottenErasures: StaticString = "forgottenErasures"
    /// When receipts were kept.
    package static let receiptTimes: StaticString = "receiptTimes"
    /// Since when there are bytes of embeddings that belong to no face any more.
    package static let remnants: StaticString = "remnants"
}

/// The 16 bytes of an id, most significant first.
extension FaceID: Key {
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe withUnsafeBytes(of: (high.bigEndian, low.bigEndian), body)
    }

    /// Reads the 16 bytes; nil for another count.
    package init?(keyBytes bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            low: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }
}

/// The 16 bytes of a write's key, most significant first.
extension IdempotencyKey: Key {
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe withUnsafeBytes(of: (high.bigEndian, low.bigEndian), body)
    }
}

extension IdempotencyKey {
    /// Reads the 16 bytes; nil for another count.
    package init?(keyBytes bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 16 else { return nil }
        self.init(
            high: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            low: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }
}

extension IdempotencyKey {
    /// The key under which a shard does the rest of a write that it has the receipt of a part of: rows of a shard that
    /// had not been sent them when it became one with another. The same on every replica, and for ever.
    ///
    /// SipHash-2-4-128 of the key, as two words, keyed by "mien key" and "the rest" in ASCII.
    package var ofRest: IdempotencyKey {
        let hash = SipHash.hash128(key: (0x6d69_656e_206b_6579, 0x7468_6520_7265_7374)) { hash in
            hash.add(high)
            hash.add(low)
        }
        return IdempotencyKey(high: UInt64(hash >> 64), low: UInt64(truncatingIfNeeded: hash))
    }
}

/// Run and chunk, each 4 bytes, big-endian.
package struct CodeChunkKey: Key, Hashable, Sendable {
    package let run: UInt32
    package let chunk: UInt32

    package init(run: UInt32, chunk: UInt32) {
        self.run = run
        self.chunk = chunk
    }

    package var number: UInt64 { UInt64(run) << 32 | UInt64(chunk) }

    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        try unsafe number.withKeyBytes(body)
    }
}

/// Moment (8 bytes, sign bit flipped so that bytes sort as time) and row id (4 bytes), big-endian.
package struct ExpiryKey: Key, Hashable, Sendable {
    package let expires: Timestamp
    package let row: UInt32

    package init(expires: Timestamp, row: UInt32) {
        self.expires = expires
        self.row = row
    }

    /// Reads the 12 bytes; nil for another count.
    package init?(keyBytes bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 12 else { return nil }
        let moment = unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
        expires = Timestamp(milliseconds: Int64(bitPattern: moment ^ 1 << 63))
        row = unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
    }

    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        let moment = UInt64(bitPattern: expires.milliseconds) ^ 1 << 63
        var bytes: [UInt8] = []
        unsafe withUnsafeBytes(of: moment.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        unsafe withUnsafeBytes(of: row.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        return try unsafe bytes.withKeyBytes(body)
    }
}

/// In the order of their bytes.
extension ExpiryKey: Comparable {
    package static func < (left: ExpiryKey, right: ExpiryKey) -> Bool {
        (left.expires, left.row) < (right.expires, right.row)
    }
}

/// Sequence (8 bytes) and number (4 bytes), big-endian.
extension ErasurePosition: Key {
    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        var bytes: [UInt8] = []
        unsafe withUnsafeBytes(of: sequence.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        unsafe withUnsafeBytes(of: index.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        return try unsafe bytes.withKeyBytes(body)
    }

    /// Reads the 12 bytes; nil for another count.
    package init?(keyBytes bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 12 else { return nil }
        self.init(
            sequence: unsafe UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
            index: unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        )
    }
}

/// The UTF-8 of a name, a zero byte and a row id (4 bytes, big-endian): the rows of one name lie together, ascending.
///
/// Names have no control characters, so the zero byte ends them.
package struct NameKey: Key, Hashable, Sendable {
    package let name: [UInt8]
    package let row: UInt32

    package init(name: [UInt8], row: UInt32) {
        self.name = name
        self.row = row
    }

    package init(name: String, row: UInt32) {
        self.init(name: Array(name.utf8), row: row)
    }

    package func withKeyBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        var bytes = name
        bytes.append(0)
        unsafe withUnsafeBytes(of: row.bigEndian) { unsafe bytes.append(contentsOf: $0) }
        return try unsafe bytes.withKeyBytes(body)
    }

    /// The row, when the bytes are a key of this name; nil when they are of another.
    func row(inKeyBytes bytes: UnsafeRawBufferPointer) -> UInt32? {
        guard bytes.count == name.count + 5, unsafe bytes[name.count] == 0,
            unsafe bytes.prefix(name.count).elementsEqual(name)
        else { return nil }
        return unsafe UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: name.count + 1, as: UInt32.self))
    }
}
