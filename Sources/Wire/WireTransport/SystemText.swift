import Glibc
import NIOCore
import NIOPosix

/// One clause for people out of the errors that sockets give.
enum SystemText {
    static func error(_ number: Int32) -> String {
        var text = [CChar](repeating: 0, count: 256)
        guard unsafe strerror_r(number, &text, text.count) == 0 else { return "error \(number)" }
        return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: self.error(error.errnoCode)
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error) }
                ?? (error.dnsAError ?? error.dnsAAAAError).map { _ in "the host name is not known" }
                ?? "no address to connect to"
        case ChannelError.connectTimeout: "no answer in time"
        case is SocketAddressError: "the host name is not known"
        default: String(describing: error)
        }
    }
}
