/// Which copy comes to a replica: a small file beside what has come of it, so that a worker that starts anew can go on
/// where it was.
///
/// How much has come is the length of the copy's own file. What a power cut took of that, or put into it, is found by
/// the copy's digest at the end.
package struct IncomingCopyRecord: Equatable {
    static let kind = "mien-incoming"
    static let format: UInt32 = 1

    package var copy: UInt64
    package var totalByteCount: UInt64

    static func path(in folder: String) -> String { "\(folder)/copy" }

    func write(in folder: String) throws(WorkerError) {
        let fields = ["copy": "\(copy)", "bytes": "\(totalByteCount)"]
        try DurableFile.write(
            RecordText(kind: Self.kind, format: Self.format, fields: fields).encoded,
            to: Self.path(in: folder)
        )
    }

    /// - Returns: nil when the file is missing or cannot be read: then the copy begins anew.
    package static func read(in folder: String) -> IncomingCopyRecord? {
        let path = path(in: folder)
        do throws(WorkerError) {
            guard let bytes = try DurableFile.read(path, limit: RecordText.byteLimit) else { return nil }
            let text = try RecordText(decoding: bytes, kind: kind, supportedFormat: format, path: path)
            guard let copy = text.fields["copy"].flatMap({ UInt64($0) }),
                let total = text.fields["bytes"].flatMap({ UInt64($0) })
            else { return nil }
            return IncomingCopyRecord(copy: copy, totalByteCount: total)
        } catch {
            return nil
        }
    }

    /// Bytes that have yet to come; 0 where none does.
    static func awaitedByteCount(in folder: String) -> UInt64 {
        guard let total = read(in: folder)?.totalByteCount else { return 0 }
        return total - min(total, DurableFile.partitionByteCount(at: folder))
    }
}
