/// Keeps the best rows of one probe by estimated similarity, without an order among them.
///
/// Rows are collected up to twice the capacity, then the worse half is dropped by selection: an amortised constant
/// number of steps a row, where a heap takes a logarithm. The result does not depend on the order of offers; of equal
/// estimates the lower row stays.
package struct CandidateSet: Sendable {
    private let capacity: Int
    /// Score and row in one number each: greater is better.
    private var keys: [UInt64] = []
    /// An estimate below this cannot stay: minus infinity until the capacity was first exceeded.
    private(set) var threshold: Float = -.infinity

    init(capacity: Int) {
        precondition(capacity > 0, "a set keeps at least one candidate")
        self.capacity = capacity
        keys.reserveCapacity(2 * capacity)
    }

    /// Offers one row; NaN is never kept.
    mutating func insert(estimate: Float, row: UInt32) {
        guard estimate >= threshold else { return }
        keys.append(Self.key(estimate, row))
        if keys.count == 2 * capacity { dropWorse() }
    }

    /// The best rows, at most as many as the capacity, by row.
    package mutating func rows() -> [UInt32] {
        if keys.count > capacity { dropWorse() }
        return keys.map { ~UInt32(truncatingIfNeeded: $0) }.sorted()
    }

    /// Hoare's selection: moves the best `capacity` keys to the front, then cuts.
    private mutating func dropWorse() {
        unsafe keys.withUnsafeMutableBufferPointer { keys in
            var low = 0
            var high = keys.count - 1
            while low < high {
                let pivot = unsafe keys[low + (high - low) / 2]
                var left = low
                var right = high
                while left <= right {
                    while unsafe keys[left] > pivot { left += 1 }
                    while unsafe keys[right] < pivot { right -= 1 }
                    if left <= right {
                        unsafe keys.swapAt(left, right)
                        left += 1
                        right -= 1
                    }
                }
                if capacity - 1 <= right {
                    high = right
                } else if capacity - 1 >= left {
                    low = left
                } else {
                    break
                }
            }
        }
        keys.removeLast(keys.count - capacity)
        threshold = Self.estimate(keys.min() ?? 0)
    }

    /// The bits of a float, changed so that they sort as the float does, above the inverted row.
    private static func key(_ estimate: Float, _ row: UInt32) -> UInt64 {
        let bits = estimate.bitPattern
        let ordered = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
        return UInt64(ordered) << 32 | UInt64(~row)
    }

    private static func estimate(_ key: UInt64) -> Float {
        let ordered = UInt32(key >> 32)
        return Float(bitPattern: ordered & 0x8000_0000 != 0 ? ordered & 0x7fff_ffff : ~ordered)
    }
}
