/// Rows that an importer must refuse or repair, for tests of exactly that.
package struct HostileRow: Sendable, Equatable {
    package enum Kind: String, Sendable, CaseIterable {
        case notANumber = "not_a_number"
        case infinity
        case zero
        /// Norm beyond what any model gives (1e30); refused.
        case enormous
        /// Norm 25: a model's raw output; accepted after normalisation.
        case unnormalised
        /// Eight numbers too many; cannot be a row of an array.
        case wrongDimension = "wrong_dimension"
        /// A good row that must be sent under another model's name.
        case wrongModel = "wrong_model"

        /// Whether the row can stand in an array among good ones and is what it is by its numbers alone.
        package var fitsInArray: Bool { self != .wrongDimension && self != .wrongModel }
    }

    package var kind: Kind
    /// As many numbers as the gallery's dimension, or eight more for `wrongDimension`.
    package var values: [Float]
}

extension SyntheticGallery {
    /// One row of a kind; equal numbers give equal rows.
    package func hostileRow(_ kind: HostileRow.Kind, number: Int) -> HostileRow {
        // The last probes: nobody asks for them, so that the rows are strangers to the gallery and to its probes.
        let source = Self.probeLimit - 1 - number
        var values = probes(in: source..<(source + 1))
        let position = number % values.count
        switch kind {
        case .notANumber: values[position] = .nan
        case .infinity: values[position] = number.isMultiple(of: 2) ? .infinity : -.infinity
        case .zero: values = values.map { _ in 0 }
        case .enormous: values = values.map { $0 * 1e30 }
        case .unnormalised: values = values.map { $0 * 25 }
        case .wrongDimension: values += values.prefix(8)
        case .wrongModel: break
        }
        return HostileRow(kind: kind, values: values)
    }
}
