import Foundation
import Testing
import WireProtocol

/// `docs/wire-protocol.md` says what the code does, and a client can be written from it.
struct DocumentTests {
    private static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let golden = root.appendingPathComponent("Tests/Wire/WireProtocolTests/Golden")

    private func document() throws -> String {
        try String(contentsOf: Self.root.appendingPathComponent("docs/wire-protocol.md"), encoding: .utf8)
    }

    @Test func everyMessageIsInTheDocumentUnderItsNumber() throws {
        let document = try document()
        for type in MessageType.allCases {
            let number = "`0x" + String(format: "%04x", type.rawValue) + "`"
            let name = "\(type)".prefix(1).uppercased() + "\(type)".dropFirst()
            let lines = document.split(separator: "\n").filter { $0.contains(number) && $0.contains(name) }
            #expect(!lines.isEmpty, "\(type) \(number)")
        }
    }

    @Test func everyStatusIsInTheDocumentWithItsAdvice() throws {
        let document = try document()
        for code in StatusCode.allCases {
            #expect(document.contains("| \(code.rawValue) | \(code) | \(code.retry.rawValue) |"), "\(code)")
        }
    }

    @Test(arguments: ["hello", "helloReply", "searchFaces", "searchAnswer"])
    func theWorkedExamplesAreTheGoldenBytes(name: String) throws {
        let hex = try String(contentsOf: Self.golden.appendingPathComponent("\(name).hex"), encoding: .utf8)
        let text = try document()
        #expect(text.contains("```\n\(hex)```"))
    }

    private static let python = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/python3" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    @Test(.enabled(if: python != nil, "there is no python3 on this machine"))
    func aClientWrittenFromTheDocumentMakesTheGoldenBytes() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(Self.python))
        process.arguments = [
            Self.root.appendingPathComponent("Tests/Wire/python_client.py").path, "--golden", Self.golden.path,
        ]
        process.environment = ProcessInfo.processInfo.environment.merging(["PYTHONDONTWRITEBYTECODE": "1"]) { $1 }
        let output = Pipe()
        process.standardError = output
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(text)")
    }
}
