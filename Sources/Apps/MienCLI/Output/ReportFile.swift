import Foundation

/// Files that hold a report.
enum ReportFile {
    /// Writes the file whole, or leaves what was there.
    static func write(_ data: Data, to path: String) throws(CommandFailure) {
        do {
            try data.write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure(.fileSystem, "\(path) cannot be written; check the path and its permissions")
        }
    }
}
