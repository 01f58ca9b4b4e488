import Foundation
import Glibc
import Testing
import VectorMath

/// Seed of all random cases; `MIEN_TEST_SEED` repeats a failure or varies them.
let testSeed: UInt64 = getenv("MIEN_TEST_SEED").flatMap { UInt64(String(cString: $0)) } ?? 20_261_123

/// Every kernel on every level the CPU has, against independent definitions in Swift.
///
/// Serialized: the level is process-wide.
@Suite(.serialized)
struct VectorKernelsTests {
    /// Levels this CPU has, scalar first.
    static let levels: [KernelLevel] = {
        let inForce = VectorKernels.level
        defer { VectorKernels.setLevel(inForce) }
        return KernelLevel.allCases.filter { VectorKernels.setLevel($0) == $0 }
    }()

    /// Runs `body` on every level, and puts the level back.
    static func onEveryLevel(_ body: (KernelLevel) throws -> Void) rethrows {
        let inForce = VectorKernels.level
        defer { VectorKernels.setLevel(inForce) }
        for level in levels {
            VectorKernels.setLevel(level)
            try body(level)
        }
    }

    @Test func scalarIsAlwaysThereAndTheBestLevelIsTheDefault() {
        #expect(Self.levels.first == .scalar)
        if getenv("MIEN_KERNEL_LEVEL") == nil { #expect(VectorKernels.level == Self.levels.last) }
    }

    /// What Linux tells of an x86-64 CPU; nil elsewhere.
    private static let flags: Set<Substring>? = {
        #if arch(x86_64)
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("flags") }
        return line.map { Set($0.split { $0 == " " || $0 == "\t" }) }
        #else
        return nil
        #endif
    }()

    /// The kernel's word for each instruction set, so that a level that the dispatcher overlooks is missed.
    @Test(.enabled(if: VectorKernelsTests.flags != nil, "the CPU's instruction sets are not told in /proc/cpuinfo"))
    func theLevelsAreThoseOfTheCPU() throws {
        let flags = try #require(Self.flags)
        let avx2: Set<Substring> = ["avx2", "fma", "f16c", "bmi1", "bmi2"]
        let avx512 = avx2.union(["avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi", "avx512_vnni"])
        var levels: [KernelLevel] = [.scalar]
        if flags.isSuperset(of: avx2) { levels.append(.avx2) }
        if flags.isSuperset(of: avx512) { levels.append(.avx512) }
        #expect(Self.levels == levels)
    }

    @Test func aLevelTheCPULacksFallsBack() {
        let inForce = VectorKernels.level
        defer { VectorKernels.setLevel(inForce) }
        for level in KernelLevel.allCases {
            let best = Self.levels.last { $0.rawValue <= level.rawValue }
            #expect(VectorKernels.setLevel(level) == best)
            #expect(VectorKernels.level == best)
        }
    }
}

/// The order of sums that `vector_kernels.h` states, written out.
func laneSum(_ a: some Collection<Float>, _ b: some Collection<Float>) -> Float {
    var lanes = [Float](repeating: 0, count: 16)
    for (i, (x, y)) in zip(a, b).enumerated() { lanes[i % 16] = lanes[i % 16].addingProduct(x, y) }
    for half in [8, 4, 2, 1] {
        for l in 0..<half { lanes[l] += lanes[l + half] }
    }
    return lanes[0]
}

extension SplitMix64 {
    /// Gaussian floats.
    mutating func gaussians(_ count: Int, scale: Float = 1) -> [Float] {
        var source = GaussianSource()
        return (0..<count).map { _ in Float(source.next(using: &self)) * scale }
    }
}

/// Bits, so that comparisons see the sign of zero.
func bits(_ values: some Sequence<Float>) -> [UInt32] {
    values.map(\.bitPattern)
}
