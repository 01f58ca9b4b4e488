import ClusterModel
import FaceModel
import NIOCore
import Testing
import WireProtocol

/// The least that a value takes bounds how many of them a message may claim: a list of the smallest is not refused.
struct LeastByteCountTests {
    private static var types: [any WireValue.Type] {
        [
            FaceID.self, CollectionID.self, IdempotencyKey.self, Timestamp.self, BoundingBox.self, FaceMetadata.self,
            EnrolRow.self, EnrolOutcome.self, DeleteOutcome.self, StoredFace.self, Match.self, NodeID.self,
            ShardID.self, CollectionDeleted.Worker.self,
            Epoch.self, MappedMemory.self, MemoryLedger.self, NodeActivity.self, HashRange.self, NodeAddress.self,
            ReplicaGroup.self, GroupProposal.self, ProbeOutcome.self, Coverage.MissingShard.self,
            ShardVerified.Replica.self, ConsistencyToken.self, ListPosition.self, ListPosition.Stretch.self,
            RecoverShard.Confirmation.self, LossList.Loss.self, ClusterStatus.Worker.self,
            ClusterStatus.Coordinator.self,
            CollectionDescription.Replica.self, CollectionDescription.Shard.self, CalibrationPoint.self,
            CollectionDescription.Codebook.self, CollectionDescription.CodebookStanding.self,
            CollectionDescription.Training.self, CollectionDescription.self, ReplicaChange.self,
            OperationPlan.Load.self,
            OperationDescription.self, OperationDescription.Rollout.self, OperationDescription.Rollout.Shard.self,
            OperationDescription.Step.self, ShardExplanation.Verdict.self, AcceptRecord.Confirmation.self,
            RecordAccepted.Replica.self, WorkerReport.Replica.self, WorkerReport.Successor.self,
            WorkerReport.Successor.Source.self, WorkerReport.Copy.self, WorkerReport.SearchedRows.self,
            WorkerReport.PromisedEpoch.self, WorkerReport.AppliedEpoch.self, WorkerReport.CopyRefusal.self,
            WorkerReport.Training.Progress.self, WorkerReport.Training.self, HeldCopy.self, ShardGroup.self,
            HeartbeatReply.Node.self, TrainCodebook.Source.self, LogEntryBytes.self, AppendEntries.Lease.self,
            ArchivePosition.self, ArchivedEntry.self, ErasurePosition.self, Erasure.self, SnapshotID.self,
            ErasureKey.self,
            ArchivedFaces.Row.self, ArchivedFaces.self, BackupBegun.Shard.self,
        ]
    }

    private static func canBeRead<Value: WireValue>(_ type: Value.Type, _ bytes: [UInt8]) -> Bool {
        var reader = PayloadReader(ByteBuffer(bytes: bytes), limits: Wire.limits)
        return (try? Value(decoding: &reader)) != nil
    }

    private static func leastByteCount<Value: WireValue>(_ type: Value.Type) -> Int { type.leastByteCount }

    @Test func nothingIsReadFromFewerBytes() {
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        for type in Self.types {
            let byteCount = Self.leastByteCount(type) - 1
            for _ in 0..<3000 {
                // Mostly zeros: absent values and empty texts, and small numbers that choose among forms.
                let bytes = (0..<byteCount).map { _ in
                    Int.random(in: 0...3, using: &numbers) > 0 ? 0 : UInt8.random(in: 0...7, using: &numbers)
                }
                if Self.canBeRead(type, bytes) {
                    Issue.record("\(type) in \(byteCount) bytes, seed \(seed)")
                    break
                }
            }
        }
    }

    /// A collection that was merged and then deleted has no name.
    @Test func operationsOfDeletedCollectionsCanBeListed() throws {
        let steps = (0..<3).map { index in
            OperationDescription.Step(
                collection: "",
                shardIndex: UInt32(index),
                change: .merge(with: 7, into: 8),
                state: .done
            )
        }
        let step = try #require(steps.first)
        var writer = PayloadWriter(ByteBuffer())
        step.encode(into: &writer)
        #expect(writer.payloadByteCount == OperationDescription.Step.leastByteCount)
        let list = OperationList(operations: [
            OperationDescription(
                id: OperationID(high: 1, low: 2),
                kind: .change,
                state: .done,
                created: Timestamp(milliseconds: 3),
                steps: steps
            )
        ])
        #expect(try Wire.decode(Wire.payloadBytes(list), like: list) == list)
    }
}
