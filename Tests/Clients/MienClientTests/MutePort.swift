import Glibc
import MienClient

/// A port of loopback at which connections come about and nothing is ever said, as by a node that hangs.
final class MutePort: Sendable {
    let address: MienClient.Address
    private let descriptor: Int32

    struct Failure: Error {
        var number: Int32
    }

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var byteCount = socklen_t(MemoryLayout<sockaddr_in>.size)
        // The kernel takes what nobody accepts.
        let result = withUnsafeMutablePointer(to: &place) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, byteCount) | listen(descriptor, 64) | getsockname(descriptor, $0, &byteCount)
            }
        }
        guard result == 0 else {
            let number = errno
            close(descriptor)
            throw Failure(number: number)
        }
        self.descriptor = descriptor
        address = MienClient.Address(host: "127.0.0.1", port: Int(UInt16(bigEndian: place.sin_port)))
    }

    deinit {
        close(descriptor)
    }
}
