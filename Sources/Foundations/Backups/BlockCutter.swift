package import FaceModel
internal import FaceRecords

/// Cuts the faces of a piece of the ring, in its order, into blocks: at places that follow from the ring alone, so that
/// the same faces give the same blocks whatever is around them, and a write changes the block that it lies in.
///
/// Faces whose places agree in their first ``prefixBits`` bits are one block; where these are too many, several.
package struct BlockCutter: Sendable {
    /// Faces that a block should have, about.
    package static let targetFaceCount = 1024
    package static let prefixBitRange = 8...40

    private let collection: CollectionID
    private let prefixBits: Int
    private var pending: ArchivedFaces
    private var pendingByteCount = 0
    private var prefix: UInt64?

    package init(collection: CollectionID, prefixBits: Int, dimension: Int, precision: StoredPrecision) {
        precondition(Self.prefixBitRange.contains(prefixBits), "a block lies in one slice")
        self.collection = collection
        self.prefixBits = prefixBits
        pending = ArchivedFaces(dimension: dimension, precision: precision)
    }

    /// Bits for a collection of so many faces. Those of an earlier backup stay while they are about right: other bits
    /// would make all blocks anew.
    package static func prefixBits(faceCount: UInt64, earlier: Int?) -> Int {
        var bits = prefixBitRange.lowerBound
        while bits < prefixBitRange.upperBound, faceCount >> UInt64(bits) >= UInt64(targetFaceCount) { bits += 1 }
        if let earlier, abs(earlier - bits) <= 1, prefixBitRange.contains(earlier) { return earlier }
        return bits
    }

    /// Takes the next faces of the ring; blocks that are complete with them.
    package mutating func add(_ faces: ArchivedFaces) -> [ArchivedFaces] {
        var blocks: [ArchivedFaces] = []
        for row in faces.rows.indices {
            let face = faces.rows[row]
            let place = FaceContribution.place(of: face.id, in: collection)
            let own = place >> UInt64(64 - prefixBits)
            let byteCount = faces.rowByteCount + face.metadata.archivedByteCount
            let isFull =
                pending.count >= BackupBlock.faceLimit || pendingByteCount + byteCount > BackupBlock.byteLimit
            if own != prefix || isFull, let block = finish() { blocks.append(block) }
            prefix = own
            pendingByteCount += byteCount
            pending.append(face, embedding: faces.embedding(row))
        }
        return blocks
    }

    /// The last block; nil when there is none.
    package mutating func finish() -> ArchivedFaces? {
        guard pending.count > 0 else { return nil }
        defer {
            pending = ArchivedFaces(dimension: pending.dimension, precision: pending.precision)
            pendingByteCount = 0
        }
        return pending
    }
}

extension FaceMetadata {
    /// Most bytes that a record with it takes in a block.
    fileprivate var archivedByteCount: Int {
        let names = [personID, externalImageID, imageID].reduce(0) { $0 + ($1?.utf8.count ?? 0) }
        return names + 96 + attributes.reduce(0) { $0 + 4 + $1.key.utf8.count + $1.value.utf8.count }
    }
}
