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

    /// Passes row `row` in place; the buffer must not outlive the call.
    package func withRow<Result, Failure: Error>(
        _ row: Int,
        _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(row >= 0 && row < rows, "row outside the matrix")
        let range = row * columns..<(row + 1) * columns
        return try unsafe storage.withUnsafeBufferPointer { buffer throws(Failure) -> Result in
            try unsafe body(UnsafeBufferPointer(rebasing: buffer[range]))
        }
    }

    /// Passes all rows in place, for writing.
    package mutating func withMutableStorage<Result, Failure: Error>(
        _ body: (UnsafeMutableBufferPointer<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe storage.withUnsafeMutableBufferPointer { buffer throws(Failure) -> Result in
            try unsafe body(buffer)
        }
    }

    package func transposed() -> Matrix {
        var result = Matrix(rows: columns, columns: rows)
        for row in 0..<rows {
            for column in 0..<columns { result.storage[column * rows + row] = storage[row * columns + column] }
        }
        return result
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
