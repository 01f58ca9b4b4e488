import Foundation

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }

    /// `MIEN_TEST_SEED`, or a new one; printed, so that a failure can be played again.
    static func storySeed(_ story: String) -> UInt64 {
        let named = ProcessInfo.processInfo.environment["MIEN_TEST_SEED"].flatMap { UInt64($0) }
        let seed = named ?? UInt64.random(in: 1...999_999_999)
        print("\(story): MIEN_TEST_SEED=\(seed)")
        return seed
    }

    /// A random direction of unit length.
    mutating func direction(dimension: Int) -> [Float] {
        var values: [Float] = []
        for _ in 0..<dimension {
            // Twelve uniform numbers add up to nearly a normal one.
            var sum: Float = -6
            for _ in 0..<12 { sum += Float.random(in: 0..<1, using: &self) }
            values.append(sum)
        }
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return values.map { $0 / norm }
    }
}
