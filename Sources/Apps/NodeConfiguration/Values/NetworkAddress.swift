import Glibc

/// A host and a port, as in `127.0.0.1:7400`, `[::1]:7400` or `coordinator-1.internal:7400`.
package struct NetworkAddress: Sendable, Hashable, CustomStringConvertible {
    /// An IPv4 or IPv6 address without brackets, or a host name.
    package var host: String
    /// 0 to 65535; 0 asks the system for a free port where the address is listened on.
    package var port: Int

    package init(host: String, port: Int) {
        precondition((0...65535).contains(port), "port \(port) is beyond 0...65535")
        self.host = host
        self.port = port
    }

    /// Reads `host:port`; an IPv6 address stands in brackets. `localhost` is read as `127.0.0.1`, so that what a node
    /// listens on never depends on name resolution. Nil when either part is missing or malformed.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let portText = text[text.index(after: colon)...]
        guard !portText.isEmpty, portText.utf8.count <= 5, portText.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let port = Int(portText), port <= 65535
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return nil }
            host = String(host.dropFirst().dropLast())
            guard Self.bytes(ofIPv6: host) != nil else { return nil }
        } else if host == "localhost" {
            host = "127.0.0.1"
        } else {
            guard Self.bytes(ofIPv4: host) != nil || Self.isHostName(host) else { return nil }
        }
        self.init(host: host, port: port)
    }

    /// Whether `host` is an address in numbers, which needs no name resolution.
    package var isNumeric: Bool { Self.bytes(ofIPv4: host) != nil || Self.bytes(ofIPv6: host) != nil }

    /// Whether only this machine can reach the address: 127.0.0.0/8 or ::1. A host name is never taken for loopback.
    package var isLoopback: Bool {
        if let bytes = Self.bytes(ofIPv4: host) { return bytes[0] == 127 }
        if let bytes = Self.bytes(ofIPv6: host) { return bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1 }
        return false
    }

    /// Whether the address stands for every interface: 0.0.0.0 or ::.
    package var isWildcard: Bool {
        (Self.bytes(ofIPv4: host) ?? Self.bytes(ofIPv6: host))?.allSatisfy { $0 == 0 } ?? false
    }

    /// Whether two processes of one machine could not both listen on these addresses.
    package func clashes(with other: NetworkAddress) -> Bool {
        port != 0 && port == other.port && (host == other.host || isWildcard || other.isWildcard)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    private static func bytes(ofIPv4 text: String) -> [UInt8]? { bytes(of: text, family: AF_INET, count: 4) }

    private static func bytes(ofIPv6 text: String) -> [UInt8]? { bytes(of: text, family: AF_INET6, count: 16) }

    private static func bytes(of text: String, family: Int32, count: Int) -> [UInt8]? {
        guard !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: inet_pton writes exactly 4 or 16 bytes, as the family says, and `bytes` has that many.
        let status = unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(family, text, $0.baseAddress) }
        return status == 1 ? bytes : nil
    }

    /// RFC 1123: labels of 1 to 63 letters, digits and inner hyphens; the last label is not a number, which would be
    /// a mistyped IPv4 address.
    private static func isHostName(_ text: String) -> Bool {
        let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard text.utf8.count <= 253, let last = labels.last else { return false }
        let isDigit: (UInt8) -> Bool = { (0x30...0x39).contains($0) }
        let isLetter: (UInt8) -> Bool = { (0x61...0x7A).contains($0 | 0x20) }
        let hyphen = UInt8(ascii: "-")
        return !last.allSatisfy(isDigit)
            && labels.allSatisfy { label in
                (1...63).contains(label.count) && label.first != hyphen && label.last != hyphen
                    && label.allSatisfy { isDigit($0) || isLetter($0) || $0 == hyphen }
            }
    }
}
