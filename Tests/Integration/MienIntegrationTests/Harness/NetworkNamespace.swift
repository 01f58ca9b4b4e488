import Foundation
import Glibc

/// Interfaces, addresses and routes of their own, which processes and sockets belong to.
///
/// It ends with the last process in it; one that does nothing keeps it until the end of the story.
struct NetworkNamespace {
    private let path: String

    private init(path: String) {
        self.path = path
    }

    /// A new one, that leads nowhere. For root only.
    static func make(_ stage: Stage) async throws -> NetworkNamespace {
        let keeper = try await stage.launch([
            "/usr/bin/unshare", "--net", "--", "/bin/sh", "-c", "echo made; exec sleep infinity",
        ])
        try await eventually("a network namespace is made", within: .seconds(10)) {
            if keeper.status != nil { throw StoryError(keeper.error) }
            return keeper.output.contains("made") ? () : nil
        }
        return NetworkNamespace(path: "/proc/\(keeper.id)/ns/net")
    }

    /// The number by which `ip` knows it.
    var keeper: Substring { path.split(separator: "/")[1] }

    /// A command line that runs another one inside.
    func entered(by command: [String]) -> [String] { ["/usr/bin/nsenter", "--net=\(path)", "--"] + command }

    /// Runs what a shell makes of a few lines inside, to its end.
    func run(_ stage: Stage, _ lines: [String]) async throws {
        let script = (["set -e", "PATH=/usr/sbin:/sbin:$PATH"] + lines).joined(separator: "\n")
        let result = try await stage.run(entered(by: ["/bin/sh", "-c", script]))
        guard result.status == 0 else { throw StoryError("\(lines): \(result)") }
    }

    /// Makes a connection from inside. A socket stays where it was made.
    func connected(to port: Int, of address: UInt32) async throws -> TCPSocket {
        let path = path
        return try await withCheckedThrowingContinuation { continuation in
            // A thread that has entered does nothing else, and ends.
            Thread.detachNewThread {
                guard Self.enter(path), let socket = TCPSocket.connected(to: port, of: address) else {
                    return continuation.resume(throwing: StoryError("no connection to port \(port) in \(path)"))
                }
                continuation.resume(returning: socket)
            }
        }
    }

    private typealias SetNamespace = @convention(c) (CInt, CInt) -> CInt

    /// `setns`, which glibc shows to programs in C only; for the thread that calls.
    private static func enter(_ path: String) -> Bool {
        guard let symbol = dlsym(nil, "setns") else { return false }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return unsafeBitCast(symbol, to: SetNamespace.self)(descriptor, 0x4000_0000) == 0
    }
}
