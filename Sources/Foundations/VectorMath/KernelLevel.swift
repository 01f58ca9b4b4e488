/// Instruction set of the vector kernels in force, by width of vectors; results are bit-identical on every level.
package enum KernelLevel: Int32, CaseIterable, Sendable {
    /// Portable C.
    case scalar = 0
    /// NEON of arm64, with dot product where the CPU has it.
    case neon = 1
    /// AVX2, FMA, F16C, BMI2.
    case avx2 = 2
    /// AVX-512 F, BW, DQ, VL, VBMI, VNNI.
    case avx512 = 3

    /// Name as the environment variable `MIEN_KERNEL_LEVEL` takes it.
    package var name: String {
        switch self {
        case .scalar: "scalar"
        case .neon: "neon"
        case .avx2: "avx2"
        case .avx512: "avx512"
        }
    }
}
