/// What an `admin_listen` key may hold.
enum AdminListenChoice: Hashable, Sendable {
    case automatic
    case off
    case address(NetworkAddress)

    init?(_ text: String) {
        switch text {
        case "auto": self = .automatic
        case "off": self = .off
        default:
            guard let address = NetworkAddress(text), address.isNumeric else { return nil }
            self = .address(address)
        }
    }
}

/// Where a node tells of itself over HTTP: metrics, health and readiness.
package struct AdminListener: Hashable, Sendable {
    package var address: NetworkAddress
    /// Whether the node chose the address itself, and goes on without when it cannot have it.
    package var isAutomatic: Bool

    package init(address: NetworkAddress, isAutomatic: Bool) {
        self.address = address
        self.isAutomatic = isAutomatic
    }

    /// How far the automatic port is from the node's own.
    private static let portDistance = 1000

    /// - Parameter listen: where the node itself listens.
    /// - Returns: nil when there is to be none.
    init?(_ choice: AdminListenChoice, besides listen: NetworkAddress) {
        switch choice {
        case .off: return nil
        case .address(let address): self.init(address: address, isAutomatic: false)
        case .automatic:
            let distance = listen.port + Self.portDistance <= 65535 ? Self.portDistance : -Self.portDistance
            let port = listen.port == 0 ? 0 : listen.port + distance
            self.init(address: NetworkAddress(host: "127.0.0.1", port: port), isAutomatic: true)
        }
    }
}

extension AdminListener {
    /// Reads the role's key and holds it to the rules of every listener.
    static func read(
        _ key: ConfigurationKey<AdminListenChoice>,
        besides listen: NetworkAddress,
        listenKey: String,
        isProtectedBy protection: (tls: TLSFiles?, token: AccessToken?),
        _ configuration: inout LayeredConfiguration
    ) -> AdminListener? {
        guard let admin = AdminListener(configuration.value(key), besides: listen) else { return nil }
        if admin.isAutomatic { return admin }
        ListenerPolicy.check(
            listen: admin.address,
            key: key.path,
            // Nobody is told of it: those who read it know where it is.
            advertise: admin.address,
            advertiseKey: key.path,
            isProtectedBy: protection,
            &configuration
        )
        if admin.address.clashes(with: listen) {
            let place = configuration.place(of: key.path)
            configuration.note(.portClash(place, key: key.path, otherKey: listenKey, address: "\(admin.address)"))
        }
        return admin
    }
}
