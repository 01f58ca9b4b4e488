import Foundation
import Glibc
import NIOCore
import WireProtocol

/// A plain blocking socket, for peers that do not behave as ours do.
final class RawPeer: Sendable {
    private let descriptor: Int32

    struct Failure: Error {
        var call: String
        var number: Int32
    }

    private init(descriptor: Int32) {
        self.descriptor = descriptor
        var timeout = timeval(tv_sec: 15, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        Glibc.close(descriptor)
    }

    static func connect(port: Int, receiveBufferByteCount: Int32? = nil) async throws -> RawPeer {
        try await offThread {
            let peer = RawPeer(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
            if var byteCount = receiveBufferByteCount {
                setsockopt(
                    peer.descriptor,
                    SOL_SOCKET,
                    SO_RCVBUF,
                    &byteCount,
                    socklen_t(MemoryLayout<Int32>.size)
                )
            }
            var address = loopback(port: port)
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(peer.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard result == 0 else { throw Failure(call: "connect", number: errno) }
            return peer
        }
    }

    /// Listens on a free port, and gives the first connection to the body on a thread of its own.
    static func listen(_ body: @escaping @Sendable (RawPeer) -> Void) throws -> Int {
        let listener = RawPeer(descriptor: socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = loopback(port: 0)
        var byteCount = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.descriptor, $0, byteCount) | Glibc.listen(listener.descriptor, 8)
                    | getsockname(listener.descriptor, $0, &byteCount)
            }
        }
        guard result == 0 else { throw Failure(call: "listen", number: errno) }
        // Not one of a pool: others keep such threads for as long as they wait.
        Thread.detachNewThread {
            let accepted = Self.again { accept(listener.descriptor, nil, nil) }
            if accepted >= 0 { body(RawPeer(descriptor: accepted)) }
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Keeps the connection as long as the condition holds, and reads nothing.
    func keep(while condition: () -> Bool) {
        while condition() { usleep(2000) }
    }

    func send(_ bytes: [UInt8]) async throws {
        try await Self.offThread { try self.sendNow(bytes) }
    }

    func sendNow(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { left in
                Self.again { Glibc.send(descriptor, left.baseAddress, left.count, Int32(MSG_NOSIGNAL)) }
            }
            guard count > 0 else { throw Failure(call: "send", number: errno) }
            sent += count
        }
    }

    /// Everything until the other side closes.
    ///
    /// - Throws: when it does not close within 15 s; a reset counts as closed.
    func readToEnd() async throws -> [UInt8] {
        try await Self.offThread {
            var bytes: [UInt8] = []
            while let piece = try self.readNow() { bytes += piece }
            return bytes
        }
    }

    /// Frames until as many have come.
    func readFrames(_ count: Int) async throws -> [Frame] {
        try await Self.offThread { try self.readFramesNow { $0.count >= count } }
    }

    /// Frames until those that have come are enough, or the other side has closed.
    func readFramesNow(until areEnough: ([Frame]) -> Bool) throws -> [Frame] {
        var decoder = FrameDecoder(payloadLimit: 64 << 20, isOpen: true)
        var frames: [Frame] = []
        while !areEnough(frames), let piece = try readNow() {
            decoder.feed(ByteBuffer(bytes: piece))
            while let event = try decoder.next() {
                if case .frame(let frame) = event { frames.append(frame) }
            }
        }
        return frames
    }

    /// The next bytes; nil when the other side has closed.
    func readNow() throws -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = bytes.withUnsafeMutableBytes { room in
            Self.again { recv(descriptor, room.baseAddress, room.count, 0) }
        }
        if count < 0 && errno != ECONNRESET { throw Failure(call: "recv", number: errno) }
        return count > 0 ? Array(bytes[..<count]) : nil
    }

    /// Calls until no signal cuts it short: where a socket has a timeout, one that continues a stopped process does.
    private static func again<Count: SignedInteger>(_ call: () -> Count) -> Count {
        while true {
            let result = call()
            if result >= 0 || errno != EINTR { return result }
        }
    }

    private static func loopback(port: Int) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return address
    }

    private static func offThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }
}
