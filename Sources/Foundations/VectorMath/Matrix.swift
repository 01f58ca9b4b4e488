/// A row-major matrix of floats that owns its storage.
package struct Matrix: Sendable, Equatable {
    package let rows: Int
    package let columns: Int
    /// `[rows × columns]`; its count does not change.
    package private(set) var storage: [Float]

    /// - Parameter storage: `[rows × columns]`, row by row.
    package init(rows: Int, columns: Int, storage: [Float]) {
        precondition(rows >= 0 && columns >= 0 && storage.count == rows * columns, "storage must be rows × columns")
        self.rows = rows
        self.columns = columns
        self.storage = storage
    }

    /// A matrix of zeros.
    package init(rows: Int, columns: Int) {
        self.init(rows: rows, columns: columns, storage: [Float](repeating: 0, count: rows * columns))
    }

    package subscript(row: Int, column: Int) -> Float {
        get { storage[index(row, column)] }
        set { storage[index(row, column)] = newValue }
    }

    /// Passes all rows in place, for writing.
    package mutating func withMutableStorage<Result, Failure: Error>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe storage.withUnsafeMutableBufferPointer { buffer throws(Failure) -> Result in
            try unsafe body(buffer)
        }
    }

    /// `op(self) op(other)`, where `op` transposes if asked to; neither matrix is empty.
    package func multiplied(
        by other: Matrix,
        transposingSelf: Bool = false,
        transposingOther: Bool = false
    ) -> Matrix {
        precondition(min(rows, columns, other.rows, other.columns) >= 1, "matrices must not be empty")
        var result = Matrix(
            rows: transposingSelf ? columns : rows,
            columns: transposingOther ? other.rows : other.columns
        )
        unsafe storage.withUnsafeBufferPointer { a in
            unsafe other.storage.withUnsafeBufferPointer { b in
                unsafe result.storage.withUnsafeMutableBufferPointer { c in
                    unsafe BLAS.multiply(
                        a: a.baseAddress!,
                        aRows: rows,
                        aColumns: columns,
                        transposeA: transposingSelf,
                        b: b.baseAddress!,
                        bRows: other.rows,
                        bColumns: other.columns,
                        transposeB: transposingOther,
                        into: c.baseAddress!
                    )
                }
            }
        }
        return result
    }

    private func index(_ row: Int, _ column: Int) -> Int {
        precondition(row >= 0 && row < rows && column >= 0 && column < columns, "element outside the matrix")
        return row * columns + column
    }
}
