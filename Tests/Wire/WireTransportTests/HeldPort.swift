import Glibc
import Testing

/// Keeps the port of a server that was stopped, so that no other test's server gets it: calls to it are refused.
///
/// The port is bound but not listened on; a server that asks for this very port can still have it.
final class HeldPort: Sendable {
    private let descriptor: Int32

    init(_ port: Int) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 { Issue.record("port \(port) was taken in the moment it was free") }
    }

    deinit {
        close(descriptor)
    }
}
