/// Faces as they are stored, bit for bit: what a backup holds, and what a restore puts back.
package struct ArchivedFaces: Hashable, Sendable {
    package struct Row: Hashable, Sendable {
        package var id: FaceID
        package var version: FaceVersion
        package var metadata: FaceMetadata

        package init(id: FaceID, version: FaceVersion, metadata: FaceMetadata) {
            self.id = id
            self.version = version
            self.metadata = metadata
        }
    }

    package let dimension: Int
    package let precision: StoredPrecision
    package private(set) var rows: [Row]
    /// `[rows.count × rowByteCount]`: the stored components, little-endian.
    package private(set) var embeddings: [UInt8]

    package init(dimension: Int, precision: StoredPrecision) {
        self.init(dimension: dimension, precision: precision, rows: [], embeddings: [])
    }

    /// - Precondition: one embedding for each row.
    package init(dimension: Int, precision: StoredPrecision, rows: [Row], embeddings: [UInt8]) {
        precondition(embeddings.count == rows.count * dimension * precision.byteCount, "one embedding for each row")
        self.dimension = dimension
        self.precision = precision
        self.rows = rows
        self.embeddings = embeddings
    }

    package var count: Int { rows.count }
    package var rowByteCount: Int { dimension * precision.byteCount }

    /// The stored embedding of a row.
    package func embedding(_ row: Int) -> ArraySlice<UInt8> {
        embeddings[row * rowByteCount..<(row + 1) * rowByteCount]
    }

    /// - Precondition: an embedding of `rowByteCount` bytes.
    package mutating func append(_ row: Row, embedding: some Swift.Collection<UInt8>) {
        precondition(embedding.count == rowByteCount, "an embedding of the same shape")
        rows.append(row)
        embeddings.append(contentsOf: embedding)
    }

    /// The rows at these positions, in their order.
    package func rows(_ positions: [Int]) -> ArchivedFaces {
        var part = ArchivedFaces(dimension: dimension, precision: precision)
        part.rows.reserveCapacity(positions.count)
        part.embeddings.reserveCapacity(positions.count * rowByteCount)
        for position in positions { part.append(rows[position], embedding: embedding(position)) }
        return part
    }

    /// Why the faces cannot be stored, as one sentence without their content; nil when they can.
    ///
    /// Embeddings must be finite and of unit length, up to what rounding moves it.
    package var problem: String? {
        for row in rows {
            if let problem = row.metadata.problem { return problem }
        }
        return rows.indices.allSatisfy { precision.hasUnitLength(embedding($0)) } ? nil : UnitLength.problem
    }
}
