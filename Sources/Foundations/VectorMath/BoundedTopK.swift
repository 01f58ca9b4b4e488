/// Keeps the best `capacity` of the scored ids offered to it: highest score first, the smaller id among equals.
///
/// A binary heap with the worst kept entry at its root; an offer below ``threshold`` costs one comparison. The result
/// does not depend on the order of offers. Memory grows with the entries kept, not with `capacity`.
package struct BoundedTopK: Sendable {
    /// One kept id and its score.
    package struct Entry: Sendable, Equatable {
        package let score: Float
        package let id: UInt64

        @inlinable
        package init(score: Float, id: UInt64) {
            self.score = score
            self.id = id
        }

        /// Whether this entry is ranked before `other`.
        @inlinable
        package func precedes(_ other: Entry) -> Bool {
            score > other.score || (score == other.score && id < other.id)
        }
    }

    package let capacity: Int
    @usableFromInline
    package private(set) var heap: [Entry] = []

    package init(capacity: Int) {
        precondition(capacity >= 0, "capacity must not be negative")
        self.capacity = capacity
        threshold = capacity == 0 ? .infinity : -.infinity
    }

    package var count: Int { heap.count }

    /// A score below this cannot enter: minus infinity until full, then the worst kept score; infinity when nothing
    /// can ever enter.
    @usableFromInline
    package private(set) var threshold: Float

    /// Offers one entry; returns whether it was kept. NaN is never kept.
    @inlinable
    @discardableResult
    package mutating func insert(score: Float, id: UInt64) -> Bool {
        guard score >= threshold else { return false }
        return admit(Entry(score: score, id: id))
    }

    /// Kept entries, best first.
    package func sorted() -> [Entry] {
        heap.sorted { $0.precedes($1) }
    }

    /// The score of the entry at a rank, from 1 to ``count``.
    package func score(ofRank rank: Int) -> Float {
        precondition((1...heap.count).contains(rank), "a rank among the entries kept")
        if rank == heap.count { return heap[0].score }
        return unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: heap.count) { scores in
            for index in heap.indices { unsafe scores[index] = heap[index].score }
            return unsafe Self.greatest(rank, of: scores)
        }
    }

    /// Hoare's selection of the value at a rank among values without NaN, which it moves.
    private static func greatest(_ rank: Int, of values: UnsafeMutableBufferPointer<Float>) -> Float {
        var low = 0
        var high = values.count - 1
        while low < high {
            let pivot = unsafe values[low + (high - low) / 2]
            var left = low
            var right = high
            while left <= right {
                while unsafe values[left] > pivot { left += 1 }
                while unsafe values[right] < pivot { right -= 1 }
                if left <= right {
                    unsafe values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if rank - 1 <= right {
                high = right
            } else if rank - 1 >= left {
                low = left
            } else {
                break
            }
        }
        return unsafe values[rank - 1]
    }

    /// Forgets every entry and keeps the memory.
    package mutating func removeAll() {
        heap.removeAll(keepingCapacity: true)
        threshold = capacity == 0 ? .infinity : -.infinity
    }

    @usableFromInline
    package mutating func admit(_ entry: Entry) -> Bool {
        guard heap.count == capacity else {
            heap.append(entry)
            siftUp()
            if heap.count == capacity { threshold = heap[0].score }
            return true
        }
        guard capacity > 0, entry.precedes(heap[0]) else { return false }
        heap[0] = entry
        siftDown()
        threshold = heap[0].score
        return true
    }

    private mutating func siftUp() {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[parent].precedes(heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var worst = parent
            let left = 2 * parent + 1
            if left < heap.count, heap[worst].precedes(heap[left]) { worst = left }
            if left + 1 < heap.count, heap[worst].precedes(heap[left + 1]) { worst = left + 1 }
            guard worst != parent else { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }
}
