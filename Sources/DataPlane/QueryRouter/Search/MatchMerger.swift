import FaceModel

/// Merges the shards' matches of one probe, each list best first, by a heap of the lists' heads.
enum MatchMerger {
    private struct Head {
        var similarity: Float
        var faceID: FaceID
        var list: Int
        var position: Int

        func ranksBefore(_ other: Head) -> Bool {
            similarity != other.similarity ? similarity > other.similarity : faceID < other.faceID
        }
    }

    /// The best `limit` matches of all lists, in the order of ``Match/ranksBefore(_:_:)``.
    static func merge(_ lists: [[Match]], limit: Int) -> [Match] {
        if lists.count == 1 { return Array(lists[0].prefix(limit)) }
        func head(of list: Int, at position: Int) -> Head? {
            guard position < lists[list].count else { return nil }
            let match = lists[list][position]
            return Head(similarity: match.similarity, faceID: match.faceID, list: list, position: position)
        }
        var heap = lists.indices.compactMap { head(of: $0, at: 0) }
        for index in stride(from: heap.count / 2 - 1, through: 0, by: -1) { siftDown(&heap, from: index) }
        var merged: [Match] = []
        merged.reserveCapacity(min(limit, lists.reduce(0) { $0 + $1.count }))
        while merged.count < limit, let best = heap.first {
            merged.append(lists[best.list][best.position])
            if let next = head(of: best.list, at: best.position + 1) {
                heap[0] = next
            } else {
                heap[0] = heap[heap.count - 1]
                heap.removeLast()
            }
            siftDown(&heap, from: 0)
        }
        return merged
    }

    private static func siftDown(_ heap: inout [Head], from start: Int) {
        var parent = start
        while true {
            var best = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].ranksBefore(heap[best]) {
                best = child
            }
            if best == parent { return }
            heap.swapAt(parent, best)
            parent = best
        }
    }
}
