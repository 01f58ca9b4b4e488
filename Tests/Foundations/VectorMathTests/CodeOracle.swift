import Testing
import VectorMath

/// Codes, look-up tables and records written down from the layout in `vector_kernels.h`, one component at a time.
struct CodeOracle: CustomTestStringConvertible {
    let planes: [CodePlane]

    /// - Parameter bits: bits of each segment; planes in the order of their bits, then segments.
    init(bits: [Int]) {
        planes = (0..<4).flatMap { bit in
            bits.indices.filter { bits[$0] > bit }.map { CodePlane(segment: $0, bit: bit, of: bits[$0]) }
        }
    }

    var testDescription: String { "\(planes)" }
    var dimension: Int { 128 * ((planes.map(\.segment).max() ?? 0) + 1) }
    var byteCount: Int { 16 * planes.count }

    /// Byte of a plane and bit in it that component `i` of the plane has.
    func place(of i: Int) -> (byte: Int, bit: Int) {
        let position = i / 4
        let (z, half, j) = (position / 8, position / 4 % 2, position % 4)
        return (4 * z + j, 4 * half + i % 4)
    }

    /// Bits of component `d`; 0 where it is not coded.
    func bits(of d: Int) -> Int { planes.first { $0.segment == d / 128 }?.bits ?? 0 }

    func level(of code: [UInt8], _ d: Int) -> Int {
        planes.enumerated().filter { $0.element.segment == d / 128 }.reduce(0) { level, plane in
            let (byte, bit) = place(of: d % 128)
            let isSet = Int(code[16 * plane.offset + byte] >> bit) & 1
            return level | isSet << (plane.element.bits - 1 - plane.element.bit)
        }
    }

    static func step(_ bits: Int) -> Float { [0, 1.596, 0.9957, 0.586, 0.3352][bits] }

    /// Reconstruction of one component, in units of its scale.
    func value(ofLevel level: Int, bits: Int) -> Double {
        bits == 0 ? 0 : (Double(level) - Double(1 << (bits - 1)) + 0.5) * Double(Self.step(bits))
    }

    func expectedLevel(_ y: Float, scale: Float, bits: Int) -> Int {
        let half = 1 << (bits - 1)
        let whole = (y / (Self.step(bits) * scale)).rounded(.down)
        return Int(min(max(whole, Float(-half)), Float(half - 1))) + half
    }

    /// What the planes `0...plane` of a code stand for in component `d`, in units of its scale.
    func partialValue(_ code: [UInt8], _ d: Int, through plane: Int) -> Double {
        planes[0...plane].enumerated().filter { $0.element.segment == d / 128 }.reduce(0) { sum, plane in
            let (byte, bit) = place(of: d % 128)
            let sign: Double = code[16 * plane.offset + byte] >> bit & 1 == 1 ? 1 : -1
            let (bits, index) = (plane.element.bits, plane.element.bit)
            return sum + sign * Double(Self.step(bits)) * Double(1 << (bits - 1 - index)) / 2
        }
    }

    /// The nibble at `position` (0..<32) of plane `plane` of a row-major code.
    static func nibble(_ code: [UInt8], plane: Int, position: Int) -> Int {
        let byte = code[16 * plane + position / 8 * 4 + position % 4]
        return Int(position % 8 < 4 ? byte & 15 : byte >> 4)
    }

    /// Sum of one plane's entries for one code.
    static func planeSum(_ code: [UInt8], lut: [UInt8], plane: Int) -> Int {
        (0..<32).reduce(0) { sum, position in
            let (z, half, j) = (position / 8, position / 4 % 2, position % 4)
            let table = plane * 512 + ((z * 2 + half) * 4 + j) * 16
            return sum + Int(lut[table + nibble(code, plane: plane, position: position)])
        }
    }

    /// Planes that every slot is asked for.
    static func headCount(_ planeCount: Int) -> Int { min(2, planeCount) }

    /// Sum of the heads' entries for one code.
    static func headSum(_ code: [UInt8], lut: [UInt8], planeCount: Int) -> Int {
        (0..<headCount(planeCount)).reduce(0) { $0 + planeSum(code, lut: lut, plane: $1) }
    }

    /// Sum of the weights of the bits of further planes that are 1.
    static func tailSum(_ code: [UInt8], weights: [Int8], planeCount: Int) -> Int {
        let first = 16 * headCount(planeCount)
        return weights.indices.reduce(0) { sum, bit in
            sum + (code[first + bit / 8] >> (bit % 8) & 1 == 1 ? Int(weights[bit]) : 0)
        }
    }

    /// Component that bit `bit` of a plane has.
    static func component(ofBit bit: Int) -> Int {
        (0..<128).first { i in
            let position = i / 4
            let (z, half, j) = (position / 8, position / 4 % 2, position % 4)
            return 8 * (4 * z + j) + 4 * half + i % 4 == bit
        }!
    }
}
