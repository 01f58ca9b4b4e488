import ClusterModel
import NIOCore
import Synchronization
import WireProtocol
package import WireTransport

/// The router's connections: one per event loop and worker, so that a call and its answer never change threads.
package final class WorkerClients: Sendable {
    private struct Place: Hashable {
        var eventLoop: ObjectIdentifier
        var worker: NodeID
    }

    private struct Entry {
        var address: NodeAddress
        var client: PeerClient
    }

    private let token: String
    private let tls: ClientTLS?
    private let agent: String
    private let entries = Mutex<[Place: Entry]>([:])

    package init(token: String, tls: ClientTLS?, agent: String) {
        self.token = token
        self.tls = tls
        self.agent = agent
    }

    /// The connection to a worker on the given loop; a worker that has moved gets a new one.
    func client(for worker: NodeID, at address: NodeAddress, on eventLoop: any EventLoop) -> PeerClient {
        let place = Place(eventLoop: ObjectIdentifier(eventLoop), worker: worker)
        let (client, outdated) = entries.withLock { entries -> (PeerClient, PeerClient?) in
            let known = entries[place]
            if let known, known.address == address { return (known.client, nil) }
            let client = PeerClient(
                address: address,
                role: .coordinator,
                token: token,
                tls: tls,
                group: eventLoop,
                agent: agent
            )
            entries[place] = Entry(address: address, client: client)
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
