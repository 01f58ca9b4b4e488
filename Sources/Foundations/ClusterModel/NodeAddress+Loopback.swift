import Glibc

extension NodeAddress {
    /// Whether nobody but this machine can be there: 127.0.0.0/8, ::1, or `localhost`, which names nothing else
    /// (RFC 6761). Any other name is taken to lead elsewhere.
    package var isLoopback: Bool {
        if host.lowercased() == "localhost" { return true }
        if let bytes = Self.bytes(of: host, family: AF_INET, count: 4) { return bytes[0] == 127 }
        guard let bytes = Self.bytes(of: host, family: AF_INET6, count: 16) else { return false }
        return bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
    }

    private static func bytes(of text: String, family: Int32, count: Int) -> [UInt8]? {
        guard !text.utf8.contains(0) else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        // SAFETY: inet_pton writes exactly 4 or 16 bytes, as the family says, and `bytes` has that many.
        let status = unsafe bytes.withUnsafeMutableBytes { unsafe inet_pton(family, text, $0.baseAddress) }
        return status == 1 ? bytes : nil
    }
}
