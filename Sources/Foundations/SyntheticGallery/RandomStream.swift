/// What a random number is for; every purpose has numbers of its own, so that none depends on another.
enum RandomPurpose: UInt32 {
    case region
    case anchor
    case meanDirection
    case hub
    case identityTraits
    case identityVector
    case familyTraits
    case familyVector
    case ageingDirection
    case imageCount
    case faceKind
    case imageTraits
    case imageNoise
    case copyNoise
    case faceID
    case probeTraits
    case rotation
}

/// Random numbers that are a function of (seed, purpose, number, index) and of nothing drawn before.
///
/// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011). The key is the
/// seed; the counter is index (32 bits), purpose (32 bits) and number (64 bits).
struct RandomStream {
    private let seed: UInt64
    private let purpose: RandomPurpose
    private let number: UInt64

    init(seed: UInt64, purpose: RandomPurpose, number: UInt64) {
        self.seed = seed
        self.purpose = purpose
        self.number = number
    }

    /// The 128 bits at `index`.
    func block(_ index: UInt32) -> SIMD4<UInt32> {
        Self.philox(
            counter: SIMD4(
                index,
                purpose.rawValue,
                UInt32(truncatingIfNeeded: number),
                UInt32(truncatingIfNeeded: number >> 32)
            ),
            key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32))
        )
    }

    /// Two uniform numbers of [0, 1) with 53 bits each.
    func uniforms(_ index: UInt32) -> SIMD2<Double> {
        let bits = block(index)
        let low = UInt64(bits[0]) | UInt64(bits[1]) << 32
        let high = UInt64(bits[2]) | UInt64(bits[3]) << 32
        return SIMD2(Double(low >> 11) * 0x1p-53, Double(high >> 11) * 0x1p-53)
    }

    static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
        var (x0, x1, x2, x3) = (counter[0], counter[1], counter[2], counter[3])
        var (k0, k1) = (key[0], key[1])
        for _ in 0..<10 {
            let a = UInt64(x0) &* 0xD251_1F53
            let b = UInt64(x2) &* 0xCD9E_8D57
            (x0, x1, x2, x3) = (
                UInt32(truncatingIfNeeded: b >> 32) ^ x1 ^ k0, UInt32(truncatingIfNeeded: b),
                UInt32(truncatingIfNeeded: a >> 32) ^ x3 ^ k1, UInt32(truncatingIfNeeded: a)
            )
            k0 &+= 0x9E37_79B9
            k1 &+= 0xBB67_AE85
        }
        return SIMD4(x0, x1, x2, x3)
    }
}
