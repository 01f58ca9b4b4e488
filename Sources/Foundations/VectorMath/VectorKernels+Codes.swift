internal import CVectorKernels

extension VectorKernels {
    /// Encodes rotated embeddings into row-major codes.
    ///
    /// - Parameters:
    ///   - rows: `[rowCount × dimension]`, where `dimension` is `scale.count`, a multiple of 128.
    ///   - planes: what each plane holds; the detail plane of some components comes after their sign plane.
    ///   - scale: `[dimension]`, standard deviation of each component, above zero.
    ///   - codes: `[rowCount × 16 * planes.count]`.
    ///   - selfDot: `[rowCount]`, inner product of each row's coded components with themselves.
    ///   - codeDot: `[rowCount]`, inner product of each row with its reconstruction.
    package static func encode(
        rows: UnsafeBufferPointer<Float>,
        rowCount: Int,
        planes: [CodePlane],
        scale: UnsafeBufferPointer<Float>,
        codes: UnsafeMutableBufferPointer<UInt8>,
        selfDot: UnsafeMutableBufferPointer<Float>,
        codeDot: UnsafeMutableBufferPointer<Float>
    ) {
        let dimension = scale.count
        CodePlane.check(planes, dimension: dimension)
        precondition(rows.count == rowCount * dimension, "rows must be rowCount × dimension")
        precondition(codes.count == rowCount * planes.count * planeByteCount, "codes must be rowCount × code bytes")
        precondition(selfDot.count == rowCount && codeDot.count == rowCount, "one inner product per row")
        unsafe planes.map(\.kernelPlane).withUnsafeBufferPointer { planes in
            unsafe vk_encode(
                rows.baseAddress,
                rowCount,
                dimension,
                planes.baseAddress,
                planes.count,
                scale.baseAddress,
                codes.baseAddress,
                selfDot.baseAddress,
                codeDot.baseAddress
            )
        }
    }

    /// Interleaves row-major codes into group-major planes.
    ///
    /// - Parameters:
    ///   - rowCodes: one pointer per row to its `16 * planes.count` bytes.
    ///   - planes: one pointer per plane to `ceil(rowCodes.count / 16)` groups of 256 bytes; absent rows become zero.
    package static func packCodes(
        rowCodes: UnsafeBufferPointer<UnsafePointer<UInt8>?>,
        planes: UnsafeBufferPointer<UnsafeMutablePointer<UInt8>?>
    ) {
        precondition(planes.count >= 1 && planes.count <= maximumPlaneCount, "1...8 planes")
        unsafe vk_pack_codes(rowCodes.baseAddress, rowCodes.count, planes.count, planes.baseAddress)
    }

    /// Reads row `row` of group-major planes back as a row-major code of `16 * planes.count` bytes.
    package static func unpackCode(
        planes: UnsafeBufferPointer<UnsafePointer<UInt8>?>,
        row: Int,
        code: UnsafeMutableBufferPointer<UInt8>
    ) {
        precondition(planes.count >= 1 && planes.count <= maximumPlaneCount, "1...8 planes")
        precondition(row >= 0, "rows count from zero")
        precondition(code.count == planes.count * planeByteCount, "a code has 16 bytes per plane")
        unsafe vk_unpack_code(planes.baseAddress, planes.count, row, code.baseAddress)
    }

    /// Builds the look-up table of one rotated probe.
    ///
    /// - Parameters:
    ///   - probe: `[dimension]`.
    ///   - scale: `[dimension]`.
    ///   - lut: `[planes.count × 512]` bytes.
    ///   - biases: `[planes.count]`; the estimate of `⟨probe, what planes 0...p stand for⟩` is
    ///     `step * (sum of their entries) + biases[p]`.
    /// - Returns: the step.
    package static func buildLUT(
        probe: UnsafeBufferPointer<Float>,
        planes: [CodePlane],
        scale: UnsafeBufferPointer<Float>,
        lut: UnsafeMutableBufferPointer<UInt8>,
        biases: UnsafeMutableBufferPointer<Float>
    ) -> Float {
        CodePlane.check(planes, dimension: probe.count)
        precondition(scale.count == probe.count, "one scale per component")
        precondition(lut.count == planes.count * lutPlaneByteCount, "a look-up table has 512 bytes per plane")
        precondition(biases.count == planes.count, "one bias per plane")
        var step: Float = 1
        unsafe planes.map(\.kernelPlane).withUnsafeBufferPointer { planes in
            unsafe vk_build_lut(
                probe.baseAddress,
                planes.baseAddress,
                planes.count,
                scale.baseAddress,
                lut.baseAddress,
                &step,
                biases.baseAddress
            )
        }
        return step
    }

    /// Scans group-major codes for 1...4 probes and writes the rows above threshold, in order.
    ///
    /// A row survives when its sum is above the threshold of the last plane. After an earlier plane `p` a probe
    /// leaves a group of 16 rows when none of their sums so far is above `thresholds[probe][p]`; -1 is no threshold.
    ///
    /// - Parameters:
    ///   - planes: one pointer per plane to the first group of the scan.
    ///   - groupCount: 0...64.
    ///   - rowCount: rows of these groups that exist.
    ///   - luts: one pointer per probe to `512 * planes.count` bytes.
    ///   - thresholds: `[luts.count × planes.count]`.
    ///   - rowsOut: one pointer per probe to `16 * groupCount` row numbers, counted from the start of the scan.
    ///   - scoresOut: one pointer per probe to `16 * groupCount` sums.
    ///   - countsOut: `[luts.count]`, rows written; elements behind them are scratch.
    package static func scanCodes(
        planes: UnsafeBufferPointer<UnsafePointer<UInt8>?>,
        groupCount: Int,
        rowCount: Int,
        luts: UnsafeBufferPointer<UnsafePointer<UInt8>?>,
        thresholds: UnsafeBufferPointer<Int32>,
        rowsOut: UnsafeBufferPointer<UnsafeMutablePointer<UInt32>?>,
        scoresOut: UnsafeBufferPointer<UnsafeMutablePointer<UInt16>?>,
        countsOut: UnsafeMutableBufferPointer<Int>
    ) {
        let probeCount = luts.count
        precondition(planes.count >= 1 && planes.count <= maximumPlaneCount, "1...8 planes")
        precondition(groupCount >= 0 && groupCount <= maximumScanGroups, "0...64 groups")
        precondition(rowCount >= 0 && rowCount <= groupCount * groupRows, "rows must fit the groups")
        precondition(probeCount >= 1 && probeCount <= maximumScanProbes, "1...4 probes")
        precondition(thresholds.count == probeCount * planes.count, "one threshold per probe and plane")
        precondition(
            rowsOut.count == probeCount && scoresOut.count == probeCount && countsOut.count == probeCount,
            "one output per probe"
        )
        unsafe countsOut.withMemoryRebound(to: UInt.self) { counts in
            unsafe vk_scan_codes(
                planes.baseAddress,
                planes.count,
                groupCount,
                rowCount,
                luts.baseAddress,
                probeCount,
                thresholds.baseAddress,
                rowsOut.baseAddress,
                scoresOut.baseAddress,
                counts.baseAddress
            )
        }
    }
}
