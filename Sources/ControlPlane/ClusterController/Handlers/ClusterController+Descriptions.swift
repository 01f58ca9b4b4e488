import ClusterModel
import ClusterState
import FaceModel
import Synchronization
import WireProtocol

extension ClusterController {
    func describe(_ request: DescribeCollection) throws(WireStatus) -> CollectionDescription {
        let view = currentView
        guard let record = view.metadata.collection(named: request.name) else { throw Self.notFound(request.name) }
        return description(of: record, in: view)
    }

    /// All collections, in order of name.
    func descriptions() -> [CollectionDescription] {
        let view = currentView
        return view.metadata.collectionsByName.map { description(of: $0, in: view) }
    }

    func status(activity: NodeActivity) -> ClusterStatus {
        let now = now
        let (view, membership, silences, coordinators) = state.withLock { state in
            (state.view(now: now), state.membership, state.silences, self.coordinators(in: state))
        }
        let workers = view.metadata.workers.sorted { $0.key < $1.key }.map { id, address in
            let liveness = membership.liveness(of: id, now: now)
            return ClusterStatus.Worker(
                id: id,
                address: address,
                isLive: liveness.isLive,
                silentMilliseconds: liveness.silence.map(Self.milliseconds) ?? .max,
                standing: view.metadata.standing(of: id),
                report: WorkerReport(view.observations[id] ?? WorkerObservation())
            )
        }
        let rates = view.comparedRowRates
        return ClusterStatus(
            clusterID: view.metadata.clusterID,
            coordinatorID: node,
            version: options.version,
            uptimeSeconds: UInt64(max(now.components.seconds, 0)),
            epoch: view.metadata.epoch,
            activity: activity,
            coordinators: coordinators,
            storeProblem: storeProblem,
            workers: workers,
            collections: view.metadata.collectionsByName.map { description(of: $0, in: view) },
            losses: view.metadata.collectionsByName.map { !$0.losses.isEmpty },
            comparedRowRates: workers.map { rates[$0.id] ?? 0 },
            silenceCauses: workers.map { $0.isLive ? .unknown : silences.cause(of: $0.id) },
            differentShards: view.metadata.collectionsByName.flatMap { record in
                record.placements.filter(view.isDifferent).map(\.shard).sorted()
            }
        )
    }

    func description(of record: CollectionRecord, in view: ClusterView) -> CollectionDescription {
        let shards = record.placements.sorted { $0.range.first < $1.range.first }.map { placement in
            let replica = view.replica(of: placement)
            return CollectionDescription.Shard(
                index: placement.shard.index,
                range: placement.range,
                worker: placement.primary,
                state: Self.state(of: placement, in: view),
                faceCount: replica?.faceCount ?? 0,
                freshCount: replica?.freshCount ?? 0,
                tombstoneCount: replica?.tombstoneCount ?? 0,
                sequence: replica?.sequence ?? 0,
                generation: replica?.generation ?? 0,
                olderGeneration: replica?.olderGeneration ?? 0,
                olderRowCount: replica?.olderRowCount ?? 0,
                replicas: placement.group.members.map { Self.replica(of: placement, on: $0, in: view) }
            )
        }
        let codebook = record.codebook?.summary
        let faceCount = shards.reduce(0) { $0 + $1.faceCount }
        let underWay = training(of: record, in: view)
        let training: CollectionDescription.TrainingState =
            if underWay != nil {
                .running
            } else if codebook != nil {
                .trained
            } else if faceCount >= max(options.training.minimumFaceCount, 1),
                view.metadata.rolloutState(of: record.collection.id, generation: record.nextGeneration) != .cancelled
            {
                .running
            } else {
                .notNeeded
            }
        return CollectionDescription(
            collection: record.collection,
            shards: shards,
            training: training,
            codebook: codebook,
            standing: record.codebook.map { codebook in
                // What replicas of another generation say is of another codebook.
                let replicas = record.placements.compactMap { view.replica(of: $0) }
                let fits = replicas.filter { $0.generation == codebook.generation }.map(\.fit)
                return .init(origin: codebook.origin, fit: CodebookFit(of: fits))
            },
            trainingUnderWay: underWay,
            restoredFrom: record.restoration?.backup
        )
    }

    /// The training of the next codebook, as the worker that has begun it tells.
    func training(
        of record: CollectionRecord,
        in view: ClusterView
    ) -> CollectionDescription.Training? {
        for worker in view.liveWorkers.sorted() {
            let state = view.observations[worker]?.training(
                of: record.collection.id,
                generation: record.nextGeneration
            )
            if case .running(let progress?) = state {
                return .init(generation: record.nextGeneration, worker: worker, progress: .init(progress))
            }
        }
        return nil
    }

    static func state(
        of placement: ShardPlacement,
        in view: ClusterView
    ) -> CollectionDescription.ShardState {
        if view.isHosted(placement) { return .serving }
        let present = placement.group.inSync.filter(view.liveWorkers.contains)
        guard !present.isEmpty else { return .missing }
        let isFailed = present.allSatisfy { view.replica(of: placement.shard, on: $0)?.state == .failed }
        return isFailed ? .failed : .opening
    }

    private static func replica(
        of placement: ShardPlacement,
        on member: NodeID,
        in view: ClusterView
    ) -> CollectionDescription.Replica {
        let observation = view.replica(of: placement.shard, on: member)
        let isLive = view.liveWorkers.contains(member)
        let state: CollectionDescription.ShardState =
            switch observation?.state {
            case _ where !isLive: .missing
            // No write that must have it ends before its disk answers.
            case .serving where view.isStuck(placement.shard, on: member): .opening
            case .serving: .serving
            case .failed: .failed
            case .opening, nil: .opening
            }
        let role: WorkerReport.ReplicaRole =
            switch observation?.role {
            case _ where !isLive: .waiting
            case .primary: .primary
            case .secondary: .secondary
            case .waiting, nil: .waiting
            }
        return .init(
            worker: member,
            isPrimary: member == placement.primary,
            isInSync: placement.group.isInSync(member),
            role: role,
            state: state,
            sequence: observation?.sequence ?? 0
        )
    }

    var currentView: ClusterView {
        let now = now
        return state.withLock { $0.view(now: now) }
    }

    static func notFound(_ name: String) -> WireStatus {
        WireStatus(
            .notFound,
            "There is no collection '\(name.prefix(64))'; 'mien collection list' shows those there are."
        )
    }

    static func milliseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(seconds, 0)) * 1000 + UInt64(max(attoseconds, 0) / 1_000_000_000_000_000)
    }
}
