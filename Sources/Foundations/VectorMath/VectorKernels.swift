internal import CVectorKernels

/// The vector kernels of this machine, one call per block of rows.
///
/// Shapes are preconditions, nothing is copied, no call allocates. Code layout, sum order and rounding are stated in
/// `vector_kernels.h`; here shapes are named only.
package enum VectorKernels {
    /// Slots of one group.
    package static let groupRows = 16
    /// Bytes of one plane of one code.
    package static let planeByteCount = 16
    /// Bytes of one group of one plane.
    package static let groupByteCount = 256
    /// Bytes of one plane of a look-up table.
    package static let lutPlaneByteCount = 512
    /// Alignment at which look-up tables are read fastest.
    package static let tableAlignment = 64
    /// Most planes of one code.
    package static let maximumPlaneCount = 8
    /// The row id of a slot without a row.
    package static let absentRow = UInt32.max
    /// Most groups of one scan call.
    package static let maximumScanGroups = 64
    /// Most probes of one scan call.
    package static let maximumScanProbes = 4

    /// Level in force: the best of this CPU, lowered by the environment variable `MIEN_KERNEL_LEVEL`.
    package static var level: KernelLevel {
        KernelLevel(rawValue: vk_level())!
    }

    /// Takes `level`, or the best one below it that this CPU has, for the whole process; returns the level in force.
    @discardableResult
    package static func setLevel(_ level: KernelLevel) -> KernelLevel {
        KernelLevel(rawValue: vk_set_level(level.rawValue))!
    }
}
