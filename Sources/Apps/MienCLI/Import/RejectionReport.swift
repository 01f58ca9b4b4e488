import EmbeddingFiles

/// Tells of refused rows: the first few on the console, all of them in a file if one is named.
struct RejectionReport {
    static let shownLimit = 20

    private let console: Console
    private let file: OutputFile?
    private let path: String?
    private var count = 0

    /// - Parameter path: file for all refused rows, one JSON object with `row` and `reason` on each line.
    init(console: Console, path: String?) throws(CommandFailure) {
        self.console = console
        self.path = path
        file = try path.map { path throws(CommandFailure) in
            try filing { () throws(EmbeddingFileError) in try OutputFile(path: path) }
        }
    }

    /// Whether the next row would be shown on the console.
    var showsNext: Bool { count < Self.shownLimit }

    mutating func add(row: Int, reason: String) throws(CommandFailure) {
        if showsNext { console.writeError("row \(row): \(reason.shown())\n") }
        count += 1
        guard let file else { return }
        let line = JSONValue.object([("row", .count(row)), ("reason", .string(reason))]).line + "\n"
        try filing { () throws(EmbeddingFileError) in try file.append(line) }
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
