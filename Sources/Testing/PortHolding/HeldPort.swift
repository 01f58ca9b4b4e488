import Glibc

/// Keeps the port of a server that was stopped, so that no other test's server gets it: calls to it are refused.
///
/// The port is bound but not listened on; a server that asks for this very port can still have it.
package final class HeldPort: Sendable {
    private let descriptor: Int32

    /// - Parameters:
    ///   - port: on loopback.
    ///   - fail: told when another has taken it first; a test can not be trusted then.
    package init(_ port: Int, orElse fail: (String) -> Void) {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = unsafe inet_addr("127.0.0.1")
        let result = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 { fail("port \(port) was taken in the moment it was free") }
    }

    deinit {
        close(descriptor)
    }
}
