import BinaryCoding
import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Chunks of codes as format 4 had them: 1024 slots instead of 1008.
struct EarlierCodesTests {
    @Test func codesOfFormatFourAreSearchedMergedAndVerified() throws {
        var options = PartitionOptions.small
        options.foldRowCount = 512
        options.foldRowLimit = 4096
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let ids = (0..<4200).map { FaceID($0) }
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        for first in stride(from: 0, to: ids.count, by: 600) {
            try fixture.enrol(Array(ids[first..<first + 600]), (0..<600).map { _ in source.embedding() })
            try fixture.settle()
        }
        let probes = (0..<12).map { _ in source.embedding() }
        func answers() throws -> [[[Found]]] {
            try [SearchEffort.full, .lists(5), .recall(0.9)].map { try fixture.search(probes, effort: $0).found }
        }
        let expected = try answers()
        fixture.partition.close()
        #expect(try fixture.storeCodesAsFormatFour() > 3)
        try fixture.reopen()
        #expect(try answers() == expected)
        #expect(try fixture.partition.verifyAll() != nil)
        // Deletions have runs merged; what is written now is of today's size.
        try fixture.delete(ids.filter { $0.low % 3 == 0 })
        let afterDeletion = try answers()
        let passing = (9000..<9900).map { FaceID($0) }
        try fixture.enrol(passing, passing.map { _ in source.image(of: probes[0], noise: 9) })
        try fixture.delete(passing)
        try fixture.settle()
        #expect(try fixture.partition.verifyAll() != nil)
        #expect(try fixture.search(probes, effort: .full).found == afterDeletion[0])
        fixture.partition.close()
        #expect(try fixture.codeChunkByteCounts() == [CodeChunk.byteCount(planeCount: 4)])
        try fixture.reopen()
    }
}

extension PartitionFixture {
    /// Writes every run of the closed partition again as format 4 did; the number of its chunks.
    fileprivate func storeCodesAsFormatFour() throws -> Int {
        var written = 0
        try change { tables, transaction in
            var manifests: [RunManifest] = []
            try transaction.reading.forEach(in: tables.runs) { entry in
                manifests.append(try RunManifest(bytes: entry.value, run: entry.uint32Key!))
                return .next
            }
            for manifest in manifests {
                written += Int(try rewrite(manifest, tables, transaction))
            }
            let state = Array(try #require(try transaction.reading.value(of: tables.meta, key: MetaKey.state)))
            var writer = ByteWriter()
            writer.write(bytes: [4] + state.dropFirst().dropLast(4))
            try transaction.put(tables.meta, key: MetaKey.state, value: RecordSeal.seal(writer))
        }
        return written
    }

    /// Slots keep their numbers: only the chunks are cut elsewhere.
    private func rewrite(
        _ manifest: RunManifest,
        _ tables: PartitionTables,
        _ transaction: borrowing WriteTransaction
    ) throws -> UInt32 {
        let planeCount = 4
        var codes: [UInt8] = []
        var rowIDs: [UInt32] = []
        var factors: [UInt16] = []
        for chunk in 0..<manifest.chunkCount {
            let key = CodeChunkKey(run: manifest.run, chunk: chunk)
            let bytes = Array(try #require(try transaction.reading.value(of: tables.codes, key: key)))
            try bytes.withUnsafeBytes { bytes in
                let view = try CodeChunk(bytes, planeCount: planeCount, key: key)
                for slot in 0..<view.slotCount {
                    let stored = VectorKernels.slot(slot, records: view.records, planeCount: planeCount)
                    rowIDs.append(stored.rowID)
                    factors.append(stored.factor)
                    var code = [UInt8](repeating: 0, count: 16 * planeCount)
                    code.withUnsafeMutableBufferPointer {
                        VectorKernels.unpackCode(
                            heads: view.heads,
                            headStride: view.headByteCount,
                            records: view.records,
                            planeCount: planeCount,
                            slot: slot,
                            code: $0
                        )
                    }
                    codes += code
                }
            }
            try transaction.delete(tables.codes, key: key)
        }
        let slotCount = CodeChunk.earlierSlotCount
        let usedCount = Int(manifest.firstSlots[manifest.listCount])
        var earlier = manifest
        earlier.chunkCount = UInt32((usedCount + slotCount - 1) / slotCount)
        let room = Int(earlier.chunkCount) * slotCount
        codes = Array(codes.prefix(usedCount * 16 * planeCount))
        codes += [UInt8](repeating: 0, count: room * 16 * planeCount - codes.count)
        rowIDs = Array(rowIDs.prefix(usedCount))
        rowIDs += [UInt32](repeating: VectorKernels.absentRow, count: room - rowIDs.count)
        factors = Array(factors.prefix(usedCount))
        factors += [UInt16](repeating: 0, count: room - factors.count)
        for chunk in 0..<Int(earlier.chunkCount) {
            let key = CodeChunkKey(run: manifest.run, chunk: UInt32(chunk))
            let slots = chunk * slotCount..<(chunk + 1) * slotCount
            var bytes = [UInt8](
                repeating: 0,
                count: CodeChunk.byteCount(planeCount: planeCount, slotCount: slotCount)
            )
            bytes.withUnsafeMutableBytes {
                CodeChunk.write(
                    into: $0,
                    planeCount: planeCount,
                    generation: manifest.generation,
                    key: key,
                    slotsInUse: min(slotCount, usedCount - slots.lowerBound),
                    codes: Array(codes[slots.lowerBound * 16 * planeCount..<slots.upperBound * 16 * planeCount]),
                    rowIDs: Array(rowIDs[slots]),
                    factors: Array(factors[slots])
                )
            }
            try transaction.put(tables.codes, key: key, value: bytes)
        }
        try transaction.put(tables.runs, key: manifest.run, value: earlier.encoded())
        return earlier.chunkCount
    }

    /// Sizes that chunks of codes of the closed partition have.
    fileprivate func codeChunkByteCounts() throws -> Set<Int> {
        var counts: Set<Int> = []
        try change { tables, transaction in
            try transaction.reading.forEach(in: tables.codes) { entry in
                counts.insert(entry.value.count)
                return .next
            }
        }
        return counts
    }
}
