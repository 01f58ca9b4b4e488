internal import CVectorKernels

extension VectorKernels {
    /// Rounds rows to int8 and says what that leaves open; the bound and its proof are in `vector_kernels.h`.
    ///
    /// - Parameters:
    ///   - rows: `[scales.count × dimension]`; the dimension is a multiple of 8.
    ///   - rounded: as many int8.
    ///   - scales: `[rowCount]`; a component is its int8 times the scale, and a rest.
    ///   - errors: `[rowCount]`, not below the norms of the rests.
    ///   - norms: `[rowCount]`, not below the norms of rows and rests together.
    package static func roundRows(
        _ rows: UnsafeBufferPointer<Float>,
        dimension: Int,
        into rounded: UnsafeMutableBufferPointer<Int8>,
        scales: UnsafeMutableBufferPointer<Float>,
        errors: UnsafeMutableBufferPointer<Float>,
        norms: UnsafeMutableBufferPointer<Float>
    ) {
        precondition(dimension > 0 && dimension.isMultiple(of: 8), "dimension must be a multiple of 8")
        precondition(dimension <= 65_536, "an int8 inner product must fit 32 bits")
        precondition(rows.count == scales.count * dimension, "rows must be rowCount × dimension")
        precondition(rounded.count == rows.count, "one int8 per component")
        precondition(errors.count == scales.count && norms.count == scales.count, "one error and norm per row")
        unsafe vk_round_rows(
            rows.baseAddress,
            scales.count,
            dimension,
            rounded.baseAddress,
            scales.baseAddress,
            errors.baseAddress,
            norms.baseAddress
        )
    }

    /// What rounding a probe to int8 leaves open.
    package struct ProbeRounding: Sendable {
        fileprivate let rounding: vk_rounding
    }

    /// Rounds one probe to int8, for ``dotInt8(probes:rows:dimension:out:)`` with rounded rows.
    package static func roundProbe(
        _ probe: UnsafeBufferPointer<Float>,
        into rounded: UnsafeMutableBufferPointer<Int8>
    ) -> ProbeRounding {
        precondition(probe.count > 0 && probe.count.isMultiple(of: 8), "dimension must be a multiple of 8")
        precondition(rounded.count == probe.count, "one int8 per component")
        guard let values = probe.baseAddress, let out = rounded.baseAddress else {
            preconditionFailure("a probe has components")
        }
        return ProbeRounding(rounding: unsafe vk_round_probe(values, probe.count, out))
    }

    /// Finds the rows whose inner product with a probe may be `least` or more; that of every other row is below it.
    ///
    /// - Parameters:
    ///   - products: `[rowCount]`, inner products of the rounded probe and the rounded rows.
    ///   - scales, errors, norms: `[rowCount]`, of ``roundRows(_:dimension:into:scales:errors:norms:)``.
    ///   - reaching: `[rowCount]`; its first elements become the rows found, ascending.
    /// - Returns: how many were found.
    package static func reachingRows(
        products: UnsafeBufferPointer<Int32>,
        scales: UnsafeBufferPointer<Float>,
        errors: UnsafeBufferPointer<Float>,
        norms: UnsafeBufferPointer<Float>,
        probe: ProbeRounding,
        least: Float,
        into reaching: UnsafeMutableBufferPointer<UInt32>
    ) -> Int {
        precondition(scales.count == products.count, "one scale per row")
        precondition(errors.count == products.count && norms.count == products.count, "one error and norm per row")
        precondition(reaching.count >= products.count, "room for every row")
        return unsafe vk_reaching_rows(
            products.baseAddress,
            products.count,
            scales.baseAddress,
            errors.baseAddress,
            norms.baseAddress,
            probe.rounding,
            least,
            reaching.baseAddress
        )
    }

    /// What an inner product is at least and at most.
    package struct ProductBounds: Equatable, Sendable {
        package let least: Float
        package let greatest: Float

        package init(least: Float, greatest: Float) {
            self.least = least
            self.greatest = greatest
        }

        /// Of a row of which nothing is known.
        package static let unknown = ProductBounds(least: -.infinity, greatest: .infinity)
    }

    /// What the inner product of a probe and one rounded row is at least and at most.
    ///
    /// - Parameters:
    ///   - product: the inner product of both rounded.
    ///   - scale, error, norm: of the row, as ``roundRows(_:dimension:into:scales:errors:norms:)`` found them.
    /// - Returns: ``ProductBounds/unknown`` where a component of the row or the probe is not finite.
    package static func bounds(
        product: Int32,
        scale: Float,
        error: Float,
        norm: Float,
        probe: ProbeRounding
    ) -> ProductBounds {
        let bounds = vk_product_bounds(product, scale, error, norm, probe.rounding)
        guard !bounds.least.isNaN, !bounds.greatest.isNaN else { return .unknown }
        return ProductBounds(least: bounds.least, greatest: bounds.greatest)
    }
}
