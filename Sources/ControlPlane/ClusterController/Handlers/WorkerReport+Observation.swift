import ClusterModel
import ClusterState
import FaceModel
import WireProtocol

extension WorkerObservation {
    init(_ report: WorkerReport) {
        self.init(
            replicas: Dictionary(
                report.replicas.map { ($0.shard, ReplicaObservation($0)) },
                uniquingKeysWith: { _, last in last }
            ),
            successors: Dictionary(
                report.successors.map { ($0.shard, SuccessorObservation($0)) },
                uniquingKeysWith: { _, last in last }
            ),
            trainings: report.trainings.map(TrainingObservation.init),
            residentByteCount: report.residentByteCount,
            mapped: report.mapped,
            freeDiskByteCount: report.freeDiskByteCount,
            availableMemoryByteCount: report.availableMemoryByteCount,
            memory: report.memory,
            isStopping: report.isStopping,
            kernelLevel: report.kernelLevel,
            activity: report.activity
        )
        for refusal in report.copyRefusals { note(refusal) }
        for shard in report.stuckShards { replicas[shard]?.isStuck = true }
        if report.copyBytesPerSecond > 0 { copyBytesPerSecond = report.copyBytesPerSecond }
        for promise in report.promisedEpochs { replicas[promise.shard]?.promisedEpoch = promise.epoch }
        for applied in report.appliedEpochs { replicas[applied.shard]?.appliedEpoch = applied.epoch }
        for rows in report.searchedRows { replicas[rows.shard]?.searchedRowCount = rows.rowCount }
    }

    private mutating func note(_ refusal: WorkerReport.CopyRefusal) {
        guard var copies = replicas[refusal.shard]?.copies else { return }
        if let index = copies.firstIndex(where: { $0.worker == refusal.worker }) {
            copies[index].refusal = refusal.reason
        } else {
            copies.append(
                .init(worker: refusal.worker, sentByteCount: 0, totalByteCount: 0, refusal: refusal.reason)
            )
        }
        replicas[refusal.shard]?.copies = copies
    }
}

extension WorkerReport {
    init(_ observation: WorkerObservation) {
        self.init(
            replicas: observation.replicas.sorted { $0.key < $1.key }.map { Replica($0.key, $0.value) },
            successors: observation.successors.sorted { $0.key < $1.key }.map { Successor($0.key, $0.value) },
            trainings: observation.trainings.map(Training.init),
            residentByteCount: observation.residentByteCount,
            mapped: observation.mapped,
            freeDiskByteCount: observation.freeDiskByteCount,
            availableMemoryByteCount: observation.availableMemoryByteCount,
            memory: observation.memory,
            isStopping: observation.isStopping,
            kernelLevel: observation.kernelLevel,
            activity: observation.activity
        )
    }
}

extension ReplicaObservation {
    fileprivate init(_ replica: WorkerReport.Replica) {
        let state: State =
            switch replica.state {
            case .opening: .opening
            case .serving: .serving
            case .failed: .failed
            }
        let role: Role =
            switch replica.role {
            case .waiting: .waiting
            case .secondary: .secondary
            case .primary: .primary
            }
        self.init(
            epoch: replica.epoch,
            groupVersion: replica.groupVersion,
            role: role,
            state: state,
            faceCount: replica.faceCount,
            freshCount: replica.freshCount,
            tombstoneCount: replica.tombstoneCount,
            sequence: replica.sequence,
            diskByteCount: replica.diskByteCount,
            generation: replica.generation,
            olderGeneration: replica.olderGeneration,
            olderRowCount: replica.olderRowCount,
            fit: replica.fit,
            checkpoint: replica.checkpoint.map { .init(sequence: $0.sequence, digest: $0.digest) },
            copies: replica.copies.map {
                .init(worker: $0.worker, sentByteCount: $0.sentByteCount, totalByteCount: $0.totalByteCount)
            },
            end: replica.end.map { .init(groupVersion: $0.groupVersion, sequence: $0.sequence) },
            warmth: Double(replica.warmth)
        )
    }
}

