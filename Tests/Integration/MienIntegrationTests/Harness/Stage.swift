import Foundation
import Glibc
import MienClient

/// What one story plays on: a temporary folder, and the processes it starts there. Both are gone after the story.
final class Stage {
    let folder: String
    let binary: String
    /// Of every process, and nothing else: variables of whoever runs the tests stay outside.
    var environment = [
        "PATH": "/usr/bin:/bin", "HOME": "/nonexistent",
        // A process that crashes is gone at once.
        "SWIFT_BACKTRACE": "enable=no",
    ]
    private var processes: [ChildProcess] = []
    private var mounts: [String] = []

    private init() throws {
        binary = try MienBinary.path()
        var template = Array("\(FileManager.default.temporaryDirectory.path)/mien-story-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw StoryError("no temporary folder can be made") }
        folder = String(cString: made)
        // Processes of another user look into it.
        chmod(folder, 0o755)
    }

    static func play(_ story: (Stage) async throws -> Void) async throws {
        let stage = try Stage()
        defer { stage.clear() }
        try await story(stage)
    }

    private func clear() {
        for process in processes { process.kill() }
        for mount in mounts { umount2(mount, Int32(MNT_DETACH)) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    @discardableResult
    func write(_ name: String, _ data: Data, mode: mode_t = 0o644) throws -> String {
        try data.write(to: URL(filePath: path(name)))
        chmod(path(name), mode)
        return path(name)
    }

    @discardableResult
    func write(_ name: String, _ text: String, mode: mode_t = 0o644) throws -> String {
        try write(name, Data(text.utf8), mode: mode)
    }

    func text(_ name: String) throws -> String { try String(contentsOfFile: path(name), encoding: .utf8) }

    /// Whether the tests may mount file systems here: tried once.
    static let mayMount: Bool = {
        let place = FileManager.default.temporaryDirectory.appending(path: "mien-mount-\(getpid())").path
        guard mkdir(place, 0o700) == 0 else { return false }
        defer { rmdir(place) }
        guard mount("tmpfs", place, "tmpfs", 0, "size=1m") == 0 else { return false }
        return umount(place) == 0
    }()

    /// A file system in memory of its own size; for tests that run where ``mayMount`` is true.
    func mountMemory(_ name: String, mebibytes: Int, isReadOnly: Bool = false) throws -> String {
        let place = path(name)
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let flags = isReadOnly ? UInt(MS_RDONLY) : 0
        guard mount("tmpfs", place, "tmpfs", flags, "size=\(mebibytes)m") == 0 else {
            throw StoryError("\(place) cannot be mounted")
        }
        mounts.append(place)
        return place
    }

    /// Uses up every block of a file system but for the last few bytes.
    func fill(_ disk: String, leaving byteCount: Int = 0) throws {
        let file = open("\(disk)/filler", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw StoryError("\(disk)/filler cannot be made") }
        defer { close(file) }
        let block = [UInt8](repeating: 0, count: 4096)
        while Glibc.write(file, block, block.count) > 0 {}
        let end = lseek(file, 0, SEEK_END)
        guard ftruncate(file, max(0, end - byteCount)) == 0 else { throw StoryError("\(disk)/filler cannot be cut") }
    }

    // MARK: Processes

    /// Starts `mien` with arguments.
    func start(
        _ arguments: [String],
        adding variables: [String: String] = [:],
        user: Int? = nil,
        in namespace: NetworkNamespace? = nil
    ) async throws -> ChildProcess {
        let command = [binary] + arguments
        let process = try await ChildProcess.start(
            namespace?.entered(by: command) ?? command,
            environment: environment.merging(variables) { $1 },
            user: user,
            writingTo: path("\(processes.count)-\(arguments.first ?? "")")
        )
        processes.append(process)
        return process
    }

    /// Starts `mien` with arguments on a terminal of its own.
    func start(_ arguments: [String], on terminal: PseudoTerminal) async throws -> ChildProcess {
        let process = try await ChildProcess.start(
            [binary] + arguments,
            environment: environment,
            writingTo: path("\(processes.count)-terminal"),
            terminal: terminal.path
        )
        processes.append(process)
        return process
    }

    /// Starts a program of the system.
    func launch(_ command: [String]) async throws -> ChildProcess {
        let process = try await ChildProcess.start(
            command,
            environment: environment,
            user: nil,
            writingTo: path("\(processes.count)-program")
        )
        processes.append(process)
        return process
    }

    /// Runs a program of the system to its end.
    func run(_ command: [String], within limit: Duration = .seconds(30)) async throws -> CommandResult {
        let process = try await launch(command)
        let status = try await process.end(within: limit)
        return CommandResult(status: status, output: process.output, error: process.error)
    }

    /// Runs a command of `mien` to its end.
    func mien(
        _ arguments: String...,
        within limit: Duration = .seconds(30),
        user: Int? = nil
    ) async throws -> CommandResult {
        try await mien(arguments, within: limit, user: user)
    }

    func mien(
        _ arguments: [String],
        within limit: Duration = .seconds(30),
        user: Int? = nil
    ) async throws -> CommandResult {
        let process = try await start(arguments, user: user)
        let status = try await process.end(within: limit)
        return CommandResult(status: status, output: process.output, error: process.error)
    }
}

/// What a command came to.
struct CommandResult: CustomStringConvertible {
    var status: Int32
    var output: String
    var error: String

    var description: String { "status \(status)\n\(output.suffix(1500))\n\(error.suffix(1500))" }

    /// Its output as one JSON document.
    func document<T: Decodable>(_ type: T.Type) throws -> T {
        do {
            return try JSONDecoder().decode(type, from: Data(output.utf8))
        } catch {
            throw StoryError("the output is no \(type): \(error)\n\(self)")
        }
    }

    /// Its output as JSON Lines.
    var lines: [String] { output.split(separator: "\n").map(String.init) }
}

/// Tries again and again until `body` gives something.
///
/// - Throws: when it takes longer than `limit`; the error of the last attempt is told.
func eventually<T>(
    _ what: String,
    within limit: Duration,
    _ body: () async throws -> T?
) async throws -> T {
    let deadline = ContinuousClock.now + limit
    while true {
        var failure: (any Error)?
        do {
            if let result = try await body() { return result }
        } catch {
            failure = error
        }
        guard ContinuousClock.now < deadline else {
            throw StoryError("\(what) did not happen within \(limit)" + (failure.map { ": \($0)" } ?? ""))
        }
        try await Task.sleep(for: .milliseconds(20))
    }
}
