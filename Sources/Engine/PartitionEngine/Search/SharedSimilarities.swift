internal import Synchronization
internal import VectorMath

/// For each probe, the greatest similarity that any of several threads has told.
@safe
final class SharedSimilarities: @unchecked Sendable {
    // Sendable: the buffer is never replaced and its elements are atomic.
    private let count: Int
    private let bits: UnsafeMutablePointer<Atomic<UInt32>>

    init(count: Int) {
        self.count = count
        unsafe bits = .allocate(capacity: count)
        for index in 0..<count { unsafe (bits + index).initialize(to: Atomic((-Float.infinity).orderedBits)) }
    }

    deinit {
        unsafe bits.deinitialize(count: count)
        unsafe bits.deallocate()
    }

    /// The greatest that was told of a probe, this one among them.
    func raise(_ similarity: Float, probe: Int) -> Float {
        precondition(probe < count, "a probe of the search")
        return Float(orderedBits: unsafe bits[probe].max(similarity.orderedBits, ordering: .relaxed).newValue)
    }
}
