import ClusterModel
package import NIOCore
import Synchronization
import WireProtocol
package import WireTransport

/// The controller's connections: one per worker, remade when the worker's address changes.
package final class WorkerConnections: Sendable {
    private struct Entry {
        var address: NodeAddress
        var client: PeerClient
    }

    private let group: any EventLoopGroup
    private let token: String
    private let tls: ClientTLS?
    private let agent: String
    private let entries = Mutex<[NodeID: Entry]>([:])

    package init(group: any EventLoopGroup, token: String, tls: ClientTLS?, agent: String) {
        self.group = group
        self.token = token
        self.tls = tls
        self.agent = agent
    }

    func client(for worker: NodeID, at address: NodeAddress) -> PeerClient {
        let (client, outdated) = entries.withLock { entries -> (PeerClient, PeerClient?) in
            let known = entries[worker]
            if let known, known.address == address { return (known.client, nil) }
            let client = PeerClient(
                address: address,
                role: .coordinator,
                token: token,
                tls: tls,
                group: group,
                agent: agent
            )
            entries[worker] = Entry(address: address, client: client)
            return (client, known?.client)
        }
        if let outdated { Task { await outdated.close() } }
        return client
    }

    package func close() async {
        let clients = entries.withLock { entries in
            defer { entries = [:] }
            return entries.values.map(\.client)
        }
        for client in clients { await client.close() }
    }
}
