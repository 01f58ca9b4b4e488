package import FaceModel

/// Keeps the rows of the least face ids among those offered to it, whatever the order of offers: twice as many as are
/// wanted at most.
package struct LeastFaces {
    private let capacity: Int
    private var kept: [(face: FaceID, row: UInt64)] = []
    /// Faces from here on are none of the least.
    private var end: FaceID?

    package init(capacity: Int) {
        precondition(capacity > 0, "a set keeps at least one face")
        self.capacity = capacity
    }

    package var count: Int { kept.count }

    /// - Parameter face: offered once.
    package mutating func insert(_ face: FaceID, row: UInt64) {
        if let end, face >= end { return }
        kept.append((face, row))
        if kept.count >= 2 * capacity { dropOthers() }
    }

    /// The rows of the least, at most as many as are wanted, by face id.
    package mutating func rows() -> [UInt64] {
        dropOthers()
        return kept.map(\.row)
    }

    private mutating func dropOthers() {
        kept.sort { $0.face < $1.face }
        guard kept.count >= capacity else { return }
        kept.removeLast(kept.count - capacity)
        end = kept.last?.face
    }
}
