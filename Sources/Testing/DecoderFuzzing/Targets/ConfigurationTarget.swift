import Foundation
import NodeConfiguration

extension FuzzTarget {
    /// Configuration files, which a role at least accepts.
    static let configuration = FuzzTarget(
        name: "configuration",
        seeds: { try ConfigurationTarget.referenceFiles() },
        accepts: { ConfigurationTarget.accepts($0) }
    )
}

enum ConfigurationTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let file = try? ScratchFile(bytes) else { return false }
        return withExtendedLifetime(file) {
            let sources = ConfigurationSources(file: file.path)
            let roles = [
                isAccepted { _ = try CoordinatorConfiguration(from: sources) },
                isAccepted { _ = try WorkerConfiguration(from: sources) },
                isAccepted { _ = try DevConfiguration(from: sources) },
            ]
            return roles.contains(true)
        }
    }

    private static func isAccepted(_ read: () throws -> Void) -> Bool {
        do {
            try read()
            return true
        } catch {
            precondition(!"\(error)".isEmpty, "a refusal without a reason")
            return false
        }
    }

    /// Those of `config/`.
    fileprivate static func referenceFiles() throws -> [[UInt8]] {
        let folder = URL(filePath: #filePath).appending(path: "../../../../../config").standardizedFileURL
        return try ["coordinator.yaml", "worker.yaml", "mien-dev.yaml"].map { name in
            // Comments are most of them, and say nothing to a parser.
            let lines = try String(contentsOf: folder.appending(path: name), encoding: .utf8).split(separator: "\n")
            return Array(lines.filter { !$0.drop { $0 == " " }.hasPrefix("#") }.joined(separator: "\n").utf8)
        }
    }
}
