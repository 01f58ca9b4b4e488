internal import Glibc

/// A small seeded generator: the same seed gives the same numbers on every machine.
///
/// Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014), constants of Vigna's `splitmix64.c`.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Standard normal numbers by the Box–Muller transform; keeps the second of each pair for the next call.
package struct GaussianSource: Sendable {
    private var spare: Double?

    package init() {}

    package mutating func next(using generator: inout some RandomNumberGenerator) -> Double {
        if let value = spare {
            spare = nil
            return value
        }
        // 53 random bits; the first uniform is in (0, 1], so that its logarithm is finite.
        let radiusUniform = Double((generator.next() >> 11) + 1) * 0x1p-53
        let angleUniform = Double(generator.next() >> 11) * 0x1p-53
        let radius = (-2 * log(radiusUniform)).squareRoot()
        let angle = 2 * Double.pi * angleUniform
        spare = radius * sin(angle)
        return radius * cos(angle)
    }
}
