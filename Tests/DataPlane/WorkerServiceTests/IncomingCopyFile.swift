import Foundation
import WorkerService

/// What is on the disk of a copy that comes, as a worker leaves it.
enum IncomingCopyFile {
    /// - Parameter presentByteCount: of what has come of it.
    static func begin(in folder: String, byteCount: UInt64, presentByteCount: Int = 0) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let record = RecordText(kind: "mien-incoming", format: 1, fields: ["copy": "9", "bytes": "\(byteCount)"])
        try Data(record.encoded).write(to: URL(fileURLWithPath: "\(folder)/copy"))
        if presentByteCount > 0 { try write(presentByteCount, in: folder) }
    }

    /// The partition's file, as long as it is by now.
    static func write(_ byteCount: Int, in folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(count: byteCount).write(to: URL(fileURLWithPath: "\(folder)/data.mdb"))
    }
}
