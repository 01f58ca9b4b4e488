import Checksum
import Foundation
import InvertedFileIndex
import Testing
import VectorMath

struct CodebookBytesTests {
    private static let codebook = Result {
        var source = SpectrumSample.heavyTailed(dimension: 72, mean: 0.1)
        return try CodebookTrainer.train(
            sample: source.rows(1024),
            generation: 9,
            listCount: 16,
            seed: 1,
            shouldStop: { false }
        )
    }

    @Test func everyFieldIsReadBack() throws {
        let codebook = try Self.codebook.get()
        let again = try Codebook(bytes: codebook.encoded())
        #expect(again.encoded() == codebook.encoded())
        #expect(again.generation == 9 && again.dimension == 72 && again.plan == codebook.plan)
        #expect(again.mean == codebook.mean && again.projection == codebook.projection)
        #expect(again.scale == codebook.scale && again.projectedMean == codebook.projectedMean)
        #expect(again.quantizer.centroids == codebook.quantizer.centroids)
        #expect(again.quantizer.weights == codebook.quantizer.weights)
        #expect(again.calibration == codebook.calibration)
        #expect(again.scanCalibration == codebook.scanCalibration)
        #expect(again.energyShare == codebook.energyShare && again.sampleCount == 1024)
    }

    private static let fixture = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats/codebook-3.bin")

    /// It lies in partitions, on shelves and in backups. `MIEN_WRITE_GOLDEN=1` writes the file where it is missing.
    @Test func aCodebookThatWasWrittenBeforeIsRead() throws {
        let bytes = Array(try Data(contentsOf: Self.fixture))
        let codebook = try Codebook(bytes: bytes)
        #expect(codebook.encoded() == bytes)
        #expect(codebook.generation == 9 && codebook.dimension == 72 && codebook.listCount == 16)
        #expect(codebook.sampleCount == 1024 && !codebook.calibration.curves.isEmpty)
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        guard !FileManager.default.fileExists(atPath: Self.fixture.path) else { return }
        try FileManager.default.createDirectory(
            at: Self.fixture.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        try Data(try Self.codebook.get().encoded()).write(to: Self.fixture)
    }

    @Test func everyTruncationIsAnError() throws {
        let bytes = try Self.codebook.get().encoded()
        for count in Array(0..<600) + Array(stride(from: 600, to: bytes.count, by: 97)) + [bytes.count - 1] {
            #expect(throws: CodebookError.self) { try Codebook(bytes: Array(bytes.prefix(count))) }
        }
        #expect(throws: CodebookError.self) { try Codebook(bytes: bytes + [0]) }
    }

    @Test func everyChangedByteIsAnError() throws {
        let bytes = try Self.codebook.get().encoded()
        for offset in Array(0..<300) + Array(stride(from: 300, to: bytes.count, by: 101)) + [bytes.count - 1] {
            var changed = bytes
            changed[offset] ^= 0x10
            #expect(throws: CodebookError.self, "offset \(offset)") { try Codebook(bytes: changed) }
        }
    }

    /// Changes that carry a right checksum: fields out of range are found by their values.
    @Test func sealedNonsenseIsAnError() throws {
        let bytes = try Self.codebook.get().encoded()
        let fields: [(String, Int, Int, [UInt32])] = [
            ("planes", 6, 2, [0, 1, 3, 5, 9, 255]), ("generation", 8, 4, [0]),
            ("dimension", 12, 4, [0, 8, 71, 80, 4096, .max]),
            ("coded dimension", 16, 4, [0, 32, 65, 64, 256, .max]), ("lists", 20, 4, [0, 1, 17, 1_000_001, .max]),
            ("curves", 32, 4, [0, 1, 101, .max]), ("points", 36, 4, [0, 1, 1001, .max]),
        ]
        for (name, offset, byteCount, values) in fields {
            for value in values {
                var changed = bytes
                for byte in 0..<byteCount {
                    changed[offset + byte] = UInt8(truncatingIfNeeded: value >> UInt32(8 * byte))
                }
                #expect(throws: CodebookError.self, "\(name) \(value)") { try Codebook(bytes: Self.sealed(changed)) }
            }
        }
        var later = bytes
        later[4] = 4
        #expect(throws: CodebookError.newerFormat(version: 4, newest: 3)) { try Codebook(bytes: later) }
        var earlier = bytes
        earlier[4] = 2
        #expect(throws: CodebookError.malformed(reason: "format 2 was never released; import the collection again")) {
            try Codebook(bytes: Self.sealed(earlier))
        }
        var magic = bytes
        magic[0] = 0
        #expect(throws: CodebookError.self) { try Codebook(bytes: Self.sealed(magic)) }
    }

    /// Numbers that arithmetic cannot use, under a right checksum.
    @Test func sealedNumbersThatAreNotFiniteAreAnError() throws {
        let bytes = try Self.codebook.get().encoded()
        let curves = try Self.codebook.get().calibration.curves
        let planes = try Self.codebook.get().plan.planeCount
        let lines = 40 + curves.count * (8 + 16 * curves[0].points.count) + 3 * planes
        let mean = lines + 24
        let projection = mean + 4 * 72
        let scale = projection + 4 * 72 * 128
        let weights = scale + 4 * 128
        for (name, offset) in [
            ("curve", 40), ("line", lines), ("mean", mean), ("projection", projection), ("scale", scale),
            ("weights", weights),
        ] {
            for value in [Float.nan, .infinity, -.infinity] {
                var changed = bytes
                for byte in 0..<4 {
                    changed[offset + byte] = UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * byte))
                }
                #expect(throws: CodebookError.self, "\(name) \(value)") { try Codebook(bytes: Self.sealed(changed)) }
            }
        }
        var changed = bytes
        for byte in 0..<8 {
            changed[56 + byte] = UInt8(truncatingIfNeeded: Double.nan.bitPattern >> UInt64(8 * byte))
        }
        #expect(throws: CodebookError.self, "calibration") { try Codebook(bytes: Self.sealed(changed)) }
    }

    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        let body = Array(bytes.dropLast(4))
        let checksum = body.withUnsafeBytes { CRC32C.checksum($0) }
        return body + (0..<4).map { UInt8(truncatingIfNeeded: checksum >> UInt32(8 * $0)) }
    }
}
