/// The scheme, host and port of an HTTP server, as in `https://etcd-1.internal:2379`.
package struct HTTPEndpoint: Sendable, Hashable, CustomStringConvertible {
    package var isSecure: Bool
    package var address: NetworkAddress

    /// Nil without a scheme, a host or a port, and with anything after the port.
    init?(_ text: String) {
        let isSecure = text.hasPrefix("https://")
        guard isSecure || text.hasPrefix("http://"),
            let address = NetworkAddress(String(text.dropFirst(isSecure ? 8 : 7))), address.port > 0,
            !address.isWildcard
        else { return nil }
        self.isSecure = isSecure
        self.address = address
    }

    package var description: String { "\(isSecure ? "https" : "http")://\(address)" }
}
