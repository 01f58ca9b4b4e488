import ClusterModel
import ClusterState
import FaceModel
import Logging
import Synchronization
import WireProtocol

/// The lease that makes one of several coordinators the controller.
extension ClusterController {
    static let noLongerController = WireStatus(
        .unavailable,
        "This coordinator does not hold the controller lease any more; the one that does goes on with it."
    )

    /// Tells the others of this coordinator and competes for the lease until cancelled.
    func competeForLease(at address: NodeAddress) async {
        let node = node
        let candidate = LeaseCandidate(
            presence: .init(
                key: ClusterRecords.coordinatorKey(node),
                value: ClusterRecords.coordinator(at: address, started: .wallClock)
            ),
            leaseKey: ClusterRecords.controllerKey,
            leaseValue: {
                ClusterRecords.controller(ControllerTerm(coordinator: node, since: .wallClock))
            },
            // Another may be able to read what this one cannot.
            mayHold: { self.state.withLock { !$0.unreadable.areThere } }
        )
        await store.compete(as: candidate) { self.take($0) }
        take(.waiting)
    }

    private func take(_ standing: LeaseStanding) {
        let time = Timestamp.wallClock
        let now = now
        let before = state.withLock { state in
            defer {
                if state.standing.isHeld != standing.isHeld {
                    state.standingSince = time
                    state.operations.leaseChanged(now: now)
                }
                if standing.isHeld, !state.standing.isHeld { state.watch.begin(now: now) }
                state.standing = standing
            }
            return state.standing
        }
        switch (before, standing) {
        case (.held, .held): break
        case (_, .held): logger.notice("this coordinator is the controller now")
        case (.held, .waiting): logger.notice("this coordinator is the controller no more")
        case (.unreachable, .waiting): logger.notice("the metadata store answers again")
        case (.unreachable, .unreachable): break
        case (_, .unreachable(let reason)):
            logger.error(
                "the metadata store does not answer; searches and writes go on, changes of the cluster wait",
                metadata: ["reason": "\(reason)"]
            )
        case (.waiting, .waiting): break
        }
        changes.raise()
    }

    /// The coordinators, in order of id, and who of them is the controller since when.
    ///
    /// Where there is only one it is in no record.
    func coordinators(in state: State) -> [ClusterStatus.Coordinator] {
        var addresses = state.records.coordinators
        if addresses[node] == nil, let address = state.address { addresses[node] = address }
        let recorded = state.records.controller
        let own =
            state.standing == .held(fence: nil)
            ? ControllerTerm(coordinator: node, since: state.standingSince) : nil
        let term = own ?? recorded
        return addresses.sorted { $0.key < $1.key }.map { id, address in
            ClusterStatus.Coordinator(
                id: id,
                address: address,
                controllerSince: term?.coordinator == id ? term?.since : nil
            )
        }
    }

    /// Why what was agreed on cannot be changed now, as a sentence; nil when it can.
    ///
    /// Searches and writes do not need the metadata store: a coordinator that routes is not taken out of service.
    package var storeProblem: String? {
        if let problem = rivalProblem ?? recordProblem ?? commitProblem { return problem }
        let (standing, older) = state.withLock { ($0.standing, $0.olderRecords) }
        if case .unreachable(let reason) = standing {
            return "The metadata store does not answer, so that the cluster cannot be changed; searches and writes go "
                + "on. " + reason
        }
        if let names = shardNames(of: older.shards) {
            return
                "The metadata store holds older records of \(names) than workers go by, as if it had been put back to "
                + "an earlier state: they are left as they are, and no other replica takes over. Put back newer "
                + "records, or accept these with 'mien metadata accept COLLECTION'."
        }
        return shardNames(of: older.promisedShards).map {
            "A replica of \($0) has promised a later epoch than the metadata store's record has, as if that had been "
                + "put back to an earlier state and gone on: the replica obeys nobody, and is not removed. Give up "
                + "what only it has with 'mien metadata accept COLLECTION'."
        }
    }

    private func shardNames(of older: Set<ShardID>) -> String? {
        guard !older.isEmpty else { return nil }
        let shards = currentView.metadata.collectionsByName.flatMap { record in
            record.placements.map(\.shard).filter(older.contains).map {
                "\(record.collection.configuration.name)/\($0.index)"
            }
        }
        if shards.isEmpty { return nil }
        // Of a thousand shards some are enough.
        return shards.prefix(5).joined(separator: ", ") + (shards.count > 5 ? " and \(shards.count - 5) more" : "")
    }

    /// Why this coordinator steers no worker and changes nothing, as sentences; nil while it can read the records.
    var recordProblem: String? {
        state.withLock(\.unreadable.problem).map {
            "This coordinator cannot read the metadata store, so that it steers no worker and changes nothing; "
                + "searches and writes go on by what it read last. \($0)"
        }
    }

    /// Why this coordinator steers no worker, as a sentence; nil while no worker refuses it.
    var rivalProblem: String? {
        let addresses = Set(state.withLock { $0.rivals.addresses.values.map(\.description) }).sorted()
        if addresses.isEmpty { return nil }
        return "Two coordinators have copies of one metadata store: workers go by the one at "
            + "\(addresses.joined(separator: ", ")) and refuse this one, which steers none and changes nothing; stop "
            + "one of the two."
    }
}
