import Backups
import FaceModel
import Foundation
import Testing

/// The bytes of backups: golden, so that those of today are read for ever, and refused when they are cut or changed.
@Suite struct BackupFormatTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Golden")

    private static func golden(_ name: String) throws -> [UInt8] {
        let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        let digits = text.compactMap(\.hexDigitValue)
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        stride(from: 0, to: bytes.count, by: 32).map { first in
            bytes[first..<min(first + 32, bytes.count)].map { String(format: "%02x", $0) }.joined() + "\n"
        }.joined()
    }

    private static let faces = BackupSamples.faces(5)

    /// As one of layout 2 has it.
    private static let codebook = BackupManifest.Codebook(
        generation: 3,
        origin: CodebookOrigin(cause: .growth, faceCount: 120_000),
        byteCount: 1_000_000,
        digest: BackupDigest(of: [1, 2, 3]),
        codedDimension: 128,
        codeByteCount: 64,
        listCount: 1024,
        sampleCount: 65_536,
        calibrationProbeCount: 2000,
        energyShare: 0.875,
        calibration: [.init(leastSimilarity: 0.3, recall: 0.99, visitedShare: 0.125)]
    )

    private static var manifestWithCodebook: BackupManifest {
        var (manifest, _) = BackupSamples.manifest(of: faces)
        manifest.codebook = codebook
        return manifest
    }

    /// As layout 3 has it.
    private static var manifestWithLoss: BackupManifest {
        var manifest = manifestWithCodebook
        manifest.loss = Timestamp(milliseconds: 1_794_500_000_000)
        return manifest
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        let (manifest, _) = BackupSamples.manifest(of: Self.faces)
        for (name, bytes) in [
            ("block-1.hex", BackupBlock.encode(Self.faces)), ("manifest-1.hex", manifest.encoded()),
            ("manifest-2.hex", Self.manifestWithCodebook.encoded()),
            ("manifest-3.hex", Self.manifestWithLoss.encoded()),
            ("ledger-1.hex", Self.ledger.encoded()), ("segment-1.hex", ArchiveSamples.segment.encoded()),
            ("volume-1.hex", ArchiveSamples.volume.encoded()),
        ] where !FileManager.default.fileExists(atPath: Self.folder.appendingPathComponent(name).path) {
            try Self.hex(bytes).write(
                to: Self.folder.appendingPathComponent(name),
                atomically: true,
                encoding: .utf8
            )
        }
    }

    @Test func blocksAndManifestsHaveTheirGoldenBytes() throws {
        let block = try Self.golden("block-1.hex")
        #expect(BackupBlock.encode(Self.faces) == block)
        #expect(try BackupBlock.decode(block, object: "block") == Self.faces)
        let (manifest, _) = BackupSamples.manifest(of: Self.faces)
        let bytes = try Self.golden("manifest-1.hex")
        #expect(manifest.encoded() == bytes)
        #expect(try BackupManifest(bytes: bytes, object: "manifest") == manifest)
        #expect(manifest.codebook == nil)
        let later = try Self.golden("manifest-2.hex")
        #expect(Self.manifestWithCodebook.encoded() == later)
        #expect(try BackupManifest(bytes: later, object: "manifest") == Self.manifestWithCodebook)
        // A codebook is an object of the backup like its blocks, and none of what they add up to.
        #expect(Self.manifestWithCodebook.objects.count == manifest.objects.count + 1)
        #expect(Self.manifestWithCodebook.byteCount == manifest.byteCount)
    }

    /// What is not lost is said as it always was, which programs of before read.
    @Test func aManifestSaysThatFacesWereGivenUpWithAndWithoutACodebook() throws {
        let golden = try Self.golden("manifest-3.hex")
        #expect(Self.manifestWithLoss.encoded() == golden)
        #expect(try BackupManifest(bytes: golden, object: "manifest") == Self.manifestWithLoss)
        var manifest = Self.manifestWithLoss
        manifest.codebook = nil
        #expect(try BackupManifest(bytes: manifest.encoded(), object: "manifest") == manifest)
        for time in [Timestamp(milliseconds: -1), Timestamp(milliseconds: .max)] {
            manifest.loss = time
            #expect(throws: BackupError.self) { try BackupManifest(bytes: manifest.encoded(), object: "manifest") }
        }
        manifest.loss = nil
        #expect(manifest == BackupSamples.manifest(of: Self.faces).manifest && manifest.encoded()[4] == 1)
    }

    private static let ledger = ErasureLedger(
        collection: BackupSamples.collection.id,
        name: "gallery",
        keyMark: 0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10,
        since: Timestamp(milliseconds: 1_790_000_000_000),
        until: Timestamp(milliseconds: 1_795_000_000_000),
        erasures: [
            .init(
                pseudonym: 0x1112_1314_1516_1718_191a_1b1c_1d1e_1f20,
                version: FaceVersion(epoch: 3, sequence: 40),
                time: Timestamp(milliseconds: 1_794_000_000_000)
            )
        ]
    )

    @Test func ledgersHaveTheirGoldenBytes() throws {
        let ledger = try Self.golden("ledger-1.hex")
        #expect(Self.ledger.encoded() == ledger)
        #expect(try ErasureLedger(bytes: ledger, object: "ledger") == Self.ledger)
    }

    @Test func archivesHaveTheirGoldenBytes() throws {
        let segment = try Self.golden("segment-1.hex")
        #expect(ArchiveSamples.segment.encoded() == segment)
        #expect(try LogSegment(bytes: segment, object: "segment") == ArchiveSamples.segment)
        let volume = try Self.golden("volume-1.hex")
        #expect(ArchiveSamples.volume.encoded() == volume)
        #expect(try ArchiveVolume(bytes: volume, object: "volume") == ArchiveSamples.volume)
    }

    @Test func everyCutAndEveryChangedByteIsRefused() throws {
        let block = BackupBlock.encode(Self.faces)
        let manifest = BackupSamples.manifest(of: Self.faces).manifest.encoded()
        for (bytes, read) in [
            (block, { (bytes: [UInt8]) in _ = try BackupBlock.decode(bytes, object: "the file") }),
            (manifest, { (bytes: [UInt8]) in _ = try BackupManifest(bytes: bytes, object: "the file") }),
            (
                Self.manifestWithCodebook.encoded(),
                { (bytes: [UInt8]) in _ = try BackupManifest(bytes: bytes, object: "the file") }
            ),
            (
                Self.manifestWithLoss.encoded(),
                { (bytes: [UInt8]) in _ = try BackupManifest(bytes: bytes, object: "the file") }
            ),
            (
                ArchiveSamples.segment.encoded(),
                { (bytes: [UInt8]) in _ = try LogSegment(bytes: bytes, object: "the file") }
            ),
            (
                ArchiveSamples.volume.encoded(),
                { (bytes: [UInt8]) in _ = try ArchiveVolume(bytes: bytes, object: "the file") }
            ),
        ] {
            for count in bytes.indices {
                #expect(throws: BackupError.self) { try read(Array(bytes[..<count])) }
            }
            for index in bytes.indices {
                var changed = bytes
                changed[index] ^= 0x10
                let error = #expect(throws: BackupError.self) { try read(changed) }
                #expect(error?.description.contains("the file") == true)
            }
            #expect(throws: BackupError.self) { try read(bytes + [0]) }
        }
    }

    @Test func aLaterLayoutIsToldFromDamage() throws {
        var bytes = BackupSamples.manifest(of: Self.faces).manifest.encoded()
        bytes[4] = 4
        let error = #expect(throws: BackupError.self) { try BackupManifest(bytes: bytes, object: "x") }
        #expect(error == .newerFormat(object: "x", version: 4, newest: 3))
    }

    /// Sealed as it should be, of a layout that there never was.
    @Test func layoutZeroIsRefused() {
        func sealed(_ bytes: [UInt8]) -> [UInt8] {
            var content = Array(bytes.dropLast(BackupDigest.byteCount))
            (content[4], content[5]) = (0, 0)
            return content + BackupDigest(of: content).bytes
        }
        let read: [([UInt8], ([UInt8]) throws -> Void)] = [
            (
                BackupSamples.manifest(of: Self.faces).manifest.encoded(),
                { _ = try BackupManifest(bytes: $0, object: "x") }
            ),
            (Self.ledger.encoded(), { _ = try ErasureLedger(bytes: $0, object: "x") }),
            (ArchiveSamples.volume.encoded(), { _ = try ArchiveVolume(bytes: $0, object: "x") }),
            (ArchiveSamples.segment.encoded(), { _ = try LogSegment(bytes: $0, object: "x") }),
        ]
        for (bytes, read) in read {
            let error = #expect(throws: BackupError.self) { try read(sealed(bytes)) }
            #expect(error == .damaged(object: "x", reason: "there is no layout 0"))
        }
    }

    /// One that was sealed by somebody who knows the format, and says what cannot be.
    @Test func aManifestThatContradictsItselfIsRefused() throws {
        let (sound, _) = BackupSamples.manifest(of: Self.faces)
        let changes: [(inout BackupManifest) -> Void] = [
            { $0.faceCount += 1 }, { $0.shards.removeLast() }, { $0.blocks.removeLast() }, { $0.slices[3] &+= 1 },
            { $0.blocks.reverse() }, { $0.prefixBits = 3 }, { $0.shards[0].faceCount += 1 },
        ]
        for (number, change) in changes.enumerated() {
            var manifest = sound
            change(&manifest)
            #expect(throws: BackupError.self, "change \(number)") {
                try BackupManifest(bytes: manifest.encoded(), object: "x")
            }
        }
        #expect(sound.blocks.count > 1)
    }

    /// What is computed with, sealed as it should be: it must not end a program.
    @Test func timesAndNumbersThatLeaveNoRoomAreRefused() throws {
        let times = [Timestamp(milliseconds: .min), Timestamp(milliseconds: -1), Timestamp(milliseconds: .max)]
        var volumes: [(inout ArchiveVolume) -> Void] = [
            { $0.number = .max }, { $0.revision = .max }, { $0.standings[0].position.sequence = .max },
            { ($0.parts[0].start.sequence, $0.parts[0].end.sequence) = (.max, .max) },
        ]
        for time in times {
            let dated: [(inout ArchiveVolume) -> Void] = [
                { $0.written = time }, { $0.standings[0].until = time }, { $0.standings[0].position.time = time },
                { ($0.parts[0].start.time, $0.parts[0].end.time) = (time, time) },
            ]
            volumes += dated
        }
        for (number, change) in volumes.enumerated() {
            var volume = ArchiveSamples.volume
            // So that nothing else in it speaks against the change.
            volume.parts.removeLast()
            volume.standings[0].shard.index = 7
            _ = try ArchiveVolume(bytes: volume.encoded(), object: "x")
            change(&volume)
            #expect(throws: BackupError.self, "change \(number)") {
                try ArchiveVolume(bytes: volume.encoded(), object: "x")
            }
        }
        var segment = ArchiveSamples.segment
        segment.entries[2].time = Timestamp(milliseconds: .max)
        #expect(throws: BackupError.self) { try LogSegment(bytes: segment.encoded(), object: "x") }
        segment.entries = [segment.entries[0]]
        segment.entries[0].time = Timestamp(milliseconds: .min)
        #expect(throws: BackupError.self) { try LogSegment(bytes: segment.encoded(), object: "x") }
        let (manifest, _) = BackupSamples.manifest(of: Self.faces)
        for time in times {
            var changed = manifest
            changed.created = time
            #expect(throws: BackupError.self) { try BackupManifest(bytes: changed.encoded(), object: "x") }
            let ledgers: [(inout ErasureLedger) -> Void] = [
                { $0.since = time }, { $0.until = time }, { $0.erasures[0].time = time },
            ]
            for change in ledgers {
                var ledger = Self.ledger
                change(&ledger)
                #expect(throws: BackupError.self) { try ErasureLedger(bytes: ledger.encoded(), object: "x") }
            }
        }
        var changed = manifest
        changed.shards[0].sequence = .max
        #expect(throws: BackupError.self) { try BackupManifest(bytes: changed.encoded(), object: "x") }
    }

    @Test func namesLeadNowhereElse() {
        let names = ["", "..", "a/b", "/etc/passwd", "a\u{0}b", "a b", "ä", String(repeating: "a", count: 129), "a.b"]
        for name in names { #expect(!BackupName.isValid(name), "\(name)") }
        let name = BackupName.make(collection: "gallery", time: "20261126T231500Z", number: 0x2a)
        #expect(name == "gallery-20261126T231500Z-0000002a" && BackupName.isValid(name))
        #expect(BackupName.mayBe(name, ofCollection: "gallery"))
        for other in ["gal", "galler", "gallery-20261126T231500Z", "gallery2"] {
            #expect(!BackupName.mayBe(name, ofCollection: other), "\(other)")
        }
        #expect(!BackupName.mayBe("gallery-old-20261126T231500Z-0000002a", ofCollection: "gallery"))
        #expect(BackupName.backup(ofManifest: "manifests/../x") == nil)
        #expect(BackupName.backup(ofManifest: BackupName.manifest(of: name)) == name)
        let digest = BackupDigest(of: [1, 2, 3])
        #expect(BackupName.digest(ofBlock: BackupName.block(digest)) == digest)
        for object in ["blocks/../../x", "blocks/00/\(digest)", "blocks/\(digest)", "manifests/x"] {
            #expect(BackupName.digest(ofBlock: object) == nil, "\(object)")
        }
        #expect(BackupDigest(digest.description) == digest)
        #expect(BackupDigest(of: Array("abc".utf8)).description.hasPrefix("ba7816bf8f01cfea"))
    }
}
