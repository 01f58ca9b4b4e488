package import ClusterModel
package import NIOCore
import Synchronization
package import WireProtocol

/// A node's connections to workers: one for each group of event loops and worker. A router names the loop it runs on,
/// so that a call and its answer never change threads; a controller names all loops.
package final class WorkerClients: Sendable {
    private struct Place: Hashable {
        var group: ObjectIdentifier
        var worker: NodeID
    }

    private struct Entry {
        var address: NodeAddress
        var client: PeerClient
    }

    private let role: PeerRole
    private let token: String
    private let tls: ClientTLS?
    private let agent: String
    private let entries = Mutex<[Place: Entry]>([:])

    package init(role: PeerRole = .coordinator, token: String, tls: ClientTLS?, agent: String) {
        self.role = role
        self.token = token
        self.tls = tls
        self.agent = agent
    }

    /// The connection to a worker on a loop of the group; a worker that has moved gets a new one.
    package func client(for worker: NodeID, at address: NodeAddress, on group: any EventLoopGroup) -> PeerClient {
        let place = Place(group: ObjectIdentifier(group), worker: worker)
        let (client, outdated) = entries.withLock { entries -> (PeerClient, PeerClient?) in
            let known = entries[place]
            if let known, known.address == address { return (known.client, nil) }
            let client = PeerClient(
                address: address,
                node: worker,
                role: role,
                token: token,
                tls: tls,
                group: group,
                agent: agent
            )
            entries[place] = Entry(address: address, client: client)
            return (client, known?.client)
        }
        if let outdated { Task { await outdated.close() } }
        return client
    }

    /// Calls a worker that is silent once, over a connection of its own, to find out why it is. Takes no longer than
    /// the timeout and a last look at the socket, whatever is at the address, and no less where its task is cancelled.
    package func silenceCause(
        of worker: NodeID,
        at address: NodeAddress,
        on group: any EventLoopGroup,
        timeout: Duration
    ) async -> SilenceCause {
        do throws(ConnectFailure) {
            // Nobody waits for its end.
            let peer = try await WireConnection.open(
                to: address,
                as: role,
                token: token,
                tls: tls,
                on: group.next(),
                agent: agent,
                timeout: timeout
            ).peer.node
            return peer == worker ? .answering : .replaced
        } catch {
            return error.silenceCause
        }
    }

    package func close() async {
        let clients = entries.withLock { entries in
            defer { entries = [:] }
            return entries.values.map(\.client)
        }
        for client in clients { await client.close() }
    }
}
