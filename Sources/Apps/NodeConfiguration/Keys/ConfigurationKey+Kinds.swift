extension ConfigurationKey {
    /// A whole number.
    static func count(_ path: String, default defaultValue: Int, in range: ClosedRange<Int>) -> ConfigurationKey<Int> {
        ConfigurationKey<Int>(
            path,
            default: "\(defaultValue)",
            allowed: "a whole number from \(range.lowerBound) to \(range.upperBound)"
        ) { wholeNumber($0[0], in: range) }
    }

    /// A whole number, or `auto` (nil) to let the node choose.
    static func automaticCount(_ path: String, in range: ClosedRange<Int>) -> ConfigurationKey<Int?> {
        ConfigurationKey<Int?>(
            path,
            default: "auto",
            allowed: "auto or a whole number from \(range.lowerBound) to \(range.upperBound)"
        ) { texts in
            if texts[0] == "auto" { return .some(nil) }
            return wholeNumber(texts[0], in: range).map { .some($0) }
        }
    }

    /// A size in bytes.
    static func bytes(_ path: String, default defaultBytes: Int, in range: ClosedRange<Int>) -> ConfigurationKey<Int> {
        let unit = UnitText.bytes
        return ConfigurationKey<Int>(
            path,
            default: unit.text(defaultBytes),
            allowed: "a size from \(unit.text(range.lowerBound)) to \(unit.text(range.upperBound)), a whole number "
                + "of B, KiB, MiB, GiB or TiB without a space"
        ) { unit.amount($0[0]).flatMap { range.contains($0) ? $0 : nil } }
    }

    /// A duration; `range` is in milliseconds.
    static func duration(
        _ path: String,
        default defaultMilliseconds: Int,
        in range: ClosedRange<Int>
    ) -> ConfigurationKey<Duration> {
        let unit = UnitText.milliseconds
        return ConfigurationKey<Duration>(
            path,
            default: unit.text(defaultMilliseconds),
            allowed: "a duration from \(unit.text(range.lowerBound)) to \(unit.text(range.upperBound)), a whole number "
                + "of ms, s, m or h without a space"
        ) { unit.amount($0[0]).flatMap { range.contains($0) ? .milliseconds($0) : nil } }
    }

    /// One of the cases of `Value`.
    static func choice<Choice: RawRepresentable<String> & CaseIterable & Sendable>(
        _ path: String,
        default defaultValue: Choice
    ) -> ConfigurationKey<Choice> {
        ConfigurationKey<Choice>(
            path,
            default: defaultValue.rawValue,
            allowed: "one of " + Choice.allCases.map(\.rawValue).joined(separator: ", ")
        ) { Choice(rawValue: $0[0]) }
    }

    /// A file or folder that must be named.
    static func path(_ path: String, default defaultPath: String) -> ConfigurationKey<String> {
        ConfigurationKey<String>(path, default: defaultPath, allowed: "a path") {
            isPath($0[0]) ? $0[0] : nil
        }
    }

    /// A file or folder; empty text (nil) leaves it out.
    static func optionalPath(_ path: String) -> ConfigurationKey<String?> {
        ConfigurationKey<String?>(path, default: "", allowed: "a path, or empty for none") { texts in
            if texts[0].isEmpty { return .some(nil) }
            return isPath(texts[0]) ? .some(texts[0]) : nil
        }
    }

    /// An address to listen on: numbers only, so that what is opened to the network is what is written.
    static func listenAddress(_ path: String, default defaultText: String) -> ConfigurationKey<NetworkAddress> {
        ConfigurationKey<NetworkAddress>(
            path,
            default: defaultText,
            allowed: "an IP address and a port from 0 (any free one) to 65535, such as 127.0.0.1:7400 or [::1]:7400"
        ) { NetworkAddress($0[0]).flatMap { $0.isNumeric ? $0 : nil } }
    }

    /// Where metrics are told: an address to listen on, `auto` or `off`.
    static func adminAddress(_ path: String) -> ConfigurationKey<AdminListenChoice> {
        ConfigurationKey<AdminListenChoice>(
            path,
            default: "auto",
            allowed: "auto, off, or an IP address and a port from 0 (any free one) to 65535, such as 127.0.0.1:8400"
        ) { AdminListenChoice($0[0]) }
    }

    /// An address that others connect to; empty text (nil) leaves it out.
    static func optionalPeerAddress(_ path: String) -> ConfigurationKey<NetworkAddress?> {
        ConfigurationKey<NetworkAddress?>(path, default: "", allowed: "\(peerAddressForm), or empty") { texts in
            if texts[0].isEmpty { return .some(nil) }
            return peerAddress(texts[0]).map { .some($0) }
        }
    }

    /// One or more different URLs of an HTTP server, all of one scheme and without a path.
    static func endpoints(_ path: String, default defaultText: String) -> ConfigurationKey<[HTTPEndpoint]> {
        ConfigurationKey<[HTTPEndpoint]>(
            path,
            default: defaultText,
            isList: true,
            allowed: "a list of different URLs, all http or all https, each with a host and a port and nothing after "
                + "it, such as https://etcd-1.internal:2379"
        ) { texts in
            let endpoints = texts.compactMap(HTTPEndpoint.init)
            guard !texts.isEmpty, endpoints.count == texts.count, Set(endpoints).count == texts.count,
                Set(endpoints.map(\.isSecure)).count == 1
            else { return nil }
            return endpoints
        }
    }

    /// What the keys of one cluster in an etcd begin with; ends with a slash, so that no other's begin with it.
    static func etcdPrefix(_ path: String, default defaultText: String) -> ConfigurationKey<String> {
        ConfigurationKey<String>(
            path,
            default: defaultText,
            allowed: "2 to 128 letters, digits, hyphens, underscores, dots and slashes, with a slash at the end"
        ) { texts in
            let bytes = texts[0].utf8
            let isPlain = bytes.allSatisfy { isLetterOrDigit($0) || "-_./".utf8.contains($0) }
            return isPlain && (2...128).contains(bytes.count) && texts[0].hasSuffix("/") ? texts[0] : nil
        }
    }

    /// A name of 1 to 128 printable characters; empty text (nil) leaves it out.
    static func optionalName(_ path: String) -> ConfigurationKey<String?> {
        ConfigurationKey<String?>(
            path,
            default: "",
            allowed: "1 to 128 printable ASCII characters without spaces, or empty for none"
        ) { texts in
            if texts[0].isEmpty { return .some(nil) }
            let isName = texts[0].utf8.count <= 128 && texts[0].utf8.allSatisfy { (0x21...0x7E).contains($0) }
            return isName ? .some(texts[0]) : .none
        }
    }

    /// One or more different addresses to connect to.
    static func peerAddresses(_ path: String, default defaultText: String) -> ConfigurationKey<[NetworkAddress]> {
        ConfigurationKey<[NetworkAddress]>(
            path,
            default: defaultText,
            isList: true,
            allowed: "a list of different addresses, each \(peerAddressForm)"
        ) { texts in
            let addresses = texts.compactMap(peerAddress)
            guard !texts.isEmpty, addresses.count == texts.count, Set(addresses).count == texts.count else {
                return nil
            }
            return addresses
        }
    }
}

private let peerAddressForm = "a host and a port from 1 to 65535, such as 10.0.0.5:7400 or coordinator-1.internal:7400"

private func peerAddress(_ text: String) -> NetworkAddress? {
    NetworkAddress(text).flatMap { $0.port > 0 && !$0.isWildcard ? $0 : nil }
}

private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
}

private func wholeNumber(_ text: String, in range: ClosedRange<Int>) -> Int? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text) else { return nil }
    return range.contains(number) ? number : nil
}

/// PATH_MAX is 4096 with its terminator; a zero byte would cut the path short in a system call.
private func isPath(_ text: String) -> Bool { !text.isEmpty && text.utf8.count < 4096 && !text.utf8.contains(0) }
