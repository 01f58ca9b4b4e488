internal import BinaryCoding
internal import Checksum
internal import VectorMath

/// The stored form. All fields little-endian:
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MCBK` |
/// | 4 | 2 | format version, 3 |
/// | 6 | 2 | planes of a code K |
/// | 8 | 4 | generation |
/// | 12 | 4 | dimension D |
/// | 16 | 4 | coded dimension P |
/// | 20 | 4 | list count L |
/// | 24 | 4 | sample count |
/// | 28 | 4 | energy share, float32 |
/// | 32 | 4 | calibration curve count C |
/// | 36 | 4 | points of each curve N |
/// | 40 | C (8 + 16 N) | curves by rising similarity: its least, float32, probe count, N points |
/// | … | 3 K | planes: segment, bit, bits of the segment's components, one byte each |
/// | … | 24 | scan lines of the heads and the whole code: intercept, slope, deviation, float32 |
/// | … | 4 D | mean |
/// | … | 4 P D | projection, row-major |
/// | … | 4 P | scale |
/// | … | 4 L | list weights |
/// | … | L min(P, 256) | centroids, int8, row-major |
/// | … | 4 | CRC-32C of everything before |
///
/// A point is a recall and a visited share, float64 each.
extension Codebook {
    private static let magic: UInt32 = 0x4b42_434d
    private static let newestFormat: UInt16 = 3

    /// The bytes that every partition stores.
    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 4 * projection.count + quantizer.centroids.count + 65_536)
        writer.write(Self.magic)
        writer.write(Self.newestFormat)
        writer.write(UInt16(plan.planeCount))
        writer.write(generation)
        writer.write(UInt32(dimension))
        writer.write(UInt32(plan.codedDimension))
        writer.write(UInt32(listCount))
        writer.write(UInt32(sampleCount))
        writer.write(energyShare)
        writer.write(UInt32(calibration.curves.count))
        writer.write(UInt32(calibration.curves[0].points.count))
        for curve in calibration.curves {
            writer.write(curve.leastSimilarity)
            writer.write(UInt32(curve.probeCount))
            for point in curve.points {
                writer.write(point.recall)
                writer.write(point.visitedShare)
            }
        }
        for plane in plan.planes {
            writer.write(UInt8(plane.segment))
            writer.write(UInt8(plane.bit))
            writer.write(UInt8(plane.bits))
        }
        for line in [scanCalibration.head, scanCalibration.whole] {
            writer.write(line.intercept)
            writer.write(line.slope)
            writer.write(line.deviation)
        }
        writer.write(floats: mean)
        writer.write(floats: projection)
        writer.write(floats: scale)
        writer.write(floats: quantizer.weights)
        writer.write(bytes: quantizer.centroids.lazy.map { UInt8(bitPattern: $0) })
        let checksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        writer.write(checksum)
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote; anything else is an error.
    package init(bytes: [UInt8]) throws(CodebookError) {
        do {
            self = try unsafe bytes.withUnsafeBytes { try unsafe Self.decode($0) }
        } catch let error as CodebookError {
            throw error
        } catch {
            throw .malformed(reason: "\(error)")
        }
    }

    /// - Throws: ``CodebookError`` or `BinaryCodingError`.
    private static func decode(_ bytes: UnsafeRawBufferPointer) throws -> Codebook {
        var reader = unsafe ByteReader(bytes)
        guard try reader.read(UInt32.self) == magic else {
            throw CodebookError.malformed(reason: "it does not begin with MCBK")
        }
        let format = try reader.read(UInt16.self)
        guard format <= newestFormat else {
            throw CodebookError.newerFormat(version: format, newest: newestFormat)
        }
        guard format == newestFormat else {
            throw CodebookError.malformed(reason: "format \(format) was never released; import the collection again")
        }
        let body = bytes.count - 4
        let checksum = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: body, as: UInt32.self))
        guard unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<body])) == checksum else {
            throw CodebookError.checksumMismatch
        }
        let planeCount = Int(try reader.read(UInt16.self))
        let generation = try reader.read(UInt32.self)
        let dimension = Int(try reader.read(UInt32.self))
        let coded = Int(try reader.read(UInt32.self))
        let listCount = Int(try reader.read(UInt32.self))
        let sampleCount = Int(try reader.read(UInt32.self))
        let energyShare = try reader.readFloat()
        let curveCount = Int(try reader.read(UInt32.self))
        let pointCount = Int(try reader.read(UInt32.self))
        guard generation > 0 else { throw CodebookError.malformed(reason: "generation 0 stands for no codebook") }
        guard (1...VectorKernels.maximumPlaneCount).contains(planeCount), (64...2048).contains(dimension),
            dimension % 8 == 0, (128...2048).contains(coded), coded < dimension + CodePlane.dimension,
            (1...1_000_000).contains(listCount), (1...100).contains(curveCount), (1...1000).contains(pointCount)
        else { throw CodebookError.malformed(reason: "its shape is out of range") }
        var curves: [RecallCalibration.Curve] = []
        for _ in 0..<curveCount {
            let leastSimilarity = try reader.readFloat()
            let probeCount = Int(try reader.read(UInt32.self))
            var points: [RecallCalibration.Point] = []
            for _ in 0..<pointCount {
                points.append(
                    RecallCalibration.Point(recall: try reader.readDouble(), visitedShare: try reader.readDouble())
                )
            }
            curves.append(
                RecallCalibration.Curve(leastSimilarity: leastSimilarity, points: points, probeCount: probeCount)
            )
        }
        var planes: [CodePlane] = []
        for _ in 0..<planeCount {
            let (segment, bit, bits) = (
                try reader.read(UInt8.self), try reader.read(UInt8.self), try reader.read(UInt8.self)
            )
            planes.append(CodePlane(segment: Int(segment), bit: Int(bit), of: Int(bits)))
        }
        guard CodePlane.areValid(planes, dimension: coded), CodePlan(planes: planes).codedDimension == coded else {
            throw CodebookError.malformed(reason: "its planes do not fit its dimension")
        }
        var lines: [ScanCalibration.Line] = []
        for _ in 0..<2 {
            lines.append(
                ScanCalibration.Line(
                    intercept: try reader.readFloat(),
                    slope: try reader.readFloat(),
                    deviation: try reader.readFloat()
                )
            )
        }
        let mean = try reader.readFloats(count: dimension)
        let projection = try reader.readFloats(count: coded * dimension)
        let scale = try reader.readFloats(count: coded)
        let weights = try reader.readFloats(count: listCount)
        let plan = CodePlan(planes: planes)
        let centroids = try reader.readBytes(count: listCount * plan.centroidDimension)
        _ = try reader.read(UInt32.self)
        try reader.finish()
        guard scale.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw CodebookError.malformed(reason: "a scale is not positive")
        }
        guard mean.allSatisfy(\.isFinite), projection.allSatisfy(\.isFinite),
            weights.allSatisfy({ $0 >= 0 && $0 <= 1 }),
            lines.allSatisfy({ $0.intercept.isFinite && $0.slope.isFinite && $0.deviation > 0 }),
            curves.allSatisfy({ $0.leastSimilarity.isFinite }),
            curves.allSatisfy({ $0.points.allSatisfy { (0...1).contains($0.visitedShare) } })
        else { throw CodebookError.malformed(reason: "a number is out of range") }
        return Codebook(
            generation: generation,
            dimension: dimension,
            plan: plan,
            mean: mean,
            projection: projection,
            scale: scale,
            quantizer: CoarseQuantizer(
                dimension: plan.centroidDimension,
                centroids: centroids.map { Int8(bitPattern: $0) },
                weights: weights
            ),
            energyShare: energyShare,
            sampleCount: sampleCount,
            calibration: RecallCalibration(curves: curves),
            scanCalibration: ScanCalibration(head: lines[0], whole: lines[1])
        )
    }
}
