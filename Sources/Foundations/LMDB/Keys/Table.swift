import CLMDB

/// A named key space of one opening of an environment: what every read and write names.
///
/// Valid until that environment is closed; using it with another environment, or after a reopening, is a bug and traps.
@usableFromInline
package struct Table: Sendable, Hashable {
    /// LMDB's compiled-in limit.
    package static let maxKeyByteCount = 511
    package static let maxValueByteCount = 0xFFFF_FFFF

    let handle: UInt32
    let environmentNumber: UInt64
    /// Keys are 8-byte integers in native order and compare as numbers; else keys compare as bytes.
    package let usesIntegerKeys: Bool

    /// Gives `body` the key as LMDB stores it.
    ///
    /// - Parameter key: 1 to 511 bytes; big-endian and 4 or 8 bytes if the table uses integer keys (else a bug).
    func withStoredKey<R>(
        _ key: UnsafeRawBufferPointer,
        _ body: (inout MDB_val) -> R
    ) throws(LMDBError) -> R {
        guard !usesIntegerKeys else {
            var number: UInt64
            switch key.count {
            case 8: number = unsafe UInt64(bigEndian: key.loadUnaligned(as: UInt64.self))
            case 4: number = unsafe UInt64(UInt32(bigEndian: key.loadUnaligned(as: UInt32.self)))
            default: preconditionFailure("a table of integer keys was given a key that is not an integer")
            }
            return unsafe withUnsafeMutableBytes(of: &number) { bytes in
                var stored = unsafe MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
                return unsafe body(&stored)
            }
        }
        let count = key.count
        guard count > 0 else { throw .keyEmpty }
        guard count <= Self.maxKeyByteCount else { throw .keyTooLong(byteCount: count) }
        var stored = unsafe MDB_val(mv_size: count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        return unsafe body(&stored)
    }
}
