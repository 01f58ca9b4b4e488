import Testing
import VectorMath

struct MatrixTests {
    @Test func rowsAreContiguous() {
        var matrix = Matrix(rows: 2, columns: 3, storage: [1, 2, 3, 4, 5, 6])
        #expect((0..<3).map { matrix[1, $0] } == [4, 5, 6])
        #expect(matrix[0, 2] == 3)
        matrix[1, 0] = 7
        #expect(matrix.storage == [1, 2, 3, 7, 5, 6])
        matrix.withMutableStorage { $0[5] = 0 }
        #expect(matrix[1, 2] == 0)
    }

    @Test func productsHaveTheShapeOfTheirFactors() {
        let a = Matrix(rows: 2, columns: 3, storage: [1, 2, 3, 4, 5, 6])
        #expect(a.multiplied(by: a, transposingOther: true) == Matrix(rows: 2, columns: 2, storage: [14, 32, 32, 77]))
        #expect(
            a.multiplied(by: a, transposingSelf: true).storage == [17, 22, 27, 22, 29, 36, 27, 36, 45]
        )
    }

    @Test(arguments: [1, 2, 3, 5, 64, 130])
    func randomOrthogonalRowsAreOrthonormal(order: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(order))
        let matrix = Matrix.randomOrthogonal(order: order, generator: &generator)
        #expect(isIdentity(matrix.multiplied(by: matrix, transposingOther: true), tolerance: 1e-5))
        #expect(isIdentity(matrix.multiplied(by: matrix, transposingSelf: true), tolerance: 1e-5))
    }

    @Test func randomOrthogonalDependsOnTheSeedOnly() {
        func matrix(seed: UInt64) -> Matrix {
            var generator = SplitMix64(seed: seed)
            return .randomOrthogonal(order: 16, generator: &generator)
        }
        #expect(matrix(seed: 1) == matrix(seed: 1))
        #expect(matrix(seed: 1) != matrix(seed: 2))
    }
}
