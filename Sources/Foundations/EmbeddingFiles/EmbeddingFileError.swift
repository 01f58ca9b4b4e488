import Glibc

/// What can be wrong with a file of embeddings or labels; its description is one sentence for the person at the
/// terminal.
///
/// Files are the outside world: every fault is thrown, none traps. `path` is the file as the caller named it; for an
/// entry of an archive it is followed by the entry's name in parentheses.
package enum EmbeddingFileError: Error, Equatable, Sendable {
    case cannotOpen(path: String, errno: Int32)
    case notARegularFile(path: String)
    case readFailed(path: String, errno: Int32)
    /// It ended before the size that it had when it was opened.
    case shortened(path: String)
    case writeFailed(path: String, errno: Int32)
    case emptyFile(path: String)
    case noRows(path: String)
    case unknownFormat(path: String)
    case notNpy(path: String, looksLikeText: Bool)
    case unsupportedNpyVersion(path: String, major: Int, minor: Int)
    case headerTooLong(path: String, byteCount: Int, limitBytes: Int)
    case headerTruncated(path: String, promisedBytes: Int, presentBytes: Int)
    case malformedHeader(path: String, reason: String)
    case fortranOrder(path: String)
    case bigEndian(path: String, type: String)
    case unsupportedType(path: String, type: String, supported: String)
    case wrongRank(path: String, shape: [Int])
    case wrongLabelRank(path: String, shape: [Int])
    case dimensionOutOfRange(path: String, dimension: Int, limit: Int)
    case truncated(path: String, promisedRows: Int, presentBytes: UInt64, rowBytes: Int)
    case trailingBytes(path: String, promisedRows: Int, extraBytes: UInt64)
    case rowDimensionChanged(path: String, row: Int, dimension: Int, expected: Int)
    case noEmbedding(path: String, rowsTried: Int, firstReason: String?)
    case malformedArchive(path: String, reason: String)
    case memberMissing(path: String, member: String, available: [String])
    case ambiguousMember(path: String, available: [String])
    case unsupportedCompression(path: String, method: Int)
    case encryptedMember(path: String)
    case corruptDeflate(path: String, reason: String)
    case checksumMismatch(path: String, stored: UInt32, computed: UInt32)
    case rowOutOfRange(path: String, row: Int, rowCount: Int)
    case labelCountMismatch(path: String, labels: Int, rows: Int)
    case labelTooLong(path: String, row: Int, limitBytes: Int)
    case labelNotText(path: String, row: Int)
}