extension SuccessorObservation {
    fileprivate init(_ successor: WorkerReport.Successor) {
        let state: State =
            switch successor.state {
            case .copying: .copying
            case .following: .following
            case .sealed:
                .sealed(
                    Dictionary(
                        successor.sources.map {
                            (ShardID(collection: successor.shard.collection, index: $0.shardIndex), $0.sequence)
                        },
                        uniquingKeysWith: { first, _ in first }
                    )
                )
            case .failed: .failed(successor.failure)
            }
        self.init(
            state: state,
            rowCount: successor.rowCount,
            totalRowCount: successor.totalRowCount,
            diskByteCount: successor.diskByteCount
        )
    }
}

extension WorkerReport.Successor {
    fileprivate init(_ shard: ShardID, _ successor: SuccessorObservation) {
        self.init(
            shard: shard,
            state: .copying,
            rowCount: successor.rowCount,
            totalRowCount: successor.totalRowCount,
            diskByteCount: successor.diskByteCount
        )
        switch successor.state {
        case .copying: break
        case .following: state = .following
        case .sealed(let sequences):
            state = .sealed
            sources = sequences.sorted { $0.key < $1.key }.map { .init(shardIndex: $0.key.index, sequence: $0.value) }
        case .failed(let reason):
            state = .failed
            failure = reason
        }
    }
}

extension WorkerReport.Replica {
    fileprivate init(_ shard: ShardID, _ replica: ReplicaObservation) {
        let state: WorkerReport.ReplicaState =
            switch replica.state {
            case .opening: .opening
            case .serving: .serving
            case .failed: .failed
            }
        let role: WorkerReport.ReplicaRole =
            switch replica.role {
            case .waiting: .waiting
            case .secondary: .secondary
            case .primary: .primary
            }
        self.init(
            shard: shard,
            epoch: replica.epoch,
            groupVersion: replica.groupVersion,
            role: role,
            state: state,
            faceCount: replica.faceCount,
            freshCount: replica.freshCount,
            tombstoneCount: replica.tombstoneCount,
            sequence: replica.sequence,
            diskByteCount: replica.diskByteCount,
            generation: replica.generation,
            olderGeneration: replica.olderGeneration,
            olderRowCount: replica.olderRowCount,
            fit: replica.fit,
            checkpoint: replica.checkpoint.map { .init(sequence: $0.sequence, digest: $0.digest) },
            copies: replica.copies.map {
                .init(worker: $0.worker, sentByteCount: $0.sentByteCount, totalByteCount: $0.totalByteCount)
            },
            end: replica.end.map { .init(groupVersion: $0.groupVersion, sequence: $0.sequence) },
            warmth: Float(replica.warmth)
        )
    }
}

extension TrainingObservation {
    fileprivate init(_ training: WorkerReport.Training) {
        let state: State =
            if let failure = training.failure { .failed(failure) } else if training.isFinished { .finished } else {
                .running(training.progress.map(Progress.init))
            }
        self.init(collection: training.collection, generation: training.generation, state: state)
    }
}

extension TrainingObservation.Progress {
    fileprivate init(_ progress: WorkerReport.Training.Progress) {
        self.init(
            TrainingProgress(stage: progress.stage, share: progress.share),
            elapsed: .milliseconds(Int64(clamping: progress.elapsedMilliseconds))
        )
    }
}

extension WorkerReport.Training.Progress {
    init(_ progress: TrainingObservation.Progress) {
        self.init(
            stage: progress.progress.stage,
            share: progress.progress.share,
            elapsedMilliseconds: ClusterController.milliseconds(progress.elapsed)
        )
    }
}

extension WorkerReport.Training {
    fileprivate init(_ training: TrainingObservation) {
        var failure: String?
        var progress: Progress?
        switch training.state {
        case .failed(let reason): failure = reason
        case .running(let running): progress = running.map(Progress.init)
        case .finished: break
        }
        self.init(
            collection: training.collection,
            generation: training.generation,
            isFinished: training.state == .finished,
            failure: failure,
            progress: progress
        )
    }
}
