import Foundation

/// The repository that these tests belong to, found from this file's own path.
enum Repository {
    static let root: URL = {
        var url = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<3 { url.deleteLastPathComponent() }
        return url
    }()

    /// One text file, with its path from the root.
    struct File: Sendable {
        let path: String
        let text: String

        var lines: [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }

        /// `path:line` of every line that `matches`.
        func places(where matches: (Substring) -> Bool) -> [String] {
            lines.enumerated().compactMap { matches($0.element) ? "\(path):\($0.offset + 1)" : nil }
        }
    }

    /// Names directly inside a folder, sorted; empty when there is no such folder.
    static func names(in folder: String) -> [String] {
        let names = try? FileManager.default.contentsOfDirectory(atPath: root.appendingPathComponent(folder).path)
        return (names ?? []).sorted()
    }

    /// Paths of all files below a folder, sorted; build folders and hidden files left out.
    static func paths(below folder: String) -> [String] {
        let base = root.appendingPathComponent(folder)
        let found = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
        return found.filter { path in
            let isHidden = path.split(separator: "/").contains { $0.hasPrefix(".") }
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(
                atPath: base.appendingPathComponent(path).path,
                isDirectory: &isFolder
            )
            return exists && !isFolder.boolValue && !isHidden
        }.map { "\(folder)/\($0)" }.sorted()
    }

    static func file(_ path: String) throws -> File {
        File(path: path, text: try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8))
    }

    /// The files below some folders whose names end in one of the given endings.
    static func files(below folders: [String], endingIn endings: [String]) throws -> [File] {
        try folders.flatMap { paths(below: $0) }
            .filter { path in endings.contains { path.hasSuffix($0) } }
            .map { try file($0) }
    }
}
