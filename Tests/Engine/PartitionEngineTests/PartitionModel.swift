import FaceModel
import PartitionEngine
import PartitionStore

/// What a partition must hold and answer, in the plainest form: a dictionary and a loop over it.
struct PartitionModel {
    struct Face {
        /// As stored: rounded to the stored precision.
        var embedding: [Float]
        var metadata: FaceMetadata
        var version: FaceVersion
    }

    let precision: StoredPrecision
    private(set) var faces: [FaceID: Face] = [:]
    private(set) var sequence: UInt64 = 0
    private var epoch: UInt64 = 0
    private var receipts: [IdempotencyKey: WriteReceipt] = [:]
    /// Keys of the receipts, oldest first.
    private var receiptOrder: [IdempotencyKey] = []
    private let receiptLimit: Int

    init(precision: StoredPrecision, receiptLimit: Int = .max) {
        self.precision = precision
        self.receiptLimit = receiptLimit
    }

    func receipt(of key: IdempotencyKey) -> WriteReceipt? { receipts[key] }

    mutating func write(_ batches: [WriteBatch], epoch: UInt64) -> [WriteReceipt] {
        batches.map { batch in
            if let known = receipts[batch.key] { return known }
            self.epoch = max(self.epoch, epoch)
            return apply(batch)
        }
    }

    /// An entry of the log: its sequence counts even when its key is known.
    mutating func apply(_ batch: WriteBatch, epoch: UInt64) {
        self.epoch = epoch
        if receipts[batch.key] == nil { _ = apply(batch) } else { sequence += 1 }
    }

    private mutating func apply(_ batch: WriteBatch) -> WriteReceipt {
        sequence += 1
        let outcome: WriteReceipt.Outcome
        switch batch.operation {
        case .enrol(let rows, let embeddings):
            outcome = .enrolled(
                rows.indices.map { index in
                    let row = rows[index]
                    if rows[(index + 1)...].contains(where: { $0.id == row.id }) { return .superseded }
                    let face = Face(
                        embedding: embeddings.row(index).map { rounded($0) },
                        metadata: row.metadata,
                        version: FaceVersion(epoch: self.epoch, sequence: sequence)
                    )
                    return faces.updateValue(face, forKey: row.id) == nil ? .accepted : .replaced
                }
            )
        case .delete(let ids):
            outcome = .deleted(ids.map { faces.removeValue(forKey: $0) == nil ? .absent : .deleted })
        case .expire(let moment, let ids):
            let expired = Set(ids).filter { faces[$0]?.metadata.expires.map { $0 <= moment } ?? false }
            for id in expired { faces[id] = nil }
            return WriteReceipt(outcome: .expired(faceCount: expired.count), sequence: sequence)
        case .beginEpoch: return WriteReceipt(outcome: .epochBegun, sequence: sequence)
        case .restore: preconditionFailure("restorations have tests of their own")
        }
        let receipt = WriteReceipt(outcome: outcome, sequence: sequence)
        receipts[batch.key] = receipt
        receiptOrder.append(batch.key)
        if receiptOrder.count > receiptLimit { receipts[receiptOrder.removeFirst()] = nil }
        return receipt
    }

    /// Removes expired faces as the first step of maintenance does.
    mutating func expire(now: Timestamp) {
        let kept = faces.filter { $0.value.metadata.expires.map { $0 > now } ?? true }
        if kept.count < faces.count { sequence += 1 }
        faces = kept
    }

    /// What a filter means.
    static func passes(_ face: FaceMetadata, _ filter: FaceFilter?) -> Bool {
        guard let filter else { return true }
        func isOne(_ value: String?, of ids: [String]?) -> Bool {
            ids.map { ids in value.map { ids.contains($0) } ?? false } ?? true
        }
        return isOne(face.personID, of: filter.personIDs) && isOne(face.externalImageID, of: filter.externalImageIDs)
            && filter.attributes.allSatisfy { face.attributes[$0.key] == $0.value }
            && filter.createdFrom.map { from in face.created.map { $0 >= from } ?? false } ?? true
            && filter.createdBefore.map { end in face.created.map { $0 < end } ?? false } ?? true
    }

    /// Every face that may be found, best first.
    func ranking(
        probe: [Float],
        threshold: Float?,
        filter: FaceFilter? = nil,
        excluding: FaceID?,
        now: Timestamp
    ) -> [Found] {
        var scored: [(face: FaceID, similarity: Float)] = []
        for (id, face) in faces where id != excluding && face.metadata.expires.map({ $0 > now }) ?? true {
            guard Self.passes(face.metadata, filter) else { continue }
            let similarity = Self.innerProduct(probe, face.embedding)
            if similarity >= threshold ?? -.infinity { scored.append((id, min(1, max(-1, similarity)))) }
        }
        scored.sort { $0.similarity != $1.similarity ? $0.similarity > $1.similarity : $0.face < $1.face }
        return scored.map { Found($0.face, $0.similarity) }
    }

    private func rounded(_ value: Float) -> Float {
        precision == .float16 ? Float(Float16(value)) : value
    }

    /// The order of summation that `vector_kernels.h` states: 16 lanes, fused, then halves.
    static func innerProduct(_ probe: [Float], _ row: [Float]) -> Float {
        var lanes = [Float](repeating: 0, count: 16)
        for index in probe.indices { lanes[index % 16] = lanes[index % 16].addingProduct(probe[index], row[index]) }
        for half in [8, 4, 2, 1] {
            for lane in 0..<half { lanes[lane] += lanes[lane + half] }
        }
        return lanes[0]
    }
}
