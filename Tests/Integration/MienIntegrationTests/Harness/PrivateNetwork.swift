import Foundation
import MienClient

/// Hosts, each in a network namespace of its own, around a router that can lose what they send each other.
///
/// Nobody else can reach them, as if they were on loopback: every interface ends in one of these namespaces, none in
/// that of the machine, and the addresses are of those kept for documentation (192.0.2.0/24). The only way in is a port
/// of loopback. Interfaces and routes end with the namespaces, and those with the story's processes.
final class PrivateNetwork {
    /// One node may be on each.
    struct Host {
        fileprivate let number: Int
        let namespace: NetworkNamespace

        /// Where its node listens.
        var node: MienClient.Address { MienClient.Address(host: address, port: 7400) }

        var address: String { "192.0.2.\(lastByte)" }

        fileprivate var gateway: String { "192.0.2.\(lastByte - 1)" }

        /// The router's interface to it.
        fileprivate var interface: String { "host\(number)" }

        /// The router's routes for what comes from it, before those for everything.
        fileprivate var table: Int { 100 + number }

        private var lastByte: Int { 4 * number + 2 }

        /// A connection to its node that needs no interface.
        func socket() async throws -> TCPSocket {
            try await namespace.connected(to: node.port, of: 0xC000_0200 + UInt32(lastByte))
        }
    }

    let hosts: [Host]
    /// An address of loopback that leads to the node of the first host, as if clients were on that host.
    let entrance: MienClient.Address
    private let stage: Stage
    private let router: NetworkNamespace
    private let proxy: FaultProxy
    private var lost: [(source: Host, target: Host)] = []

    private init(_ stage: Stage, router: NetworkNamespace, hosts: [Host], proxy: FaultProxy) {
        self.stage = stage
        self.router = router
        self.hosts = hosts
        self.proxy = proxy
        entrance = MienClient.Address(host: "127.0.0.1", port: proxy.port)
    }

    /// Plays a story with so many hosts.
    static func play(hosts count: Int, _ story: (Stage, PrivateNetwork) async throws -> Void) async throws {
        try await Stage.play { stage in
            let network = try await start(stage, hosts: count)
            do {
                try await story(stage, network)
            } catch {
                await network.proxy.stop()
                throw error
            }
            await network.proxy.stop()
        }
    }

    private static func start(_ stage: Stage, hosts count: Int) async throws -> PrivateNetwork {
        let router = try await NetworkNamespace.make(stage)
        var hosts: [Host] = []
        for number in 0..<count { hosts.append(Host(number: number, namespace: try await .make(stage))) }
        try await router.run(stage, ["echo 1 > /proc/sys/net/ipv4/ip_forward"] + hosts.flatMap(wiring))
        for host in hosts {
            try await host.namespace.run(
                stage,
                [
                    "ip link set lo up", "ip address add \(host.address)/30 dev out", "ip link set out up",
                    "ip route add default via \(host.gateway)",
                ]
            )
        }
        return PrivateNetwork(stage, router: router, hosts: hosts, proxy: try await FaultProxy.start(to: hosts[0]))
    }

    private static func wiring(of host: Host) -> [String] {
        [
            "ip link add \(host.interface) type veth peer name out netns \(host.namespace.keeper)",
            "ip address add \(host.gateway)/30 dev \(host.interface)", "ip link set \(host.interface) up",
            "ip rule add iif \(host.interface) lookup \(host.table)",
        ]
    }

    // MARK: Loss

    /// From now on all that one host sends to the other vanishes, and neither is told: no refusal, no reset.
    func lose(from source: Host, to target: Host) async throws { try await lose([(source, target)]) }

    /// Likewise in both directions.
    func lose(between one: Host, and other: Host) async throws { try await lose([(one, other), (other, one)]) }

    /// Likewise between one host and all others.
    func cutOff(_ host: Host) async throws {
        try await lose(hosts.filter { $0.number != host.number }.flatMap { [(host, $0), ($0, host)] })
    }

    private func lose(_ pairs: [(source: Host, target: Host)]) async throws {
        try await router.run(stage, pairs.map { "ip route add \(Self.hole($0))" })
        lost += pairs
    }

    /// What is sent arrives again.
    func heal() async throws {
        try await router.run(stage, lost.map { "ip route delete \(Self.hole($0))" })
        lost = []
    }

    private static func hole(_ pair: (source: Host, target: Host)) -> String {
        "blackhole \(pair.target.address) table \(pair.source.table)"
    }

    // MARK: Availability

    /// Whether all of this is permitted here: tried once. Where it is not, a line says why.
    static let isAvailable: Bool = {
        let script = """
            PATH=/usr/sbin:/sbin:$PATH
            set -e
            test "$(id -u)" = 0 || { echo "only root may make network namespaces" >&2; exit 1; }
            exec unshare --net -- sh -e -c '
                echo 1 > /proc/sys/net/ipv4/ip_forward
                ip link add host0 type veth peer name out
                ip rule add iif host0 lookup 100
                ip route add blackhole 192.0.2.2 table 100
                exec nsenter --net=/proc/self/ns/net -- true'
            """
        let trial = Process()
        let words = Pipe()
        trial.executableURL = URL(filePath: "/bin/sh")
        trial.arguments = ["-c", script]
        trial.standardError = words
        do {
            try trial.run()
        } catch {
            print("no private network: \(error)")
            return false
        }
        let reason = String(decoding: words.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        trial.waitUntilExit()
        if trial.terminationStatus != 0 { print("no private network: \(reason)", terminator: "") }
        return trial.terminationStatus == 0
    }()
}
