import EmbeddingFiles
import Glibc

/// Tells of refused rows: the first few on the console, all of them in a file if one is named.
struct RejectionReport {
    static let shownLimit = 20

    private let console: Console
    private let file: OutputFile?
    private let path: String?
    private var count = 0

    /// - Parameters:
    ///   - path: file for all refused rows, one JSON object with `row` and `reason` on each line.
    ///   - appends: whether what is in the file stays: the refused rows of an import that this one goes on with.
    ///   - inputs: what is read meanwhile; the report must be none of them.
    init(console: Console, path: String?, appends: Bool, inputs: [String]) throws(CommandFailure) {
        self.console = console
        self.path = path
        if let path, let input = inputs.first(where: { Self.areOneFile($0, path) }) {
            throw CommandFailure(.usage, "the report would be written over \(input), which is read; name another file")
        }
        file = try path.map { path throws(CommandFailure) in
            try filing { () throws(EmbeddingFileError) in try OutputFile(path: path, appends: appends) }
        }
    }

    /// Whether two paths, of which one may be a link, lead to the same file.
    private static func areOneFile(_ first: String, _ second: String) -> Bool {
        var one = stat()
        var other = stat()
        guard unsafe stat(first, &one) == 0, unsafe stat(second, &other) == 0 else { return false }
        return one.st_dev == other.st_dev && one.st_ino == other.st_ino
    }

    /// Whether the next row would be shown on the console.
    var showsNext: Bool { count < Self.shownLimit }

    /// Tells of some rows; when this returns they are in the file.
    mutating func add(_ rows: [(row: Int, reason: String)]) throws(CommandFailure) {
        for (row, reason) in rows {
            if showsNext { console.writeError("row \(row): \(reason.shown())\n") }
            count += 1
            guard let file else { continue }
            let line = JSONValue.object([("row", .count(row)), ("reason", .string(reason))]).line + "\n"
            try filing { () throws(EmbeddingFileError) in try file.append(line) }
        }
        if let file { try filing { () throws(EmbeddingFileError) in try file.flush() } }
    }

    func finish() throws(CommandFailure) {
        if let file { try filing { () throws(EmbeddingFileError) in try file.finish() } }
        guard count > Self.shownLimit else { return }
        let rest = count - Self.shownLimit
        console.writeError(
            "and \(NumberText.counted(rest, "refused row")) more; "
                + (path.map { "all are in \($0)\n" } ?? "--report FILE lists all\n")
        )
    }
}
