/// A way by which bytes from a network or a disk come into the program.
///
/// Whatever the bytes, they are accepted or refused: no trap, no read past the end, no memory for a count that they
/// only claim, and what was accepted is the same after it was written and read again.
package struct FuzzTarget: Sendable {
    /// As people call it.
    package let name: String
    /// Bytes that are accepted: where mutation begins.
    package let seeds: @Sendable () throws -> [[UInt8]]
    /// Whether the bytes are accepted; traps when a promise is broken.
    package let accepts: @Sendable ([UInt8]) -> Bool

    package static let all = [
        wire, clusterRecords, partitionRecords, logEntries, codebooks, embeddingFiles, labelFiles, configuration,
        recordText, backups, objectListings, adminRequests, etcdAnswers, loadReports,
    ]

    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }
}

/// What makes the bytes of a checksum right, so that what lies behind it is reached.
func replaceNumber(_ bytes: inout [UInt8], at offset: Int, with value: UInt32) {
    for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
}

/// A little-endian number of 32 bits.
func number(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
}
