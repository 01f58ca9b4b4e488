import Foundation
import Testing

/// Rules of the text itself, for Swift, C and shell alike.
struct SourceTests {
    private let sources: [Repository.File]
    private let all: [Repository.File]

    /// Read once for all tests of the suite.
    private static let read = Result {
        let endings = [".swift", ".c", ".h", ".modulemap"]
        let sources = try Repository.files(below: ["Sources"], endingIn: endings)
        let rest =
            try Repository.files(below: ["Tests", "config"], endingIn: endings + [".yaml"])
            + Repository.paths(below: "deploy").map { try Repository.file($0) }
            + [Repository.file("Package.swift"), Repository.file(".ci/run")]
        return (sources: sources, all: sources + rest)
    }

    init() throws { (sources, all) = try Self.read.get() }

    @Test func noWorkIsLeftOver() {
        // Joined here, so that this file does not offend against its own rule.
        let marks: Set<String> = ["TO" + "DO", "FIX" + "ME", "XX" + "X"]
        #expect(offenders(all) { line in line.split { !$0.isLetter }.contains { marks.contains(String($0)) } } == [])
    }

    @Test func noLineIsLongerThan120Columns() {
        // A string of JSON cannot be broken over lines.
        #expect(offenders(all.filter { !$0.path.hasSuffix(".json") }) { $0.count > 120 } == [])
    }

    @Test func noFileIsLongerThan600Lines() {
        // The manifest has some lines for each of its targets, and must be one file.
        #expect(all.filter { $0.lines.count > 601 && $0.path != "Package.swift" }.map(\.path) == [])
    }

    @Test func noLineEndsInASpaceAndNoFileWithoutALineEnd() {
        #expect(offenders(all) { $0.last == " " || $0.last == "\t" || $0.last == "\r" } == [])
        #expect(all.filter { !$0.text.isEmpty && !$0.text.hasSuffix("\n") }.map(\.path) == [])
    }

    @Test func noNameSaysNothing() {
        let vague = ["Utils", "Utilities", "Helpers", "Helper", "Common", "Misc", "Stuff"]
        let offenders = (Repository.paths(below: "Sources") + Repository.paths(below: "Tests")).filter { path in
            path.split(separator: "/").contains { part in
                let name = part.split(separator: ".").first ?? part
                return vague.contains { name == $0 || name.hasSuffix($0) || name.hasSuffix("+" + $0) }
            }
        }
        #expect(offenders == [])
    }

    @Test func noSourceTrapsOnWhatItShouldThrow() {
        let traps = ["try" + "!", "as" + "!", "fatal" + "Error("]
        let swift = sources.filter { $0.path.hasSuffix(".swift") }
        #expect(offenders(swift) { line in traps.contains { isUsed($0, in: line) } } == [])
    }

    @Test func noUnsafeSendableIsWithoutItsReason() {
        let marks = ["@unchecked " + "Sendable", "nonisolated(" + "unsafe)"]
        let offenders = sources.filter { $0.path.hasSuffix(".swift") }.flatMap { file in
            let lines = file.lines
            return lines.indices.filter { row in
                let isMarked = marks.contains { lines[row].contains($0) } && !isComment(lines[row])
                return isMarked && !hasComment(above: row, in: lines)
            }.map { "\(file.path):\($0 + 1)" }
        }
        #expect(offenders == [])
    }

    @Test func topLevelHoldsOnlyWhatAReaderExpects() {
        let allowed: Set<String> = [
            ".build", ".build-fuzz", ".ci", ".dockerignore", ".git", ".gitattributes", ".gitignore", ".spi.yml",
            ".swift-format", ".swiftpm",
            "Benchmarks",
            "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "LICENSE.txt", "NOTICE.txt", "Package.resolved",
            "Package.swift",
            "README.md", "SECURITY.md", "Sources", "Tests", "config", "data", "deploy", "docs",
        ]
        #expect(Repository.names(in: ".").filter { !allowed.contains($0) } == [])
    }

    private func offenders(_ files: [Repository.File], where matches: (Substring) -> Bool) -> [String] {
        files.flatMap { $0.places(where: matches) }
    }

    /// Whether code outside comments has the mark as a word of its own.
    private func isUsed(_ mark: String, in line: Substring) -> Bool {
        guard !isComment(line), let range = line.firstRange(of: mark) else { return false }
        let before = line[..<range.lowerBound].last
        return before.map { !$0.isLetter && !$0.isNumber && $0 != "_" } ?? true
    }

    private func isComment(_ line: Substring) -> Bool { line.drop { $0 == " " }.hasPrefix("//") }

    /// Whether the declaration has a comment above it, attributes and modifiers in between.
    private func hasComment(above row: Int, in lines: [Substring]) -> Bool {
        var above = row - 1
        while above >= 0, lines[above].drop(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
        return above >= 0 && isComment(lines[above])
    }
}
