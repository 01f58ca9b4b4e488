/// What is wrong with the bytes of a log entry, wherever they came from.
package enum LogEntryError: Error, Hashable, Sendable {
    case checksumMismatch
    /// The bytes do not hold what the format says.
    case malformed(reason: String)
    /// More bytes than an entry may have.
    case tooLarge(byteCount: Int)
}

extension LogEntryError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .checksumMismatch: "a log entry fails its checksum"
        case .malformed(let reason): "a log entry is malformed (\(reason))"
        case .tooLarge(let byteCount):
            "a log entry of \(byteCount) bytes is more than the limit of \(LogEntry.byteLimit); send smaller batches"
        }
    }
}
