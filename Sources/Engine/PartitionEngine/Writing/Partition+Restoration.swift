internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Faces of a backup are put back until the last one is, and never again.
///
/// A batch of them leaves no receipt, and may be sent again long after its first sending, by another run of the same
/// restoration too: by then the collection serves, and who was deleted from it would come back. So the write that ends
/// a restoration leaves a mark in its own commit, by which every replica leaves out what comes behind it in the log.
/// The mark goes along with copies, and into partitions that take the place of others.
extension Partition {
    /// What faces of a backup are answered that come when the last have been put back; nil while they may be put back.
    ///
    /// One that orders writes orders none of them. The end itself may come again, and is done again: it brings nothing.
    func knownReceipt(ofRestoring faces: ArchivedFaces) throws(PartitionError) -> KnownReceipt? {
        guard faces.count > 0 else { return nil }
        do {
            return try environment.read { transaction -> KnownReceipt? in
                guard let end = try restorationEnd(transaction) else { return nil }
                let outcomes = [EnrolOutcome](repeating: .superseded, count: faces.count)
                let receipt = WriteReceipt(outcome: .enrolled(outcomes), sequence: end.sequence)
                return KnownReceipt(receipt: receipt, isRecent: true)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// nil while faces of a backup may be put back, and in a partition that none were put into.
    func restorationEnd(_ transaction: borrowing ReadTransaction) throws -> RestorationEndRecord? {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.restorationEnd).map {
            try unsafe RestorationEndRecord(bytes: $0)
        }
    }
}
