/// In which order a load takes filled faces for its writes: every face once, scattered, the same each time.
///
/// So a later load that finds the first of them as they were filled knows that all are.
package struct BaseOrder: Sendable {
    package let count: Int
    private let step: Int

    package init(count: Int) {
        self.count = count
        // Near the golden section, and without a common divisor, so that every face comes once.
        var step = max(1, Int(Double(count) * 0.618_033_988_749_894_9))
        while Self.divisor(step, count) != 1 { step += 1 }
        self.step = step
    }

    /// The face at a place of the order: 0 ..< count.
    package func face(at place: Int) -> Int {
        precondition((0..<count).contains(place), "the order has no such place")
        return Int((UInt64(place) * UInt64(step)) % UInt64(count))
    }

    private static func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
}
