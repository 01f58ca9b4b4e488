package import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// What is known of a write that comes again.
///
/// A shard that took the place of two may have a receipt of which only one of them knew: the other had refused its part
/// of the write, or was never sent it. Such a receipt says where on the ring it tells of every row
/// (``ReceiptRecord/reach``). A row there is the one that was written, or the key was used for another write. Rows
/// elsewhere are yet to be done, under the key's own ``IdempotencyKey/ofRest``: as a write like any other, which leaves
/// a receipt like any other, and which every replica does whatever it remembers of the first.
extension Partition {
    /// Rows of a write that have not been done, though others of it have.
    package struct UndoneRows: Hashable, Sendable {
        /// Positions in the write, ascending.
        package var rows: [Int]
        /// Under which they are to be done.
        package var key: IdempotencyKey
    }

    /// - Parameter change: made when the key is known.
    func known(
        _ key: IdempotencyKey,
        _ transaction: borrowing ReadTransaction,
        _ change: () -> WritePass.Change
    ) throws -> KnownReceipt? {
        guard var known = try tables.anyReceipt(of: key, transaction) else { return nil }
        let change = change()
        let checksums = change.rowChecksums
        // What came from another shard each replica may have in another place.
        let isRecent = known.isRecent && !known.receipt.isInherited
        var key = key
        var undone = Array(checksums.indices)
        var positions = [Int?](repeating: nil, count: checksums.count)
        var outcome = known.receipt.outcome.at([])
        var sequence: UInt64 = 0
        while true {
            let (rows, reach) = (undone, known.receipt.reach)
            let found = known.receipt.positions(
                ofRows: rows.map { checksums[$0] },
                isEnrolment: change.isEnrolment
            ) { row in
                guard let reach else { return true }
                return reach.contains(FaceContribution.place(of: change.face(rows[row]), in: identity.collection.id))
            }
            guard let found else {
                let reused = WriteReceipt(outcome: .keyReused, sequence: known.receipt.sequence)
                return KnownReceipt(receipt: reused, isRecent: isRecent)
            }
            let before = outcome.count
            outcome = outcome.followed(by: known.receipt.outcome) ?? outcome
            sequence = max(sequence, known.receipt.sequence)
            for (row, position) in zip(rows, found) { positions[row] = position.map { before + $0 } }
            undone = rows.filter { positions[$0] == nil }
            if undone.isEmpty { break }
            key = key.ofRest
            guard let next = try tables.anyReceipt(of: key, transaction) else { break }
            known = next
        }
        let receipt = WriteReceipt(
            outcome: WriteReceipt.Outcome(outcome.at(positions.compactMap { $0 })),
            sequence: sequence
        )
        let rest = undone.isEmpty ? nil : UndoneRows(rows: undone, key: key)
        return KnownReceipt(receipt: receipt, isRecent: isRecent, rest: rest)
    }
}

extension Partition.KnownReceipt {
    /// What the whole write answers, once the rest of it has.
    ///
    /// - Precondition: there is a rest.
    package func completed(by other: WriteReceipt) -> WriteReceipt {
        precondition(rest != nil, "something was left to do")
        let rows = rest?.rows ?? []
        let outcome: WriteReceipt.Outcome =
            switch (receipt.outcome, other.outcome) {
            case (.enrolled(let own), .enrolled(let others)): .enrolled(Self.merged(own, others, at: rows))
            case (.deleted(let own), .deleted(let others)): .deleted(Self.merged(own, others, at: rows))
            default: other.outcome
            }
        return WriteReceipt(outcome: outcome, sequence: max(receipt.sequence, other.sequence))
    }

    /// - Parameter positions: of the others among all, ascending.
    private static func merged<Outcome>(_ own: [Outcome], _ others: [Outcome], at positions: [Int]) -> [Outcome] {
        var merged: [Outcome] = []
        merged.reserveCapacity(own.count + others.count)
        var left = own[...]
        for (position, other) in zip(positions, others) {
            let next = left.prefix(position - merged.count)
            merged += next
            left = left.dropFirst(next.count)
            merged.append(other)
        }
        return merged + left
    }
}

extension WriteBatch {
    /// Rows of it that have not been done, as a write of their own.
    ///
    /// - Precondition: it leaves a receipt.
    package func rest(_ undone: Partition.UndoneRows) -> WriteBatch {
        let rest: Operation =
            switch operation {
            case .enrol(let rows, let embeddings):
                .enrol(rows: undone.rows.map { rows[$0] }, embeddings: embeddings.rows(undone.rows))
            case .delete(let faces): .delete(undone.rows.map { faces[$0] })
            case .expire, .beginEpoch, .restore: preconditionFailure("a write that leaves a receipt")
            }
        return WriteBatch(key: undone.key, operation: rest)
    }
}
