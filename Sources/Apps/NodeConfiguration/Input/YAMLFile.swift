import Yams

/// The known keys that a YAML file sets, with their lines, and all that is wrong with its shape.
struct YAMLFile {
    /// Ample for any configuration; bounds what a mistaken path makes the node read.
    static let limitBytes = 256 << 10

    struct Setting: Equatable {
        /// One text for a scalar, one for each element of a list.
        var texts: [String]
        var line: Int
    }

    let path: String
    private(set) var settings: [String: Setting] = [:]
    private(set) var problems: [ConfigurationProblem] = []

    /// Reads and checks the file; what is wrong with it ends in `problems`, what is right in `settings`.
    init(path: String) {
        let text: String
        do throws(RegularFile.Refusal) {
            text = try RegularFile(path: path).text(limitBytes: Self.limitBytes)
        } catch {
            self.init(path: path, text: "")
            problems = [.unreadableFile(path: path, reason: "\(error)")]
            return
        }
        self.init(path: path, text: text)
    }

    init(path: String, text: String) {
        self.path = path
        guard let root = compose(text) else { return }
        collect(root, section: "")
    }

    /// Parses the text. A key given twice is a problem like any other, so it is blanked and the rest is read.
    private mutating func compose(_ text: String) -> Node? {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        while true {
            do {
                return try Yams.compose(yaml: lines.joined(separator: "\n"))
            } catch YamlError.duplicatedKeysInMapping(let duplicates, let context) {
                let key = duplicates.first ?? ""
                guard let second = secondLine(of: key, after: context.mark, in: lines) else {
                    problems.append(.duplicateKey(place(context.mark), key: key, firstLine: context.mark.line))
                    return nil
                }
                problems.append(
                    .duplicateKey(.file(path: path, line: second + 1), key: key, firstLine: context.mark.line)
                )
                blankBlock(startingAt: second, column: context.mark.column, in: &lines)
            } catch {
                problems.append(syntaxProblem(error))
                return nil
            }
        }
    }

    /// The row in `lines` where a block mapping sets `key` again: same column, no shallower line in between.
    private func secondLine(of key: String, after first: Mark, in lines: [Substring]) -> Int? {
        for row in lines.indices.dropFirst(first.line) {
            let indentation = lines[row].prefix { $0 == " " }.count
            let content = lines[row].dropFirst(indentation)
            if content.isEmpty || content.hasPrefix("#") { continue }
            if indentation < first.column - 1 { return nil }
            guard indentation == first.column - 1 else { continue }
            let name = content.prefix { $0 != ":" && $0 != " " }.filter { $0 != "\"" && $0 != "'" }
            if name == key { return row }
        }
        return nil
    }

    /// Empties a key's line and the deeper lines below it, so that line numbers stay as they are.
    private func blankBlock(startingAt row: Int, column: Int, in lines: inout [Substring]) {
        lines[row] = ""
        for below in lines.indices.dropFirst(row + 1) {
            let indentation = lines[below].prefix { $0 == " " }.count
            let isBlank = indentation == lines[below].count
            if !isBlank, indentation < column { return }
            lines[below] = ""
        }
    }

    private func syntaxProblem(_ error: any Error) -> ConfigurationProblem {
        switch error {
        case YamlError.scanner(_, let problem, let mark, _), YamlError.parser(_, let problem, let mark, _),
            YamlError.composer(_, let problem, let mark, _):
            return .invalidYAML(place(mark), reason: "not valid YAML: \(problem)")
        case YamlError.reader(let problem, _, _, _):
            return .unreadableFile(path: path, reason: "not valid YAML: \(problem)")
        default:
            return .unreadableFile(path: path, reason: "not valid YAML")
        }
    }

    private mutating func collect(_ node: Node, section: String) {
        guard case .mapping(let mapping) = node else {
            if !section.isEmpty, isNull(node) { return }
            let key = section.isEmpty ? "the file" : section
            let expected = "a section with the keys " + Self.names(in: section).joined(separator: ", ")
            problems.append(.wrongShape(place(node.mark), key: key, expected: expected, found: shape(of: node)))
            return
        }
        for (keyNode, value) in mapping {
            let name = keyNode.scalar?.string ?? "(\(shape(of: keyNode)))"
            let path = section.isEmpty ? name : "\(section).\(name)"
            if let key = Self.keysByPath[path] {
                set(key, to: value, at: keyNode.mark)
            } else if Self.sections.contains(path) {
                collect(value, section: path)
            } else {
                problems.append(.unknown(path, at: place(keyNode.mark)))
            }
        }
    }

    private mutating func set(_ key: AnyConfigurationKey, to value: Node, at mark: Mark?) {
        let line = mark?.line ?? 0
        let expected = key.isList ? "a list" : "a single value"
        switch value {
        case .scalar(let scalar) where !key.isList:
            settings[key.path] = Setting(texts: [isNull(value) ? "" : scalar.string], line: line)
        case .sequence(let sequence) where key.isList:
            let texts = sequence.compactMap { $0.scalar?.string }
            guard texts.count == sequence.count else {
                let found = "a list of lists or sections"
                problems.append(.wrongShape(place(mark), key: key.path, expected: "a list of values", found: found))
                return
            }
            settings[key.path] = Setting(texts: texts, line: line)
        default:
            problems.append(.wrongShape(place(mark), key: key.path, expected: expected, found: shape(of: value)))
        }
    }

    private func place(_ mark: Mark?) -> ConfigurationPlace { .file(path: path, line: mark?.line ?? 1) }

    private func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    private func shape(of node: Node) -> String {
        switch node {
        case .scalar: isNull(node) ? "empty" : "a single value"
        case .sequence: "a list"
        case .mapping: "a section"
        case .alias: "an alias"
        }
    }
}

extension YAMLFile {
    private static let keysByPath = Dictionary(uniqueKeysWithValues: KeyCatalogue.all.map { ($0.path, $0) })

    /// Paths that hold other keys: `worker`, `worker.memory`, …
    private static let sections = Set(
        KeyCatalogue.all.flatMap { key in
            let components = key.path.split(separator: ".")
            return (1..<components.count).map { components.prefix($0).joined(separator: ".") }
        }
    )

    /// The names directly inside a section ("" for the top level), sorted.
    static func names(in section: String) -> [String] {
        let prefix = section.isEmpty ? "" : section + "."
        let names = KeyCatalogue.all.lazy.map(\.path).filter { $0.hasPrefix(prefix) }
            .compactMap { $0.dropFirst(prefix.count).split(separator: ".").first.map(String.init) }
        return Set(names).sorted()
    }

    static func isSection(_ path: String) -> Bool { sections.contains(path) }
}

extension ConfigurationProblem {
    /// Names the nearest known key, and the keys of the deepest section of `path` that exists.
    static func unknown(_ path: String, at place: ConfigurationPlace) -> ConfigurationProblem {
        var section = path.split(separator: ".").dropLast().joined(separator: ".")
        while !section.isEmpty, !YAMLFile.isSection(section) {
            section = section.split(separator: ".").dropLast().joined(separator: ".")
        }
        let nearest = NearestKey.find(path, among: KeyCatalogue.all.map(\.path) + YAMLFile.names(in: ""))
        return .unknownKey(place, key: path, nearest: nearest, known: YAMLFile.names(in: section))
    }
}
