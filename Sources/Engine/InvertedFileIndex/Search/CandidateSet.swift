internal import VectorMath

/// Keeps the best rows of one probe by estimated similarity, without an order among them, until they are taken out to
/// be compared in full.
///
/// Rows are collected up to one and a half times the capacity, then the worst are dropped by selection: an amortised
/// constant number of steps a row, where a heap takes a logarithm. The result does not depend on the order of offers;
/// of equal estimates the lower row stays.
struct CandidateSet: Sendable {
    private let capacity: Int
    /// Score and row in one number each: greater is better.
    private var keys: [UInt64] = []
    /// An estimate below this is not kept.
    private(set) var threshold: Float = -.infinity
    /// The least estimate kept when worse ones had to go; minus infinity until then.
    private(set) var worstKept: Float = -.infinity

    init(capacity: Int) {
        precondition(capacity > 0, "a set keeps at least one candidate")
        self.capacity = capacity
    }

    /// Most bytes that the rows kept take.
    var mostByteCount: Int { (capacity + (capacity + 1) / 2) * MemoryLayout<UInt64>.stride }

    /// Raises the threshold; rows kept before stay.
    mutating func raiseThreshold(to least: Float) {
        threshold = max(threshold, least)
    }

    /// Offers one row; NaN is never kept.
    mutating func insert(estimate: Float, row: UInt32) {
        guard estimate >= threshold else { return }
        keys.append(Self.key(estimate, row))
        if keys.count >= capacity + (capacity + 1) / 2 { dropWorse() }
    }

    /// Takes out the best rows that are not below the threshold, at most `count`, ascending.
    mutating func takeBest(_ count: Int) -> [UInt32] {
        let limit = Self.key(threshold, UInt32.max)
        keys.removeAll { $0 < limit }
        if keys.count > capacity { dropWorse() }
        if keys.count > count { select(count) }
        let rows = keys.prefix(count).map(Self.row).sorted()
        keys.removeFirst(min(count, keys.count))
        return rows
    }

    /// Rows kept that are not below the threshold.
    var waitingCount: Int {
        let limit = Self.key(threshold, UInt32.max)
        return keys.count { $0 >= limit }
    }

    private mutating func dropWorse() {
        select(capacity)
        keys.removeLast(keys.count - capacity)
        worstKept = Self.estimate(keys.min() ?? 0)
        raiseThreshold(to: worstKept)
    }

    /// Hoare's selection: moves the best `count` keys to the front.
    private mutating func select(_ count: Int) {
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
                if count - 1 <= right {
                    high = right
                } else if count - 1 >= left {
                    low = left
                } else {
                    break
                }
            }
        }
    }

    /// The estimate's bits, so that they sort as it does, above the inverted row.
    private static func key(_ estimate: Float, _ row: UInt32) -> UInt64 {
        UInt64(estimate.orderedBits) << 32 | UInt64(~row)
    }

    private static func row(_ key: UInt64) -> UInt32 { ~UInt32(truncatingIfNeeded: key) }

    private static func estimate(_ key: UInt64) -> Float { Float(orderedBits: UInt32(key >> 32)) }
}
