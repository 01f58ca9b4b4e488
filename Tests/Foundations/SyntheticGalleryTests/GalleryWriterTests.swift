import EmbeddingFiles
import FaceModel
import Foundation
import SyntheticGallery
import Testing

@Suite final class GalleryWriterTests {
    let folder = NSTemporaryDirectory() + "/mien-gallery-\(UUID().uuidString)"

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func text(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    @Test(arguments: NpyPrecision.allCases) func everyFileHoldsWhatTheGallerySays(precision: NpyPrecision) throws {
        let parameters = GalleryParameters(faceCount: 300, dimension: 64, seed: 4)
        let gallery = try SyntheticGallery(parameters)
        let output = GalleryOutput(precision: precision, probeCount: 40, hostileRowCount: 6)
        let path = "\(folder)/g"
        var progress: [GalleryProgress] = []
        #expect(!GalleryWriter.isComplete(at: path, parameters: parameters, output: output))
        try GalleryWriter(gallery, output: output).write(to: path) { progress.append($0) }
        #expect(GalleryWriter.isComplete(at: path, parameters: parameters, output: output))
        #expect(
            progress == [
                GalleryProgress(facesWritten: 300, probesWritten: 0),
                GalleryProgress(facesWritten: 300, probesWritten: 40),
            ]
        )

        var reader = try EmbeddingFile.open(path: "\(path)/embeddings.npy")
        #expect(reader.rowCount == 306)
        let values = try #require(try reader.nextBatch(maximumRows: 300)?.values)
        let tolerance: Float = precision == .float32 ? 0 : 3e-4
        #expect(zip(values, gallery.faces(in: 0..<300)).allSatisfy { abs($0 - $1) <= tolerance })
        let hostile = try #require(try reader.nextBatch(maximumRows: 6)?.values)
        #expect(hostile[0].isNaN)
        #expect(hostile[(2 * 64)..<(3 * 64)].allSatisfy { $0 == 0 })

        var ids = try LabelReader(path: "\(path)/ids.txt", expectedRowCount: 306)
        #expect(try ids.next(306) == (0..<306).map { gallery.faceID($0).description })
        var persons = try LabelReader(path: "\(path)/persons.txt", expectedRowCount: 306)
        let expected = (0..<300).map { Optional(SyntheticGallery.personID(gallery.faceInfo($0).identity)) }
        #expect(try persons.next(306) == expected + [nil, nil, nil, nil, nil, nil])

        var probes = try EmbeddingFile.open(path: "\(path)/probes.npy")
        #expect(try probes.nextBatch(maximumRows: 100)?.values == gallery.probes(in: 0..<40))
        let truth = try text("\(path)/probe-truth.jsonl").split(separator: "\n")
        #expect(truth.count == 40)
        for (probe, line) in truth.enumerated() {
            let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let info = gallery.probeInfo(probe)
            #expect(object["probe"] as? Int == probe)
            #expect(object["mated"] as? Bool == (info.identity != nil))
            #expect(object["identity"] as? Int == info.identity)
            #expect(object["mates"] as? [Int] ?? [] == info.mates)
            #expect(object["face_id"] as? String == info.mates.first.map { gallery.faceID($0).description })
            #expect(object["face_ids"] as? [String] ?? [] == info.mates.map { gallery.faceID($0).description })
        }
        let description = try JSONSerialization.jsonObject(with: Data(text("\(path)/gallery.json").utf8))
        let counts = try #require((description as? [String: Any])?["counts"] as? [String: Int])
        #expect(FaceKind.names.reduce(0) { $0 + counts[$1]! } == 300)
        #expect(counts["mated_probes"]! + counts["nonmated_probes"]! == 40)
    }

