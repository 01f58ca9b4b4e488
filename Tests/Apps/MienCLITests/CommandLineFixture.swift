import Dispatch
import Foundation
import Synchronization
import mien

/// What a command line did: its exit status and what it wrote.
struct CommandResult {
    var status: Int32
    var output: String
    var error: String

    var outputLines: [Substring] { output.split(separator: "\n") }
}

/// Runs a command line in this process.
///
/// - Parameter results: where what is written to the output goes besides.
func mienCommand(
    _ arguments: [String],
    environment: [String: String] = [:],
    input: String? = nil,
    results: TextOutput? = nil
) async -> CommandResult {
    final class Capture: Sendable {
        let output = Mutex("")
        let error = Mutex("")
    }
    let capture = Capture()
    let console = Console(
        writeOutput: { text in
            capture.output.withLock { $0 += text }
            results?.write(text)
        },
        writeError: { text in capture.error.withLock { $0 += text } },
        outputFailure: { results?.failure },
        readLine: { input },
        environment: environment
    )
    let status = await CommandRun.status(arguments: arguments, console: console)
    return CommandResult(status: status, output: capture.output.withLock { $0 }, error: capture.error.withLock { $0 })
}

/// Runs a command line that computes for seconds, on a thread of its own: in a task it would keep those of other tests,
/// and their connections, waiting.
func computingCommand(_ arguments: [String]) async -> CommandResult {
    await withTaskExecutorPreference(ComputingThread.shared) { await mienCommand(arguments) }
}

private final class ComputingThread: TaskExecutor {
    static let shared = ComputingThread()
    private let queue = DispatchQueue(label: "computing commands")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

/// A folder of the test's own, removed with the value.
final class ScratchFolder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "mien-cli-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    @discardableResult
    func write(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
        return file(name)
    }

    func text(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(fileURLWithPath: file(name))), as: UTF8.self)
    }

    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path))?.sorted() ?? [] }
}

/// Makes a file readable by its owner only.
func chmod600(_ path: String) -> Bool {
    (try? FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)) != nil
}
