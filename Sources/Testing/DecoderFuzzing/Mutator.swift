import VectorMath

/// Changes sound bytes a little, as damage and malice do: one seed, one row of changes.
package struct Mutator {
    private var random: SplitMix64
    /// Numbers at the edges of what fields hold.
    private static let edges: [UInt64] = [
        0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x7ff0_0000_0000_0000,
        0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, .max, 0x7fc0_0000, 0x7f80_0000,
    ]

    package init(seed: UInt64) {
        random = SplitMix64(seed: seed)
    }

    /// One of the seeds with one to six changes; pieces of the others may come into it.
    package mutating func mutation(of seeds: [[UInt8]]) -> [UInt8] {
        var bytes = seeds.randomElement(using: &random) ?? []
        for _ in 0..<Int.random(in: 1...6, using: &random) { change(&bytes, seeds) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8], _ seeds: [[UInt8]]) {
        guard let offset = bytes.indices.randomElement(using: &random) else {
            bytes.append(.random(in: 0 ... .max, using: &random))
            return
        }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1: bytes[offset] = .random(in: 0 ... .max, using: &random)
        case 2: bytes[offset] &+= Bool.random(using: &random) ? 1 : .max
        case 3: bytes.removeSubrange(offset..<bytes.count)
        case 4: bytes.removeSubrange(offset..<min(bytes.count, offset + Int.random(in: 1...16, using: &random)))
        case 5:
            let other = seeds.randomElement(using: &random) ?? []
            let first = Int.random(in: 0...other.count, using: &random)
            let piece = other[first...].prefix(Int.random(in: 1...64, using: &random))
            bytes.insert(contentsOf: piece, at: offset)
        default:
            let edge = Self.edges.randomElement(using: &random) ?? 0
            let byteCount = min([1, 2, 4, 8].randomElement(using: &random) ?? 4, bytes.count - offset)
            for index in 0..<byteCount {
                bytes[offset + index] = UInt8(truncatingIfNeeded: edge >> UInt64(8 * index))
            }
        }
    }
}
