/// The targets of `Package.swift`, read from its text: asking SwiftPM would wait for the lock of the build that runs
/// these tests.
///
/// Understands the shape that the manifest keeps: `.target(…)` and its kin, each with a literal `name:`, a
/// literal `path:` (else SwiftPM's own folder) and literal dependencies: `"Target"`, `.target(name:)` or
/// `.product(name:)`.
struct Manifest: Sendable {
    struct Target: Sendable {
        let name: String
        /// `target`, `testTarget`, `executableTarget` or `systemLibrary`.
        let kind: String
        let path: String
        /// Names of targets and products.
        let dependencies: Set<String>
    }

    let targets: [Target]

    static func read() throws -> Manifest { Manifest(text: try Repository.file("Package.swift").text) }

    init(text: String) {
        let code = text.split(separator: "\n", omittingEmptySubsequences: false).map(Self.withoutComment).joined(
            separator: "\n"
        )
        let kinds = ["systemLibrary", "executableTarget", "testTarget", "target"]
        var targets: [Target] = []
        for kind in kinds {
            var rest = code[...]
            while let found = rest.firstRange(of: ".\(kind)(") {
                let call = Self.balanced(rest[found.upperBound...], open: "(", close: ")")
                if let target = Self.target(kind: kind, call: call) { targets.append(target) }
                rest = rest[found.upperBound...]
            }
        }
        self.targets = targets
    }

    /// Nil for `.target(name: "X")` inside a list of dependencies, which has no other argument.
    private static func target(kind: String, call: Substring) -> Target? {
        guard let name = literal(after: "name:", in: call) else { return nil }
        let isDependency = kind == "target" && !call.contains("path:") && !call.contains("dependencies:")
        guard !isDependency else { return nil }
        var dependencies: Set<String> = []
        if let range = call.firstRange(of: "dependencies:"),
            let bracket = call[range.upperBound...].firstIndex(of: "[")
        {
            let list = balanced(call[call.index(after: bracket)...], open: "[", close: "]")
            dependencies = names(in: list)
        }
        let folder = kind == "testTarget" ? "Tests" : "Sources"
        let path = literal(after: "path:", in: call) ?? "\(folder)/\(name)"
        return Target(name: name, kind: kind, path: path, dependencies: dependencies)
    }

    /// Every literal of a dependency list but the packages' names.
    private static func names(in list: Substring) -> Set<String> {
        var names: Set<String> = []
        var rest = list
        while let quote = rest.firstIndex(of: "\"") {
            let before = rest[..<quote]
            let tail = rest[rest.index(after: quote)...]
            guard let end = tail.firstIndex(of: "\"") else { break }
            let isPackage = before.reversed().drop { $0 == " " }.starts(with: ":egakcap")
            if !isPackage { names.insert(String(tail[..<end])) }
            rest = tail[tail.index(after: end)...]
        }
        return names
    }

    private static func literal(after label: String, in text: Substring) -> String? {
        guard let range = text.firstRange(of: label) else { return nil }
        let tail = text[range.upperBound...].drop { $0 == " " || $0 == "\n" }
        guard tail.first == "\"" else { return nil }
        return String(tail.dropFirst().prefix { $0 != "\"" })
    }

    /// The text up to the bracket that closes one already open.
    private static func balanced(_ text: Substring, open: Character, close: Character) -> Substring {
        var depth = 1
        for index in text.indices {
            if text[index] == open { depth += 1 }
            if text[index] == close { depth -= 1 }
            if depth == 0 { return text[..<index] }
        }
        return text
    }

    /// Cuts `//` comments; a `//` inside a literal, as in an address, stays.
    private static func withoutComment(_ line: Substring) -> Substring {
        var isInLiteral = false
        for index in line.indices {
            if line[index] == "\"" { isInLiteral.toggle() }
            if !isInLiteral, line[index...].hasPrefix("//") { return line[..<index] }
        }
        return line
    }
}
