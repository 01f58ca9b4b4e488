/// In which order a load takes filled faces for its writes: every face once, scattered, the same each time.
///
/// So a later load that finds the first of them as they were filled knows that all are.
package struct BaseOrder: Sendable {
    package let count: Int
    private let step: Int
    /// Of the step, modulo the count.
    private let inverse: Int

    package init(count: Int) {
        self.count = count
        // Near the golden section, and without a common divisor, so that every face comes once.
        var step = max(1, Int(Double(count) * 0.618_033_988_749_894_9))
        while Self.divisor(step, count) != 1 { step += 1 }
        self.step = step
        inverse = Self.inverse(of: step, modulo: count)
    }

    /// The face at a place of the order: 0 ..< count.
    package func face(at place: Int) -> Int {
        precondition((0..<count).contains(place), "the order has no such place")
        return Int((UInt64(place) * UInt64(step)) % UInt64(count))
    }

    /// The place of a face in the order.
    package func place(of face: Int) -> Int {
        precondition((0..<count).contains(face), "the order has no such face")
        return Int((UInt64(face) * UInt64(inverse)) % UInt64(count))
    }

    /// By Euclid's algorithm; the two numbers have no common divisor.
    private static func inverse(of number: Int, modulo count: Int) -> Int {
        guard count > 1 else { return 0 }
        var (rest, next) = (count, number % count)
        var (factor, nextFactor) = (0, 1)
        while next != 0 {
            let quotient = rest / next
            (rest, next) = (next, rest - quotient * next)
            (factor, nextFactor) = (nextFactor, factor - quotient * nextFactor)
        }
        return ((factor % count) + count) % count
    }

    private static func divisor(_ a: Int, _ b: Int) -> Int { b == 0 ? a : divisor(b, a % b) }
}
