import Foundation
import Glibc

/// Which process of a story has one end of a connection on loopback.
enum ConnectionOwner {
    /// - Parameters:
    ///   - port: at that end.
    ///   - peer: the port at the other end.
    /// - Returns: one that a story has started, or this one; nil when it is neither, or gone.
    static func process(from port: Int, to peer: Int) -> pid_t? {
        guard let inode = inode(from: port, to: peer) else { return nil }
        let name = "socket:[\(inode)]"
        return (ChildProcess.allIDs.sorted() + [getpid()]).first { holds(name, $0) }
    }

    /// A line of the kernel's table: number, local address, remote address, state, queues, timers, timeouts, user,
    /// timer, inode; addresses are hexadecimal, as `0100007F:1F90` is 127.0.0.1:8080.
    private static func inode(from port: Int, to peer: Int) -> Substring? {
        let (local, remote) = (ending(port), ending(peer))
        for line in table().split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count > 9, fields[1].hasSuffix(local), fields[2].hasSuffix(remote) { return fields[9] }
        }
        return nil
    }

    /// The kernel gives a page of it at a time, and says that it has no length.
    private static func table() -> String {
        let file = open("/proc/net/tcp", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(file, &part, part.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += part[..<count]
        }
    }

    private static func ending(_ port: Int) -> String {
        let digits = String(port, radix: 16, uppercase: true)
        return ":" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }

    private static func holds(_ name: String, _ process: pid_t) -> Bool {
        let folder = "/proc/\(process)/fd"
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.contains { file in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(file)")) == name
        }
    }
}
