import VectorMath

/// Codes, look-up tables and scans written down from the layout in `vector_kernels.h`, one component at a time.
struct CodeOracle {
    let dimension: Int
    let bits: Int

    var planeCount: Int { dimension * bits / 128 }
    var byteCount: Int { 16 * planeCount }

    /// Byte of a row-major code and bit in it where the code of component `d` starts.
    func place(of d: Int) -> (byte: Int, bit: Int) {
        let perPosition = 4 / bits
        let position = d / perPosition % 32
        let plane = d / (32 * perPosition)
        let (z, half, j) = (position / 8, position / 4 % 2, position % 4)
        return (16 * plane + 4 * z + j, 4 * half + d % perPosition * bits)
    }

    func level(of code: [UInt8], _ d: Int) -> Int {
        let (byte, bit) = place(of: d)
        return Int(code[byte] >> bit) & (1 << bits - 1)
    }

    /// Reconstruction of one component, in units of its scale.
    func value(ofLevel level: Int) -> Double {
        bits == 2 ? [-1.5104, -0.4528, 0.4528, 1.5104][level] : [-0.7979, 0.7979][level]
    }

    func expectedLevel(_ y: Float, scale: Float) -> Int {
        guard bits == 2 else { return y > 0 ? 1 : 0 }
        let outer = abs(y) > 0.9816 as Float * scale
        return y > 0 ? (outer ? 3 : 2) : (outer ? 0 : 1)
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
