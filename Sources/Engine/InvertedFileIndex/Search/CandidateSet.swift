internal import VectorMath

/// Keeps the best rows of one probe by estimated similarity, without an order among them, until they are taken out to
/// be compared in full.
///
/// Rows are collected up to one and a half times the capacity, then the worst are dropped by selection: an amortised
/// constant number of steps a row, where a heap takes a logarithm. The result does not depend on the order of offers;
/// of equal estimates the lower row stays.
package struct CandidateSet: Sendable {
    private let capacity: Int
    /// Score and row in one number each: greater is better.
    private var keys: [UInt64] = []
    /// Keys before this place are in falling order, and none behind it is better: see ``takeNext(_:)``.
    private var orderedEnd = 0
    /// Keys before this place have been taken in that order.
    private var takenCount = 0
    /// An estimate below this is not kept.
    package private(set) var threshold: Float = -.infinity
    /// The least estimate kept when worse ones had to go; minus infinity until then.
    private(set) var worstKept: Float = -.infinity
    /// Keys that selections and walks have passed, each as often as they did: what taking rows out costs, but for
    /// sorting those that are taken.
    package private(set) var passedCount = 0

    package init(capacity: Int) {
        precondition(capacity > 0, "a set keeps at least one candidate")
        self.capacity = capacity
    }

    /// Most bytes that the rows kept take.
    var mostByteCount: Int { Self.mostByteCount(capacity: capacity) }

    /// Most bytes that the rows kept by a set of a capacity take.
    package static func mostByteCount(capacity: Int) -> Int {
        (capacity + (capacity + 1) / 2) * MemoryLayout<UInt64>.stride
    }

    /// Raises the threshold; rows kept before stay.
    package mutating func raiseThreshold(to least: Float) {
        threshold = max(threshold, least)
    }

    /// Offers one row; NaN is never kept. Nothing is offered once ``takeNext(_:)`` was asked.
    package mutating func insert(estimate: Float, row: UInt32) {
        guard estimate >= threshold else { return }
        keys.append(Self.key(estimate, row))
        if keys.count >= capacity + (capacity + 1) / 2 { dropWorse() }
    }

    /// Takes out the best rows that are not below the threshold, at most `count`, ascending.
    package mutating func takeBest(_ count: Int) -> [UInt32] {
        let limit = Self.key(threshold, UInt32.max)
        keys.removeAll { $0 < limit }
        if keys.count > capacity { dropWorse() }
        if keys.count > count { select(count) }
        let rows = keys.prefix(count).map(Self.row).sorted()
        keys.removeFirst(min(count, keys.count))
        return rows
    }

    /// Takes out the best rows that are not below the threshold, at most `count`, ascending, once no more are offered:
    /// what ``takeBest(_:)`` takes, without looking at all keys each time.
    package mutating func takeNext(_ count: Int) -> [UInt32] {
        if orderedEnd - takenCount < count { orderMore(count) }
        let limit = Self.key(threshold, UInt32.max)
        let first = takenCount
        let end = min(orderedEnd, first + count)
        while takenCount < end, keys[takenCount] >= limit { takenCount += 1 }
        passedCount += takenCount - first
        return keys[first..<takenCount].map(Self.row).sorted()
    }

    /// Rows kept that are not below the threshold.
    var waitingCount: Int {
        let limit = Self.key(threshold, UInt32.max)
        return keys[takenCount...].count { $0 >= limit }
    }

    /// Puts the best of the keys that are in no order yet behind those that are: each time three times as many as
    /// there are by then, since most searches end soon, and at least `count`.
    private mutating func orderMore(_ count: Int) {
        if orderedEnd == keys.count, orderedEnd > 0 { return }
        let limit = Self.key(threshold, UInt32.max)
        passedCount += keys.count - orderedEnd
        var kept = orderedEnd
        for place in orderedEnd..<keys.count where keys[place] >= limit {
            keys[kept] = keys[place]
            kept += 1
        }
        keys.removeLast(keys.count - kept)
        if orderedEnd == 0, keys.count > capacity { dropWorse() }
        let end = min(keys.count, orderedEnd + max(count, 3 * orderedEnd))
        if end < keys.count { select(end - orderedEnd, from: orderedEnd) }
        keys[orderedEnd..<end].sort(by: >)
        orderedEnd = end
    }

    private mutating func dropWorse() {
        select(capacity)
        keys.removeLast(keys.count - capacity)
        worstKept = Self.estimate(keys.min() ?? 0)
        raiseThreshold(to: worstKept)
    }

    /// Hoare's selection: of the keys from a place on, moves the best `count` to the front.
    private mutating func select(_ count: Int, from first: Int = 0) {
        let last = first + count - 1
        var passed = 0
        unsafe keys.withUnsafeMutableBufferPointer { keys in
            var low = first
            var high = keys.count - 1
            while low < high {
                passed += high - low + 1
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
                if last <= right {
                    high = right
                } else if last >= left {
                    low = left
                } else {
                    break
                }
            }
        }
        passedCount += passed
    }

    /// The estimate's bits, so that they sort as it does, above the inverted row.
    private static func key(_ estimate: Float, _ row: UInt32) -> UInt64 {
        UInt64(estimate.orderedBits) << 32 | UInt64(~row)
    }

    private static func row(_ key: UInt64) -> UInt32 { ~UInt32(truncatingIfNeeded: key) }

    private static func estimate(_ key: UInt64) -> Float { Float(orderedBits: UInt32(key >> 32)) }
}