extension EmbeddingFileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotOpen(let path, let errno):
            "\(path) cannot be opened: \(Self.reason(errno)); check the path and its permissions"
        case .notARegularFile(let path):
            "\(path) is not a regular file; name a file of embeddings or labels"
        case .readFailed(let path, let errno):
            "\(path) could not be read to its end: \(Self.reason(errno))"
        case .shortened(let path):
            "\(path) became shorter while it was read; read it again when nothing writes to it any more"
        case .writeFailed(let path, let errno):
            "\(path) could not be written: \(Self.reason(errno)); check the free space and the folder's permissions"
        case .emptyFile(let path):
            "\(path) is empty (0 bytes); write it again"
        case .noRows(let path):
            "\(path) holds no rows; check what wrote it"
        case .unknownFormat(let path):
            "\(path) is not recognised as .npy, .npz, .fvecs or JSON Lines; convert it or name its format"
        case .notNpy(let path, let looksLikeText):
            looksLikeText
                ? "\(path) is a text file, not a .npy array; write it with numpy.save, or import JSON Lines"
                : "\(path) does not begin as a .npy array does; write it with numpy.save"
        case .unsupportedNpyVersion(let path, let major, let minor):
            "\(path) is a .npy array of version \(major).\(minor); versions 1.0, 2.0 and 3.0 are read"
        case .headerTooLong(let path, let byteCount, let limitBytes):
            "\(path) promises a header of \(byteCount) bytes, more than the \(limitBytes) that are read; write it again"
        case .headerTruncated(let path, let promisedBytes, let presentBytes):
            "\(path) ends inside its header: \(promisedBytes) bytes promised, \(presentBytes) there; copy it again"
        case .malformedHeader(let path, let reason):
            "\(path) has a .npy header that cannot be understood: \(reason); write it with numpy.save"
        case .fortranOrder(let path):
            "\(path) is in Fortran order (by columns); save numpy.ascontiguousarray(array) instead"
        case .bigEndian(let path, let type):
            "\(path) holds big-endian numbers (\(type)); save array.astype('<f4') instead"
        case .unsupportedType(let path, let type, let supported):
            "\(path) holds numbers of type \(type); supported here: \(supported)"
        case .wrongRank(let path, let shape):
            "\(path) has shape (\(shape.map(String.init).joined(separator: ", "))); rows × dimension is expected"
        case .wrongLabelRank(let path, let shape):
            "\(path) has shape (\(shape.map(String.init).joined(separator: ", "))); one label for each row is expected"
        case .dimensionOutOfRange(let path, let dimension, let limit):
            "\(path) has rows of \(dimension) numbers; 1 to \(limit) are supported"
        case .truncated(let path, let promisedRows, let presentBytes, let rowBytes):
            "\(path) is truncated: \(promisedRows) rows of \(rowBytes) bytes promised, \(presentBytes) bytes "
                + "(\(presentBytes / UInt64(max(1, rowBytes))) whole rows) there; copy it again"
        case .trailingBytes(let path, let promisedRows, let extraBytes):
            "\(path) has \(extraBytes) bytes after the \(promisedRows) rows that its header promises; write it again"
        case .rowDimensionChanged(let path, let row, let dimension, let expected):
            "\(path) row \(row) has dimension \(dimension) where \(expected) was expected; all rows must be alike"
        case .noEmbedding(let path, let rowsTried, let firstReason):
            "\(path) has no row that can be used (\(rowsTried) read)"
                + (firstReason.map { "; first fault: \($0)" } ?? "")
        case .malformedArchive(let path, let reason):
            "\(path) is not a whole .npz archive: \(reason); write it with numpy.savez"
        case .memberMissing(let path, let member, let available):
            "\(path) has no array named \(member); it has \(Self.list(available))"
        case .ambiguousMember(let path, let available):
            "\(path) has several arrays (\(Self.list(available))); name one of them"
        case .unsupportedCompression(let path, let method):
            "\(path) is compressed by method \(method); stored (0) and deflated (8) entries are read"
        case .encryptedMember(let path):
            "\(path) is encrypted; write it without a password"
        case .corruptDeflate(let path, let reason):
            "\(path) has damaged compressed data: \(reason); copy it again"
        case .checksumMismatch(let path, let stored, let computed):
            "\(path) is damaged: its CRC-32 is \(Self.hexadecimal(computed)), "
                + "the archive says \(Self.hexadecimal(stored)); copy it again"
        case .rowOutOfRange(let path, let row, let rowCount):
            "\(path) has \(rowCount) rows; row \(row) cannot be reached"
        case .labelCountMismatch(let path, let labels, let rows):
            "\(path) has \(labels) labels for \(rows) embeddings; there must be one for each row"
        case .labelTooLong(let path, let row, let limitBytes):
            "\(path) row \(row) is longer than \(limitBytes) bytes; shorten it"
        case .labelNotText(let path, let row):
            "\(path) row \(row) is not UTF-8 text; write the file again as UTF-8"
        }
    }

    private static func reason(_ errno: Int32) -> String {
        guard let text = unsafe strerror(errno) else { return "error \(errno)" }
        return unsafe String(cString: text).lowercased()
    }

    private static func list(_ names: [String]) -> String {
        guard !names.isEmpty else { return "no array" }
        return names.prefix(8).joined(separator: ", ") + (names.count > 8 ? " and \(names.count - 8) more" : "")
    }

    private static func hexadecimal(_ value: UInt32) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 8 - digits.count) + digits
    }
}
