import Backups
import ClusterModel
import FaceModel
import FaceRecords
import Testing

/// Where blocks are cut follows from the ring and the faces alone.
@Suite struct BlockCutterTests {
    private static func cut(_ faces: ArchivedFaces, pages: [Int], bits: Int) -> [ArchivedFaces] {
        var cutter = BlockCutter(
            collection: BackupSamples.collection.id,
            prefixBits: bits,
            dimension: 64,
            precision: .float16
        )
        var blocks: [ArchivedFaces] = []
        var first = 0
        for count in pages + [faces.count] {
            let end = min(first + count, faces.count)
            blocks += cutter.add(faces.rows(Array(first..<end)))
            first = end
        }
        return blocks + [cutter.finish()].compactMap(\.self)
    }

    @Test func pagesDoNotMatter() {
        let faces = BackupSamples.faces(3000)
        var numbers = Numbers(seed: 5)
        let whole = Self.cut(faces, pages: [], bits: 10)
        #expect(whole.count > 500 && whole.reduce(0) { $0 + $1.count } == 3000)
        for _ in 0..<20 {
            let pages = (0..<40).map { _ in Int.random(in: 0...200, using: &numbers) }
            #expect(Self.cut(faces, pages: pages, bits: 10) == whole)
        }
        for block in whole {
            #expect(Set(block.rows.map { BackupSamples.place($0.id) >> 54 }).count == 1)
        }
    }

    @Test func aWriteChangesTheBlockThatItLiesIn() {
        let faces = BackupSamples.faces(3000)
        let before = Set(Self.cut(faces, pages: [], bits: 9).map { BackupDigest(of: BackupBlock.encode($0)) })
        for gone in [0, 1234, 2999] {
            let rest = faces.rows(faces.rows.indices.filter { $0 != gone })
            let after = Set(Self.cut(rest, pages: [], bits: 9).map { BackupDigest(of: BackupBlock.encode($0)) })
            #expect(after.subtracting(before).count <= 1 && before.subtracting(after).count == 1)
        }
    }

    @Test func aBlockStaysWithinItsLimits() {
        // All in one place of the ring.
        let faces = BackupSamples.faces(1)
        var same = ArchivedFaces(dimension: 64, precision: .float16)
        for _ in 0..<5000 { same.append(faces.rows[0], embedding: faces.embedding(0)) }
        #expect(Self.cut(same, pages: [], bits: 8).map(\.count) == [BackupBlock.faceLimit, 904])
        var row = faces.rows[0]
        row.metadata = FaceMetadata(
            attributes: Dictionary(
                uniqueKeysWithValues: (0..<32).map { ("key-\($0)", String(repeating: "v", count: 255)) }
            )
        )
        var long = ArchivedFaces(dimension: 64, precision: .float16)
        for _ in 0..<2000 { long.append(row, embedding: faces.embedding(0)) }
        let cut = Self.cut(long, pages: [], bits: 40)
        #expect(cut.count > 1 && cut.reduce(0) { $0 + $1.count } == 2000)
        #expect(cut.allSatisfy { BackupBlock.encode($0).count <= BackupBlock.longestByteCount })
    }

    @Test func bitsGrowWithTheCollectionAndStayWhileTheyFit() {
        #expect(BlockCutter.prefixBits(faceCount: 0, earlier: nil) == 8)
        #expect(BlockCutter.prefixBits(faceCount: 10_000_000, earlier: nil) == 14)
        #expect(BlockCutter.prefixBits(faceCount: 10_000_000, earlier: 13) == 13)
        #expect(BlockCutter.prefixBits(faceCount: 10_000_000, earlier: 15) == 15)
        #expect(BlockCutter.prefixBits(faceCount: 10_000_000, earlier: 11) == 14)
    }

    /// Faces of several shards, backed up and put into another number of shards, are the same set.
    @Test(arguments: 1...12) func anyNumberOfShardsHoldsTheSame(seed: Int) throws {
        var numbers = Numbers(seed: UInt64(seed))
        let faces = BackupSamples.faces(Int.random(in: 1...900, using: &numbers), seed: UInt64(seed))
        let from = HashRange.divisions(Int.random(in: 1...9, using: &numbers))
        var restored: [FaceID: ArchivedFaces.Row] = [:]
        var sum: UInt128 = 0
        for range in from {
            let own = faces.rows(faces.rows.indices.filter { range.contains(BackupSamples.place(faces.rows[$0].id)) })
            for block in Self.cut(own, pages: [7, 11], bits: 8) {
                let read = try BackupBlock.decode(BackupBlock.encode(block), object: "block")
                for contribution in read.contributions(in: BackupSamples.collection.id) { sum &+= contribution.sum }
                for row in read.rows { #expect(restored.updateValue(row, forKey: row.id) == nil) }
            }
        }
        #expect(restored == Dictionary(uniqueKeysWithValues: faces.rows.map { ($0.id, $0) }))
        let expected = faces.contributions(in: BackupSamples.collection.id).reduce(UInt128(0)) { $0 &+ $1.sum }
        #expect(sum == expected)
    }
}
