internal import Synchronization

/// For each probe, the greatest similarity that any of several threads has told.
@safe
final class SharedSimilarities: @unchecked Sendable {
    // Sendable: the buffer is never replaced and its elements are atomic.
    private let count: Int
    private let bits: UnsafeMutablePointer<Atomic<UInt32>>

    init(count: Int) {
        self.count = count
        unsafe bits = .allocate(capacity: count)
        for index in 0..<count { unsafe (bits + index).initialize(to: Atomic(Self.ordered(-.infinity))) }
    }

    deinit {
        unsafe bits.deinitialize(count: count)
        unsafe bits.deallocate()
    }

    /// The greatest that was told of a probe, this one among them.
    func raise(_ similarity: Float, probe: Int) -> Float {
        precondition(probe < count, "a probe of the search")
        let told = Self.ordered(similarity)
        return Self.float(unsafe bits[probe].max(told, ordering: .relaxed).newValue)
    }

    /// Bits that sort as the float does.
    private static func ordered(_ value: Float) -> UInt32 {
        let bits = value.bitPattern
        return bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
    }

    private static func float(_ ordered: UInt32) -> Float {
        Float(bitPattern: ordered & 0x8000_0000 != 0 ? ordered & 0x7fff_ffff : ~ordered)
    }
}
