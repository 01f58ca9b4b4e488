import Testing
import VectorMath

/// Codes, look-up tables and scans written down from the layout in `vector_kernels.h`, one component at a time.
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

    /// Rows and sums that a scan of `codes` must give for one probe.
    static func scan(
        codes: [[UInt8]],
        planeCount: Int,
        groupCount: Int,
        rowCount: Int,
        lut: [UInt8],
        thresholds: [Int32]
    ) -> (rows: [UInt32], scores: [UInt16]) {
        var rows: [UInt32] = []
        var scores: [UInt16] = []
        let absent = [UInt8](repeating: 0, count: 16 * planeCount)
        for group in 0..<groupCount {
            let members = (16 * group..<16 * group + 16).map { $0 < codes.count ? codes[$0] : absent }
            var sums = [Int](repeating: 0, count: 16)
            var leaves = false
            for plane in 0..<planeCount where !leaves {
                for v in 0..<16 { sums[v] += planeSum(members[v], lut: lut, plane: plane) }
                leaves = plane < planeCount - 1 && sums.allSatisfy { $0 <= thresholds[plane] }
            }
            if leaves { continue }
            for v in 0..<16 where 16 * group + v < rowCount && sums[v] > thresholds[planeCount - 1] {
                rows.append(UInt32(16 * group + v))
                scores.append(UInt16(sums[v]))
            }
        }
        return (rows, scores)
    }
}
