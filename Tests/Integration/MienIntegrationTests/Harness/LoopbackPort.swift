import Glibc
import Synchronization

/// Ports of loopback that nothing listens on.
enum LoopbackPort {
    /// From the port of a node to the one on which it tells its metrics.
    private static let adminDistance = 1000
    /// That were given to somebody before, whether or not they are in use now.
    private static let given = Mutex<Set<Int>>([])

    /// A free port outside the range from which the kernel takes the ports of outgoing connections (32768 and above),
    /// so that no client sits on it while its node is down; nor does another node with its metrics.
    static func free() throws -> Int {
        for _ in 0..<1000 {
            let port = Int.random(in: 10_000..<31_000)
            let both = [port, port + adminDistance]
            let isNew = given.withLock { given in
                guard given.isDisjoint(with: both) else { return false }
                given.formUnion(both)
                return true
            }
            if isNew, both.allSatisfy(canBind) { return port }
        }
        throw StoryError("no free port was found on loopback")
    }

    private static func canBind(_ port: Int) -> Bool {
        guard let socket = TCPSocket() else { return false }
        defer { socket.close() }
        return socket.bind(port: port)
    }
}

/// A plain TCP socket, of loopback unless told otherwise, for what no client library would do.
struct TCPSocket {
    let descriptor: Int32

    init?() {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
    }

    private static let loopback: UInt32 = 0x7F00_0001

    /// A connection to a port; nil when nobody listens.
    ///
    /// - Parameter address: IPv4, its first number the highest byte.
    static func connected(to port: Int, of address: UInt32 = loopback) -> TCPSocket? {
        guard let socket = TCPSocket() else { return nil }
        guard socket.withAddress(port, of: address, { connect(socket.descriptor, $0, $1) }) else {
            socket.close()
            return nil
        }
        return socket
    }

    func bind(port: Int) -> Bool {
        withAddress(port, of: Self.loopback) { Glibc.bind(descriptor, $0, $1) }
    }

    func close() { Glibc.close(descriptor) }

    /// Whether everything went out; a peer that closed is no fault.
    @discardableResult
    func send(_ bytes: [UInt8]) -> Bool {
        Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }

    /// What has arrived until the peer closes or the time is over, and whether it closed.
    func receive(for limit: Duration) async throws -> (bytes: [UInt8], isClosed: Bool) {
        let deadline = ContinuousClock.now + limit
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while ContinuousClock.now < deadline {
            let count = recv(descriptor, &part, part.count, Int32(MSG_DONTWAIT))
            if count > 0 {
                bytes += part[..<count]
            } else if count == 0 || (errno != EAGAIN && errno != EINTR) {
                return (bytes, true)
            } else {
                try await Task.sleep(for: .milliseconds(5))
            }
        }
        return (bytes, false)
    }

    private func withAddress(
        _ port: Int,
        of host: UInt32,
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = host.bigEndian
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }
}
