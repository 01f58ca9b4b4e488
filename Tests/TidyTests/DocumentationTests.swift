import Foundation
import Testing

/// Links of the documentation lead somewhere.
struct DocumentationTests {
    @Test func relativeLinksResolve() throws {
        let pages =
            try Repository.files(below: ["docs"], endingIn: [".md"])
            + Repository.names(in: ".").filter { $0.hasSuffix(".md") }.map { try Repository.file($0) }
        let offenders = try pages.flatMap { page in
            try links(in: page).compactMap { link in
                try target(of: link.text, in: page) ? nil : "\(link.place): \(link.text)"
            }
        }
        #expect(!pages.isEmpty)
        #expect(offenders == [])
    }

    /// The matrix of faults and bad input names tests as `Target.Suite/test`.
    @Test func theTestsOfTheMatrixExist() throws {
        let page = try Repository.file("docs/reliability-matrix.md")
        let files = try Repository.files(below: ["Tests"], endingIn: [".swift"])
        let names = page.text.matches(of: /`(\w+Tests)\.(\w+Tests)\/(\w+)`/).map {
            (target: String($0.1), suite: String($0.2), test: String($0.3))
        }
        #expect(names.count > 150)
        let offenders = names.filter { name in
            !files.contains { file in
                file.path.contains("/\(name.target)/") && file.text.contains(name.suite)
                    && file.text.contains("func \(name.test)(")
            }
        }
        #expect(offenders.map { "\($0.target).\($0.suite)/\($0.test)" } == [])
    }

    /// The table of what real processes are put through, and `deploy/test-faults`, which plays it at length, have the
    /// same suites; the script's head has each of its stories.
    @Test func everyFaultThatIsToldOfIsPlayedAtLength() throws {
        let stories = Set(Repository.names(in: "Tests/Integration/MienIntegrationTests/Stories"))
        let rows = try Repository.file("docs/reliability.md").lines.drop { $0 != "## Real processes" }
            .prefix { !$0.hasPrefix("### ") }.filter { $0.hasPrefix("| ") }
        let told = Set(
            rows.flatMap { row in
                row.split(separator: "|", omittingEmptySubsequences: false)[2].matches(of: /`(\w+Tests)`/).map {
                    String($0.1)
                }
            }
        ).filter { stories.contains("\($0).swift") }
        let script = try Repository.file("deploy/test-faults")
        let played = script.lines.compactMap { $0.wholeMatch(of: #/ {4}"([a-z-]+)\|/?(\w+Tests)[^"]*"/#) }
        #expect(told.count > 30)
        let suites = Set(played.map { String($0.2) })
        #expect(told.subtracting(suites).sorted() == [])
        #expect(suites.subtracting(told).sorted() == [])
        let head = Set(script.lines.prefix { $0.hasPrefix("#") }.flatMap { $0.split(separator: " ") })
        let missing = played.map { $0.1 }.filter { !head.contains($0) }
        #expect(missing == [])
    }

    /// Targets of `[text](target)` outside code, web addresses left out.
    private func links(in page: Repository.File) -> [(text: String, place: String)] {
        var links: [(text: String, place: String)] = []
        var isInCode = false
        for (row, line) in page.lines.enumerated() {
            if line.drop(while: { $0 == " " }).hasPrefix("```") { isInCode.toggle() }
            guard !isInCode else { continue }
            // Every other part of a line cut at back quotes is code.
            let parts = line.split(separator: "`", omittingEmptySubsequences: false).enumerated()
            let text = parts.map { $0.offset % 2 == 0 ? String($0.element) : "code" }.joined()
            for match in text.matches(of: /\]\(([^)\s]+)\)/) {
                let target = String(match.1)
                let isWeb = target.contains("://") || target.hasPrefix("mailto:")
                if !isWeb { links.append((target, "\(page.path):\(row + 1)")) }
            }
        }
        return links
    }

    /// Whether the file exists and, for a link with `#heading` to a page, the page has the heading.
    private func target(of link: String, in page: Repository.File) throws -> Bool {
        let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let folder = page.path.split(separator: "/").dropLast().joined(separator: "/")
        let url = Repository.root.appendingPathComponent(folder).appendingPathComponent(parts[0]).standardizedFileURL
        let file = parts[0].isEmpty ? Repository.root.appendingPathComponent(page.path) : url
        guard FileManager.default.fileExists(atPath: file.path) else { return false }
        guard parts.count == 2, file.pathExtension == "md" else { return true }
        let text = try String(contentsOf: file, encoding: .utf8)
        return text.split(separator: "\n").filter { $0.hasPrefix("#") }.map { anchor(of: $0) }.contains(parts[1])
    }

    /// A heading's anchor as the usual renderers make it: lower case, punctuation dropped, spaces as hyphens.
    private func anchor(of heading: Substring) -> String {
        let title = heading.drop { $0 == "#" }.drop { $0 == " " }.lowercased()
        return title.compactMap { character -> String? in
            if character == " " { return "-" }
            return character.isLetter || character.isNumber || character == "-" || character == "_"
                ? String(character) : nil
        }.joined()
    }
}
