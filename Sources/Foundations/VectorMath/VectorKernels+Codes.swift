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

    /// Planes of a code that every slot of a scan is asked for: the first two, or the only one.
    package static func headCount(planeCount: Int) -> Int { vk_head_count(planeCount) }

    /// Bytes of the record of one slot: the other planes, the row id, the factor.
    package static func recordByteCount(planeCount: Int) -> Int { vk_record_bytes(planeCount) }

    /// Writes row-major codes into slots.
    ///
    /// - Parameters:
    ///   - rowCodes: one pointer per row to its `16 * planeCount` bytes.
    ///   - rowIDs: one per row.
    ///   - factors: one per row, float16 bits.
    ///   - heads: first groups of the first head; head `p` begins `p * headStride` bytes later and takes
    ///     `ceil(rowCodes.count / 16)` groups of 256 bytes; slots behind the last row become zero.
    ///   - records: as many slots of `recordByteCount` bytes; those behind the last row get no row.
    package static func packCodes(
        rowCodes: UnsafeBufferPointer<UnsafePointer<UInt8>?>,
        rowIDs: UnsafeBufferPointer<UInt32>,
        factors: UnsafeBufferPointer<UInt16>,
        planeCount: Int,
        heads: UnsafeMutablePointer<UInt8>,
        headStride: Int,
        records: UnsafeMutablePointer<UInt8>
    ) {
        precondition(planeCount >= 1 && planeCount <= maximumPlaneCount, "1...8 planes")
        precondition(rowIDs.count == rowCodes.count && factors.count == rowCodes.count, "one id and factor per row")
        var starts: [UnsafeMutablePointer<UInt8>?] = unsafe (0..<headCount(planeCount: planeCount)).map {
            unsafe heads + $0 * headStride
        }
        unsafe vk_pack_codes(
            rowCodes.baseAddress,
            rowIDs.baseAddress,
            factors.baseAddress,
            rowCodes.count,
            planeCount,
            &starts,
            records
        )
    }

    /// Reads one slot back as a row-major code of `16 * planeCount` bytes.
    package static func unpackCode(
        heads: UnsafePointer<UInt8>,
        headStride: Int,
        records: UnsafePointer<UInt8>,
        planeCount: Int,
        slot: Int,
        code: UnsafeMutableBufferPointer<UInt8>
    ) {
        precondition(planeCount >= 1 && planeCount <= maximumPlaneCount, "1...8 planes")
        precondition(slot >= 0, "slots count from zero")
        precondition(code.count == planeCount * planeByteCount, "a code has 16 bytes per plane")
        let starts: [UnsafePointer<UInt8>?] = unsafe (0..<headCount(planeCount: planeCount)).map {
            unsafe heads + $0 * headStride
        }
        unsafe vk_unpack_code(starts, records, planeCount, slot, code.baseAddress)
    }

    /// Row id and factor, float16 bits, of one slot.
    package static func slot(
        _ slot: Int,
        records: UnsafePointer<UInt8>,
        planeCount: Int
    ) -> (rowID: UInt32, factor: UInt16) {
        let byteCount = recordByteCount(planeCount: planeCount)
        let fields = unsafe UnsafeRawPointer(records) + (slot + 1) * byteCount - planeByteCount
        return unsafe (
            fields.loadUnaligned(fromByteOffset: Int(VK_RECORD_ROW_ID), as: UInt32.self),
            fields.loadUnaligned(fromByteOffset: Int(VK_RECORD_FACTOR), as: UInt16.self)
        )
    }

    /// How sums become estimates of `⟨y, what planes stand for⟩`: `step * sum + headBias` after the heads, with the sum
    /// of their table entries, and `step * sum + bias` after all planes, with the weights of the records' bits too.
    package struct Estimator: Hashable, Sendable {
        package let step: Float
        package let headBias: Float
        package let bias: Float

        package init(step: Float, headBias: Float, bias: Float) {
            self.step = step
            self.headBias = headBias
            self.bias = bias
        }
    }

    /// Prepares what a scan looks up for one rotated probe.
    ///
    /// - Parameters:
    ///   - probe: `[dimension]`.
    ///   - scale: `[dimension]`.
    ///   - lut: `[headCount × 512]` bytes.
    ///   - weights: `[(planes.count - headCount) × 128]`.
    package static func buildLUT(
        probe: UnsafeBufferPointer<Float>,
        planes: [CodePlane],
        scale: UnsafeBufferPointer<Float>,
        lut: UnsafeMutableBufferPointer<UInt8>,
        weights: UnsafeMutableBufferPointer<Int8>
    ) -> Estimator {
        CodePlane.check(planes, dimension: probe.count)
        let heads = headCount(planeCount: planes.count)
        precondition(scale.count == probe.count, "one scale per component")
        precondition(lut.count == heads * lutPlaneByteCount, "a look-up table has 512 bytes per head")
        precondition(weights.count == (planes.count - heads) * CodePlane.dimension, "128 weights per further plane")
        let estimator = unsafe planes.map(\.kernelPlane).withUnsafeBufferPointer { planes in
            unsafe vk_build_lut(
                probe.baseAddress,
                planes.baseAddress,
                planes.count,
                scale.baseAddress,
                lut.baseAddress,
                weights.baseAddress
            )
        }
        return Estimator(step: estimator.step, headBias: estimator.head_bias, bias: estimator.bias)
    }

    /// One probe of a scan, and what the scan found for it.
    @safe
    package struct ScanProbe: BitwiseCopyable {
        private var probe: vk_scan_probe

        /// - Parameters:
        ///   - lut: `headCount × 512` bytes.
        ///   - weights: 128 for each further plane.
        ///   - meanTerm: added to every estimate.
        package init(
            lut: UnsafePointer<UInt8>,
            weights: UnsafePointer<Int8>,
            estimator: Estimator,
            meanTerm: Float
        ) {
            unsafe probe = vk_scan_probe(
                lut: lut,
                weights: weights,
                estimator: vk_estimator(step: estimator.step, head_bias: estimator.headBias, bias: estimator.bias),
                mean_term: meanTerm,
                head_threshold: -1,
                least_estimate: -.infinity,
                row_ids: nil,
                estimates: nil,
                count: 0
            )
        }

        /// The same probe, told where to write what a scan finds: room for 16 rows for each group of a call.
        package func writing(
            rowIDs: UnsafeMutablePointer<UInt32>,
            estimates: UnsafeMutablePointer<Float>
        ) -> ScanProbe {
            var copy = self
            unsafe copy.probe.row_ids = unsafe rowIDs
            unsafe copy.probe.estimates = unsafe estimates
            return copy
        }

        /// Slots whose sum of the heads is above this are read on; -1 reads all on.
        package var headThreshold: Int32 {
            get { unsafe probe.head_threshold }
            set { unsafe probe.head_threshold = newValue }
        }

        /// Rows with an estimate of at least this are found.
        package var leastEstimate: Float {
            get { unsafe probe.least_estimate }
            set { unsafe probe.least_estimate = newValue }
        }

        /// Ids of the rows found, in order of their slots.
        package var rowIDs: UnsafeMutableBufferPointer<UInt32> {
            unsafe UnsafeMutableBufferPointer(start: probe.row_ids, count: probe.count)
        }

        /// Their estimates: `meanTerm + factor * (step * sum + bias)`.
        package var estimates: UnsafeMutableBufferPointer<Float> {
            unsafe UnsafeMutableBufferPointer(start: probe.estimates, count: probe.count)
        }
    }

    /// Some groups of packed codes, one behind the other, in place.
    @safe
    package struct CodeBlock: BitwiseCopyable {
        fileprivate let block: vk_code_block

        /// - Parameters:
        ///   - heads: first group of the first head; head `p` begins `p * headStride` bytes later.
        ///   - records: record of the first slot.
        ///   - groupCount: 0...64.
        package init(
            heads: UnsafePointer<UInt8>,
            headStride: Int,
            records: UnsafePointer<UInt8>,
            groupCount: Int
        ) {
            precondition(groupCount >= 0 && groupCount <= maximumScanGroups, "0...64 groups")
            unsafe block = vk_code_block(
                heads: (heads, heads + headStride),
                records: records,
                group_count: groupCount
            )
        }

        package var groupCount: Int { unsafe block.group_count }

        /// As long as this one, behind its heads: where a scan goes on as far as is known.
        package var following: CodeBlock {
            let byteCount = groupCount * groupByteCount
            return unsafe CodeBlock(
                heads: block.heads.0! + byteCount,
                headStride: block.heads.1! - block.heads.0!,
                records: block.records,
                groupCount: groupCount
            )
        }
    }

    /// Scans blocks of packed codes, as if they were one, for 1...4 probes at once. Slots without a row are never
    /// found.
    ///
    /// - Parameters:
    ///   - blocks: at most 64 groups together.
    ///   - next: what is scanned next: its heads are fetched ahead, never read. Nil when these blocks were scanned just
    ///     before, for other probes.
    package static func scanCodes(
        _ blocks: UnsafeBufferPointer<CodeBlock>,
        before next: CodeBlock?,
        planeCount: Int,
        probes: UnsafeMutableBufferPointer<ScanProbe>
    ) {
        precondition(planeCount >= 1 && planeCount <= maximumPlaneCount, "1...8 planes")
        precondition(probes.count >= 1 && probes.count <= maximumScanProbes, "1...4 probes")
        let groupCount = unsafe blocks.reduce(0) { $0 + $1.groupCount }
        precondition(groupCount <= maximumScanGroups, "0...64 groups")
        unsafe blocks.withMemoryRebound(to: vk_code_block.self) { blocks in
            var batch = unsafe vk_code_batch(
                blocks: blocks.baseAddress,
                block_count: blocks.count,
                plane_count: planeCount,
                next: nil
            )
            unsafe probes.withMemoryRebound(to: vk_scan_probe.self) { probes in
                guard let next else { return unsafe vk_scan_codes(&batch, probes.baseAddress, probes.count) }
                unsafe withUnsafePointer(to: next.block) { next in
                    unsafe batch.next = unsafe next
                    unsafe vk_scan_codes(&batch, probes.baseAddress, probes.count)
                }
            }
        }
    }
}
