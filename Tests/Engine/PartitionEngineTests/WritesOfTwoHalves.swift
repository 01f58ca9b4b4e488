import FaceModel
import FaceRecords
import PartitionEngine

/// Writes of faces of all places under one key: of partitions that hold a half of the places each, to each its part.
protocol WritesOfTwoHalves {}

extension WritesOfTwoHalves {
    static var half: UInt64 { .max / 2 }

    var key: IdempotencyKey { IdempotencyKey(high: 5, low: 5) }

    /// Of all places, mixed.
    var ids: [FaceID] { (0..<40).map { FaceID($0) } }

    func ids(in range: ClosedRange<UInt64>) -> [FaceID] {
        let collection = PartitionIdentity.made().collection.id
        return ids.filter { range.contains(FaceContribution.place(of: $0, in: collection)) }
    }

    func embedding(_ face: FaceID) -> [Float] {
        var source = FaceSource(dimension: 64, seed: face.low)
        return source.embedding()
    }

    func enrolment(_ faces: [FaceID], person: String = "p") -> WriteBatch {
        WriteBatch(
            key: key,
            operation: .enrol(
                rows: faces.map { EnrolRow(id: $0, metadata: FaceMetadata(personID: person)) },
                embeddings: EmbeddingMatrix(dimension: 64, values: faces.flatMap { embedding($0) })
            )
        )
    }
}
