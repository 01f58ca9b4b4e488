import Foundation

/// Where the built program is.
enum MienBinary {
    /// `MIEN_BINARY`, or `mien` beside the test program.
    static func path() throws -> String {
        let named = ProcessInfo.processInfo.environment["MIEN_BINARY"]
        let path =
            named
            ?? URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "mien").path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw StoryError("there is no program at \(path); build it (swift build -c release), or set MIEN_BINARY")
        }
        return path
    }
}

/// Why a story cannot go on, as one sentence.
struct StoryError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
