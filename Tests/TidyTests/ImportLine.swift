/// One `import` of a Swift file.
struct ImportLine: Sendable {
    let module: String
    /// `path:line`.
    let place: String

    /// Every import of a file, whatever access level, attributes or submodule it names.
    static func all(in file: Repository.File) -> [ImportLine] {
        file.lines.enumerated().compactMap { row, line in
            let words = line.split(separator: " ").drop { isModifier($0) }
            guard words.first == "import", var name = words.dropFirst().first else { return nil }
            let kinds = ["class", "enum", "func", "let", "protocol", "struct", "typealias", "var"]
            if kinds.contains(String(name)), let declaration = words.dropFirst(2).first { name = declaration }
            let module = name.prefix { $0 != "." && $0 != ";" }
            return ImportLine(module: String(module), place: "\(file.path):\(row + 1)")
        }
    }

    private static func isModifier(_ word: Substring) -> Bool {
        ["public", "package", "internal", "fileprivate", "private"].contains(String(word)) || word.hasPrefix("@")
    }

    /// Modules that come with the toolchain and need no dependency.
    static let toolchain: Set<String> = [
        "Swift", "Synchronization", "Glibc", "Musl", "Darwin", "Dispatch", "Foundation", "FoundationEssentials",
        "FoundationXML", "Observation", "RegexBuilder", "Testing", "XCTest", "_Concurrency",
    ]
}
