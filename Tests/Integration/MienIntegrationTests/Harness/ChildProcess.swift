import Dispatch
import Foundation
import Glibc
import Synchronization

/// A process that a story started. It does not outlive the test program, however that ends: the kernel kills it.
final class ChildProcess: Sendable {
    let id: pid_t
    let outputPath: String
    let errorPath: String
    private let ended = Mutex<Int32?>(nil)
    private static let runningIDs = Mutex<Set<pid_t>>([])

    /// Of all processes that stories have started and that have not been seen to end.
    static var allIDs: Set<pid_t> { runningIDs.withLock(\.self) }

    private init(id: pid_t, outputPath: String, errorPath: String) {
        self.id = id
        self.outputPath = outputPath
        self.errorPath = errorPath
    }

    /// - Parameters:
    ///   - user: number of the user it runs as; nil for the user of the tests.
    ///   - path: its output goes to `path.out` and `path.err`.
    ///   - terminal: what it reads from and writes to instead, as its controlling terminal.
    static func start(
        _ arguments: [String],
        environment: [String: String],
        user: Int? = nil,
        writingTo path: String,
        terminal: String? = nil
    ) async throws -> ChildProcess {
        let identity = user.map { ["--reuid", "\($0)", "--regid", "\($0)", "--clear-groups"] } ?? []
        let line = ["/usr/bin/setpriv", "--pdeathsig", "KILL"] + identity + ["--"] + arguments
        let variables = environment.map { "\($0.key)=\($0.value)" }
        let id = try await SpawnThread.shared.run {
            spawn(line, variables, output: path + ".out", error: path + ".err", terminal)
        }
        guard id > 0 else { throw StoryError("\(line[0]) cannot be started: \(String(cString: strerror(-id)))") }
        runningIDs.withLock { _ = $0.insert(id) }
        return ChildProcess(id: id, outputPath: path + ".out", errorPath: path + ".err")
    }

    /// How it ended: its exit status, or 128 and the number of the signal; nil while it runs.
    var status: Int32? { reap(options: WNOHANG) }

    var output: String { Self.text(outputPath) }
    var error: String { Self.text(errorPath) }

    /// Memory of its own that it has in RAM: not pages of files, which the system drops when it needs room.
    ///
    /// - Throws: when it has ended.
    var ownKibibytes: Int {
        get throws {
            let status = try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
            let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
            guard let count = line?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
                throw StoryError("the process \(id) has no memory")
            }
            return count
        }
    }

    /// Ends it at once, as a power cut would, and waits until it is gone.
    func kill() {
        if status == nil {
            Glibc.kill(id, SIGKILL)
            _ = reap(options: 0)
        }
    }

    /// Ends several within microseconds, as a power cut that strikes all would, and waits until they are gone.
    static func kill(_ processes: [ChildProcess]) {
        for process in processes where process.status == nil { Glibc.kill(process.id, SIGKILL) }
        for process in processes { process.kill() }
    }

    /// Lets it do nothing from now on, as a machine that hangs.
    func freeze() { if status == nil { Glibc.kill(id, SIGSTOP) } }

    /// Lets a frozen one go on.
    func thaw() { if status == nil { Glibc.kill(id, SIGCONT) } }

    /// Asks it to stop.
    func terminate() { if status == nil { Glibc.kill(id, SIGTERM) } }

    /// Waits for its end.
    ///
    /// - Throws: when it takes longer; it is killed then.
    func end(within limit: Duration) async throws -> Int32 {
        let deadline = ContinuousClock.now + limit
        while ContinuousClock.now < deadline {
            if let status { return status }
            try await Task.sleep(for: .milliseconds(2))
        }
        kill()
        throw StoryError("a process ran longer than \(limit); it said: \(output.suffix(400)) \(error.suffix(400))")
    }

    private func reap(options: Int32) -> Int32? {
        ended.withLock { ended in
            if let ended { return ended }
            var raw: Int32 = 0
            guard waitpid(id, &raw, options) == id else { return nil }
            Self.runningIDs.withLock { _ = $0.remove(id) }
            ended = raw & 0x7F == 0 ? raw >> 8 & 0xFF : 128 + raw & 0x7F
            return ended
        }
    }

    private static func text(_ path: String) -> String {
        FileManager.default.contents(atPath: path).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// `POSIX_SPAWN_SETSID`, which glibc shows to programs in C only.
    private static let newSession: Int16 = 0x80

    private typealias CloseFrom = @convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, CInt) -> CInt

    /// `posix_spawn_file_actions_addclosefrom_np`, which glibc shows to programs in C only.
    private static let closeFrom = dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
        unsafeBitCast($0, to: CloseFrom.self)
    }

    /// - Returns: the process id, or an error number below 0.
    private static func spawn(
        _ arguments: [String],
        _ variables: [String],
        output: String,
        error: String,
        _ terminal: String?
    ) -> pid_t {
        var files = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&files)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&files)
            posix_spawnattr_destroy(&attributes)
        }
        let writing = O_WRONLY | O_CREAT | O_TRUNC
        if let terminal {
            // The first terminal that the leader of a session opens controls it.
            for descriptor in 0...2 as ClosedRange<Int32> {
                posix_spawn_file_actions_addopen(&files, descriptor, terminal, O_RDWR, 0)
            }
        } else {
            posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
            posix_spawn_file_actions_addopen(&files, 1, output, writing, 0o644)
            posix_spawn_file_actions_addopen(&files, 2, error, writing, 0o644)
        }
        // A connection that a child holds too does not end when this program closes it.
        _ = closeFrom?(&files, 3)
        // Threads of the test program hold signals back; the child must not inherit that.
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let session = terminal == nil ? 0 : Self.newSession
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) | session)
        var argumentPointers = arguments.map { strdup($0) } + [nil]
        var variablePointers = variables.map { strdup($0) } + [nil]
        defer { for pointer in argumentPointers + variablePointers { free(pointer) } }
        var id: pid_t = 0
        let code = posix_spawn(&id, arguments[0], &files, &attributes, &argumentPointers, &variablePointers)
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

    func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async throws -> T {
        await withCheckedContinuation { continuation in
            jobs.withLock { $0.append { continuation.resume(returning: body()) } }
            arrivals.signal()
        }
    }
}
