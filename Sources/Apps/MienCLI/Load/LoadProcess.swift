import Dispatch
import Foundation
import Glibc
import Synchronization

/// A process that a load started: a node, or a part of the load. It does not outlive the load: the kernel kills it.
final class LoadProcess: Sendable {
    private static let setpriv = "/usr/bin/setpriv"

    let id: pid_t
    /// What it writes on its output, and beside it `….err`.
    private let outputPath: String
    private let ended = Mutex<Int32?>(nil)

    private init(id: pid_t, outputPath: String) {
        self.id = id
        self.outputPath = outputPath
    }

    /// - Parameters:
    ///   - arguments: of this very program.
    ///   - path: its output goes to `path.out` and `path.err`, behind what is there.
    static func start(_ arguments: [String], writingTo path: String) async throws(CommandFailure) -> LoadProcess {
        var line = ["/proc/self/exe"] + arguments
        if let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") {
            line[0] = executable
        }
        // Without it a process ends all the same when the load ends in order.
        if FileManager.default.isExecutableFile(atPath: setpriv) {
            line = [setpriv, "--pdeathsig", "KILL", "--"] + line
        }
        // The output of an earlier start must not be taken for that of this one.
        unsafe unlink(path + ".out")
        let words = line
        let id = await SpawnThread.shared.run { spawn(words, output: path + ".out", error: path + ".err") }
        guard id > 0 else {
            let reason = unsafe String(cString: strerror(-id))
            throw CommandFailure(.internalError, "\(line[0]) cannot be started: \(reason)")
        }
        return LoadProcess(id: id, outputPath: path)
    }

    /// How it ended: its exit status, or 128 and the number of the signal; nil while it runs.
    var status: Int32? { reap(options: WNOHANG) }

    var output: String { Self.text(outputPath + ".out") }
    var error: String { Self.text(outputPath + ".err") }

    func signal(_ number: Int32) { if status == nil { Glibc.kill(id, number) } }

    /// Ends it at once, as a power cut would, and waits until it is gone.
    func kill() {
        if status == nil {
            Glibc.kill(id, SIGKILL)
            _ = reap(options: 0)
        }
    }

    private func reap(options: Int32) -> Int32? {
        ended.withLock { ended in
            if let ended { return ended }
            var raw: Int32 = 0
            guard unsafe waitpid(id, &raw, options) == id else { return nil }
            ended = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
            return ended
        }
    }

    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// - Returns: the process id, or an error number below 0.
    private static func spawn(_ arguments: [String], output: String, error: String) -> pid_t {
        var files = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&files)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&files)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        let writing = O_WRONLY | O_CREAT | O_APPEND
        unsafe posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&files, 1, output, writing, 0o644)
        unsafe posix_spawn_file_actions_addopen(&files, 2, error, writing, 0o644)
        // A group of its own: what a person types is for the load, which tells its nodes.
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        var none = sigset_t()
        unsafe sigemptyset(&none)
        var all = sigset_t()
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))
        var words = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        var id: pid_t = 0
        let code = unsafe posix_spawn(&id, arguments[0], &files, &attributes, &words, environ)
        return code == 0 ? id : -code
    }
}

/// A thread that never ends. The kernel takes a child's parent to be the thread that started it, and threads of a pool
/// come and go.
private final class SpawnThread: Sendable {
    static let shared = SpawnThread()

    private let jobs = Mutex<[@Sendable () -> Void]>([])
    private let arrivals = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread { [self] in
            while true {
                arrivals.wait()
                let job = jobs.withLock { $0.removeFirst() }
                job()
            }
        }
    }

    func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
        await withCheckedContinuation { continuation in
            jobs.withLock { $0.append { continuation.resume(returning: body()) } }
            arrivals.signal()
        }
    }
}