    @Test func theProbesCanBeWrittenAlone() throws {
        let parameters = GalleryParameters(faceCount: 300, dimension: 64, seed: 4)
        let gallery = try SyntheticGallery(parameters)
        try GalleryWriter(gallery, output: GalleryOutput(probeCount: 40)).write(to: "\(folder)/whole")
        let output = GalleryOutput(probeCount: 40, includesFaces: false)
        try GalleryWriter(gallery, output: output).write(to: "\(folder)/probes")
        let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/probes").sorted()
        #expect(names == ["gallery.json", "probe-truth.jsonl", "probes.npy"])
        for name in ["probes.npy", "probe-truth.jsonl"] {
            let manager = FileManager.default
            #expect(manager.contentsEqual(atPath: "\(folder)/probes/\(name)", andPath: "\(folder)/whole/\(name)"))
        }
        #expect(GalleryWriter.isComplete(at: "\(folder)/probes", parameters: parameters, output: output))
        let whole = GalleryOutput(probeCount: 40)
        #expect(!GalleryWriter.isComplete(at: "\(folder)/probes", parameters: parameters, output: whole))
    }

    @Test func aSecondRunFindsNothingToDoAndOtherGalleriesAreRefused() throws {
        let path = "\(folder)/g"
        let small = try SyntheticGallery(GalleryParameters(faceCount: 100, dimension: 64))
        try GalleryWriter(small).write(to: path)
        let before =
            try FileManager.default.attributesOfItem(atPath: "\(path)/embeddings.npy")[.modificationDate] as? Date
        try GalleryWriter(small).write(to: path)
        let after =
            try FileManager.default.attributesOfItem(atPath: "\(path)/embeddings.npy")[.modificationDate] as? Date
        #expect(before == after)
        let other = try SyntheticGallery(GalleryParameters(faceCount: 101, dimension: 64))
        #expect(throws: GalleryError.occupied(path: path)) { try GalleryWriter(other).write(to: path) }
        #expect(!GalleryWriter.isComplete(at: path, parameters: other.parameters, output: GalleryOutput()))
        try FileManager.default.removeItem(atPath: "\(path)/persons.txt")
        #expect(!GalleryWriter.isComplete(at: path, parameters: small.parameters, output: GalleryOutput()))
    }

    @Test func anInterruptedRunIsReplaced() throws {
        let path = "\(folder)/g"
        try FileManager.default.createDirectory(atPath: "\(path).partial", withIntermediateDirectories: true)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: "\(path).partial/embeddings.npy"))
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 10, dimension: 64))
        try GalleryWriter(gallery).write(to: path)
        #expect(GalleryWriter.isComplete(at: path, parameters: gallery.parameters, output: GalleryOutput()))
        #expect(!FileManager.default.fileExists(atPath: "\(path).partial"))
    }

    @Test func aRunThatFailsLeavesNothingBehind() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 10, dimension: 64))
        let path = "\(folder)/g"
        // A file that cannot be opened stands for one that cannot be written.
        #expect(throws: GalleryError.file(.writeFailed(path: "\(path).partial/probes.npy", errno: ENOENT))) {
            try GalleryWriter(gallery).write(to: path) { progress in
                guard progress.probesWritten == 0 else { return }
                symlink("\(folder)/absent/file", "\(path).partial/probes.npy")
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        #expect(throws: GalleryError.self) {
            try GalleryWriter(gallery).write(to: path) { _ in
                try? FileManager.default.createDirectory(atPath: "\(path)/taken", withIntermediateDirectories: true)
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["g"])
    }

    @Test func aFolderThatCannotBeMadeIsNamed() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 10, dimension: 64))
        try Data([1]).write(to: URL(fileURLWithPath: "\(folder)/file"))
        #expect(
            throws: GalleryError.folder(
                path: "\(folder)/file/g.partial",
                action: "created",
                reason: "not a directory"
            )
        ) { try GalleryWriter(gallery).write(to: "\(folder)/file/g") }
    }

    @Test func missingFoldersAboveAreMade() throws {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: 10, dimension: 64))
        try GalleryWriter(gallery).write(to: "\(folder)/a/b/g")
        #expect(FileManager.default.fileExists(atPath: "\(folder)/a/b/g/embeddings.npy"))
    }
}
