import Foundation
import NodeConfiguration
import Testing

/// `config/*.yaml` are the reference: they decode, equal the defaults, and hold every key with a comment.
struct ReferenceFileTests {
    @Test func devFileEqualsTheDefaults() throws {
        let file = try DevConfiguration(from: ConfigurationSources(file: referenceFile("mien-dev.yaml")))
        #expect(try file == DevConfiguration(from: ConfigurationSources()))
        #expect(file.workers == 3)
    }

    @Test func coordinatorFileEqualsTheDefaults() throws {
        let file = try CoordinatorConfiguration(from: ConfigurationSources(file: referenceFile("coordinator.yaml")))
        #expect(try file == CoordinatorConfiguration(from: ConfigurationSources()))
    }

    @Test func workerFileEqualsTheDefaults() throws {
        let file = try WorkerConfiguration(from: ConfigurationSources(file: referenceFile("worker.yaml")))
        #expect(try file == WorkerConfiguration(from: ConfigurationSources()))
    }

    /// The examples name files of the hosts that they are for; nothing else is wrong with them.
    @Test func examplesOfAClusterWithSeveralCoordinatorsLackTheirFilesOnly() throws {
        let readings: [(String, (ConfigurationSources) throws -> Void)] = [
            ("high-availability/coordinator.yaml", { _ = try CoordinatorConfiguration(from: $0) }),
            ("high-availability/worker.yaml", { _ = try WorkerConfiguration(from: $0) }),
        ]
        for (name, read) in readings {
            let error = #expect(throws: NodeConfigurationError.self) {
                try read(ConfigurationSources(file: referenceFile(name)))
            }
            for problem in error?.problems ?? [] {
                // Without its files it has no TLS and no token either, which a listener beyond loopback needs.
                switch problem {
                case .unusableFile, .unprotectedListener: break
                default: Issue.record("\(problem)")
                }
            }
        }
    }

    @Test(arguments: [
        (NodeRole.dev, "mien-dev.yaml"), (.coordinator, "coordinator.yaml"), (.worker, "worker.yaml"),
    ])
    func everyKeyOfTheRoleIsInItsFileUnderAComment(role: NodeRole, name: String) throws {
        let lines = try String(contentsOfFile: referenceFile(name), encoding: .utf8).components(separatedBy: "\n")
        let keys = keyPaths(of: lines)
        #expect(Set(keys.map(\.path)) == Set(role.keyPaths))
        #expect(keys.count == role.keyPaths.count)
        let bare = keys.filter { !isCovered($0.row, in: lines) }.map(\.path)
        #expect(bare.isEmpty, "keys of \(name) without a comment above")
    }

    /// Paths of the leaves of a block-style file, by indentation: independent of the decoder under test.
    private func keyPaths(of lines: [String]) -> [(path: String, row: Int)] {
        var sections: [(indentation: Int, name: String)] = []
        var keys: [(path: String, row: Int)] = []
        for (row, line) in lines.enumerated() {
            let content = line.drop { $0 == " " }
            guard let colon = content.firstIndex(of: ":"), !content.hasPrefix("#"), !content.hasPrefix("-") else {
                continue
            }
            let indentation = line.count - content.count
            let name = String(content[..<colon])
            sections.removeAll { $0.indentation >= indentation }
            let path = (sections.map(\.name) + [name]).joined(separator: ".")
            let next = lines.dropFirst(row + 1).first { !$0.drop { $0 == " " }.hasPrefix("#") } ?? ""
            let opensList = next.drop { $0 == " " }.hasPrefix("-")
            if content.hasSuffix(":"), !opensList {
                sections.append((indentation, name))
            } else {
                keys.append((path, row))
            }
        }
        return keys
    }

    private func isCovered(_ row: Int, in lines: [String]) -> Bool {
        row > 0 && lines[row - 1].drop { $0 == " " }.hasPrefix("#")
    }
}
