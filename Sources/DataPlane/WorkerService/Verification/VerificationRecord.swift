package import FaceModel

/// When all of a replica's partition was last read and found sound: a small file beside it, so that a worker that
/// starts anew goes on with those whose turn it is.
package enum VerificationRecord {
    static let kind = "mien-verified"
    static let format: UInt32 = 1

    static func write(_ time: Timestamp, to path: String) throws(WorkerError) {
        let fields = ["milliseconds": "\(time.milliseconds)"]
        try DurableFile.write(RecordText(kind: kind, format: format, fields: fields).encoded, to: path)
    }

    /// - Returns: nil when the file is missing or cannot be read: then the partition's turn is now.
    package static func read(from path: String) -> Timestamp? {
        do throws(WorkerError) {
            guard let bytes = try DurableFile.read(path, limit: RecordText.byteLimit) else { return nil }
            let text = try RecordText(decoding: bytes, kind: kind, supportedFormat: format, path: path)
            return text.fields["milliseconds"].flatMap { Int64($0) }.map { Timestamp(milliseconds: $0) }
        } catch {
            return nil
        }
    }
}
