import FaceModel
import VectorMath

extension EmbeddingMatrix {
    /// Scales every row to unit length; says per row why it cannot be (it then keeps its values), nil where it was.
    mutating func normalise() -> [RowRejection?] {
        guard rowCount > 0 else { return [] }
        var status = [UInt8](repeating: 0, count: rowCount)
        let dimension = dimension
        withMutableValues { values in
            unsafe values.withUnsafeMutableBufferPointer { rows in
                unsafe status.withUnsafeMutableBufferPointer { status in
                    unsafe VectorKernels.normalise(rows: rows, dimension: dimension, status: status)
                }
            }
        }
        return status.map { value in
            switch RowStatus(rawValue: value) {
            case .normalised: nil
            case .badNorm: .zeroNorm
            case .notFinite, nil: .notFinite
            }
        }
    }
}
