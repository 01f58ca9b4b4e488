/// Faults planted around the replicas, in what the simulator stands in for: storage, controller, metadata store.
package enum WorldFault: String, CaseIterable, Sendable {
    /// A write sent again is done again.
    case noDeduplication
    /// A primary may come from outside the in-sync set.
    case electOutsideInSync
    /// A worker whose disk was replaced comes back under its old name.
    case amnesia
    /// The in-sync set shrinks below its minimum.
    case shrinkBelowMinimum
    /// A copy brings faces that were deleted on their way.
    case tombstonesForgotten
    /// The record of a group is changed whatever its version is.
    case noCompareAndSwap
    /// A step goes on although it has been taken back, or held up, meanwhile.
    case regroupWhateverOperations
    /// Shards take others' place although the groups of those have changed meanwhile.
    case succeedWhateverVersions
    /// A successor is sealed before everything of it is on disk.
    case sealBeforeDurable
    /// Of two shards that are frozen to be merged one goes on ordering writes.
    case freezeForgotten
    /// A worker that starts anew removes a successor which is sealed.
    case sealedRemovedAtRestart
    /// What changes while rows come over to a successor does not come over.
    case changesBetweenSlicesForgotten
    /// A successor that takes others' place counts as one that never did before, though its disk may have gone back.
    case successorsAlwaysNew
    /// A read that names its client's last write is answered without it.
    case tokensIgnored
    /// A search leaves shards that do not answer out of what it says it covers.
    case missingShardsForgotten
    /// A search goes on with the shards that have taken the place of one, beside what others have answered.
    case replacedShardsMixed
    /// A codebook is recorded although its rollout has been taken back.
    case rolloutsNeverTakenBack
    /// A step begins whatever has been pinned meanwhile, and nobody who pins sees it.
    case stepsBesidePins
    /// A client tells that nothing was done when that is so of its last attempt alone.
    case earlierAttemptsForgotten
    /// A step whose commit failed counts as durable.
    case failedStepCounted
    /// Writes of a step whose commit failed are told that nothing of them was done.
    case failedStepRefused
    /// What a partition holds counts as durable when it is opened after a commit that failed, though nothing synced it.
    case openedUnsynced
    /// A step that is cut short leaves what it applies, and not how far that is.
    case stepsMixed
    /// A copy that is as long as it was said to be is taken for whole.
    case tornCopyTaken
    /// A coordinator takes a primary that did not answer for one that did nothing.
    case unknownToldAsRejected
    /// A coordinator sends a write to a shard again under another key.
    case otherKeyOnRetry
    /// A coordinator that begins a write anew by a newer map forgets what it tried before.
    case earlierRoundsForgotten
    /// A coordinator acknowledges a write when its first shard has.
    case otherPartsForgotten
    /// A client that sends a write again does not say that it is not new.
    case agesForgotten
    /// A merged shard takes what one of its sources knows of a write for what both were sent.
    case partsTakenForAll
    /// A worker that is to remove a replica looks at the epoch alone, which does not rise when it is a member again.
    case dropsByEpochAlone
    /// Another primary is put in place in the epoch of the one before, and leads in it though it had promised that one.
    case failsOverInTheSameEpoch
    /// An operator's split or merge makes shards of numbers that another one's are to have.
    case numbersGivenTwice
    /// A coordinator tells workers of its records as if it had just read them.
    case recordsYoungerThanRead
    /// A log is cut behind a copy that is on its way, or has come and was not heard of since.
    case logCutBehindCopy

    /// What the faults of a run must be aimed at to show it; nil when any run may.
    package var aim: SimulationCourse.Aim? {
        switch self {
        case .failedStepCounted, .failedStepRefused, .openedUnsynced, .stepsMixed, .tornCopyTaken, .logCutBehindCopy:
            .disks
        case .recordsYoungerThanRead: .divisions
        case .unknownToldAsRejected, .otherKeyOnRetry, .earlierRoundsForgotten, .otherPartsForgotten, .agesForgotten,
            .partsTakenForAll:
            .routers
        case .dropsByEpochAlone: .orders
        default: nil
        }
    }

    /// Runs of the crash matrix that may show it; none when any run may.
    var cells: [MatrixCell] {
        switch self {
        case .sealBeforeDurable, .freezeForgotten, .sealedRemovedAtRestart, .changesBetweenSlicesForgotten:
            MatrixCell.all(of: .split) + MatrixCell.all(of: .merge)
        case .succeedWhateverVersions:
            // A commit that is late, and writes that go on before it.
            [MatrixOperation.split, .merge].flatMap { operation in
                [OperationStage.ended, .sealed].map {
                    MatrixCell(operation, $0, .store, .slow, intervention: .pause)
                }
            }
        case .regroupWhateverOperations:
            // A commit that is late, and a cancellation before it.
            [MatrixOperation.move, .drain].flatMap { operation in
                [OperationStage.caughtUp, .handedOver].map {
                    MatrixCell(operation, $0, .store, .slow, intervention: .cancel)
                }
            }
        case .noDeduplication, .electOutsideInSync, .amnesia, .shrinkBelowMinimum, .tombstonesForgotten,
            .noCompareAndSwap, .successorsAlwaysNew, .tokensIgnored, .missingShardsForgotten, .replacedShardsMixed,
            .rolloutsNeverTakenBack, .stepsBesidePins, .earlierAttemptsForgotten, .failedStepCounted,
            .failedStepRefused, .openedUnsynced, .stepsMixed, .tornCopyTaken, .unknownToldAsRejected,
            .otherKeyOnRetry, .earlierRoundsForgotten, .otherPartsForgotten, .agesForgotten, .partsTakenForAll,
            .dropsByEpochAlone, .failsOverInTheSameEpoch, .numbersGivenTwice, .recordsYoungerThanRead,
            .logCutBehindCopy:
            []
        }
    }
}
