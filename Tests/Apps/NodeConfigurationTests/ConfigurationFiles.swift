import Foundation
import NodeConfiguration

/// A folder of files for one test, removed with it.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "mien-configuration-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file and gives its path.
    func file(_ name: String, _ text: String, permissions: Int = 0o600) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: permissions], ofItemAtPath: file)
        return file
    }
}

/// The repository's `config/` folder.
func referenceFile(_ name: String) -> String {
    var root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    for _ in 0..<4 { root.deleteLastPathComponent() }
    return root.appendingPathComponent("config").appendingPathComponent(name).path
}

/// The lines of the error of a worker's configuration, with `folder` cut from the paths; empty when it is accepted.
func problems(
    ofWorker yaml: String? = nil,
    environment: [String: String] = [:],
    flags: [String: String] = [:],
    in folder: TemporaryFolder
) throws -> [String] {
    let file = try yaml.map { try folder.file("worker.yaml", $0) }
    do {
        _ = try WorkerConfiguration(from: ConfigurationSources(file: file, environment: environment, flags: flags))
        return []
    } catch {
        return error.description.replacingOccurrences(of: folder.path + "/", with: "").split(separator: "\n").map(
            String.init
        )
    }
}
