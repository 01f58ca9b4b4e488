import FaceModel
import Testing

struct UnitLengthTests {
    private static func stored(_ row: [Float], _ precision: StoredPrecision) -> [UInt8] {
        row.flatMap { value -> [UInt8] in
            switch precision {
            case .float16: withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
            case .float32: withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
            }
        }
    }

    @Test(arguments: [1, 3, 64, 72, 2048])
    func rowsAreOfUnitLengthOrNot(dimension: Int) {
        let component = 1 / Float(dimension).squareRoot()
        let unit = (0..<dimension).map { $0 % 2 == 0 ? component : -component }
        let lengths: [(Float, Bool)] = [
            (1, true), (1.004, true), (0.996, true), (1.02, false), (0.98, false), (0, false), (60_000, false),
            (1e30, false), (.greatestFiniteMagnitude, false), (.infinity, false), (.nan, false),
        ]
        for (length, isUnit) in lengths {
            let row = unit.map { length * $0 }
            let matrix = EmbeddingMatrix(dimension: dimension, values: unit + row + unit)
            #expect(matrix.hasUnitLength == isUnit, "\(length)")
            for precision in StoredPrecision.allCases {
                let bytes = Self.stored(row, precision)
                #expect(precision.hasUnitLength(bytes[...]) == isUnit, "\(length), \(precision.name)")
            }
        }
    }

    @Test(arguments: StoredPrecision.allCases)
    func smallComponentsDoNotMatter(precision: StoredPrecision) {
        // Subnormal halves among them.
        let row = [1] + (1..<64).map { Float($0) * 1e-8 }
        #expect(precision.hasUnitLength(Self.stored(row, precision)[...]))
        #expect(!precision.hasUnitLength(Self.stored([0] + row[1...], precision)[...]))
    }

    @Test func noRowsAreFine() {
        #expect(EmbeddingMatrix(dimension: 8, values: []).hasUnitLength)
    }
}
