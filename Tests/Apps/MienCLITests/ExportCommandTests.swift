import EmbeddingFiles
import FaceModel
import Foundation
import Glibc
import Synchronization
import Testing
import WireProtocol

@Suite struct ExportCommandTests {
    /// A collection of faces with every field, some of them bare.
    private func withFaces(
        _ count: Int,
        _ body: (ToyCluster, String, ScratchFolder) async throws -> Void
    ) async throws {
        let folder = try ScratchFolder()
        try await ToyCluster.run { cluster, address in
            for name in ["people", "copy"] {
                let create = ["collection", "create", name, "--dimension", "64", "--model", "toy-64"]
                #expect(await mienCommand(create + ["--coordinator", address]).status == 0)
            }
            cluster.change { state in
                for number in 0..<count {
                    let metadata = FaceMetadata(
                        personID: number % 3 == 0 ? nil : "person-\(number)",
                        externalImageID: "image \"\(number)\"",
                        quality: number % 2 == 0 ? nil : Float(number % 700) / 7,
                        created: Timestamp(milliseconds: 1_767_225_600_000 + Int64(number)),
                        attributes: ["number": "\(number)"]
                    )
                    // Unit length already, so that storing it again changes no bit.
                    var embedding = [Float](repeating: 0, count: 64)
                    embedding[number % 64] = number % 2 == 0 ? 1 : -1
                    state.faces["people"]?[FaceID(high: 3, low: UInt64(number))] = .init(
                        metadata: metadata,
                        embedding: embedding,
                        sequence: 1
                    )
                }
            }
            try await body(cluster, address, folder)
        }
    }

    @Test func jsonLinesImportedAgainGiveTheSameFaces() async throws {
        try await withFaces(2500) { cluster, address, folder in
            let path = folder.file("people.jsonl")
            let export = await mienCommand(["export", "people", path, "--coordinator", address])
            #expect(export.status == 0)
            #expect(export.output == "Exported 2500 faces of people to \(path).\n")
            let result = await mienCommand(["import", "copy", "--embeddings", path, "--coordinator", address])
            #expect(result.status == 0)
            let people = cluster.faces(of: "people")
            let copy = cluster.faces(of: "copy")
            #expect(copy.count == 2500)
            let changedCount = people.count { id, face in
                copy[id]?.metadata != face.metadata || copy[id]?.embedding != face.embedding
            }
            #expect(changedCount == 0)
            #expect(folder.names == ["people.jsonl"])
        }
    }

    @Test func aFolderOfArraysImportedAgainGivesTheSameFaces() async throws {
        try await withFaces(70) { cluster, address, folder in
            let path = folder.file("people")
            #expect(await mienCommand(["export", "people", path + "/", "--coordinator", address]).status == 0)
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: path).sorted() == [
                    "embeddings.npy", "external-ids.txt", "ids.txt", "metadata.jsonl", "persons.txt",
                ]
            )
            let result = await mienCommand([
                "import", "copy", "--embeddings", "\(path)/embeddings.npy", "--ids", "\(path)/ids.txt", "--persons",
                "\(path)/persons.txt", "--external-ids", "\(path)/external-ids.txt", "--coordinator", address,
            ])
            #expect(result.status == 0)
            let people = cluster.faces(of: "people")
            let copy = cluster.faces(of: "copy")
            #expect(copy.count == people.count)
            let changedCount = people.count { id, face in
                copy[id]?.embedding != face.embedding || copy[id]?.metadata.personID != face.metadata.personID
                    || copy[id]?.metadata.externalImageID != face.metadata.externalImageID
            }
            #expect(changedCount == 0)
            let first = try folder.text("people/metadata.jsonl").split(separator: "\n")[1]
            #expect(
                first == """
                    {"id":"00000000-0000-0003-0000-000000000001","person":"person-1",\
                    "external_id":"image \\"1\\"","quality":0.14285715,"created":"2026-01-01T00:00:00.001Z",\
                    "attributes":{"number":"1"}}
                    """
            )
            #expect(folder.names == ["people"])
        }
    }

    /// Even of a collection that lost everything, whose pages are empty.
    @Test(arguments: [0, 30]) func anExportTellsOfALoss(faceCount: Int) async throws {
        try await withFaces(faceCount) { cluster, address, folder in
            func export(_ name: String, _ arguments: String...) async -> CommandResult {
                await mienCommand(["export", "people", folder.file(name), "--coordinator", address] + arguments)
            }
            let whole = await export("whole.jsonl", "--json")
            #expect(whole.status == 0 && !whole.error.contains("given up"), "\(whole)")
            #expect(whole.output.filter { !$0.isWhitespace }.contains(#""has_loss":false"#))
            cluster.change { $0.lossyCollections = ["people"] }
            let text = await export("text.jsonl")
            #expect(text.status == 0 && text.error.contains("warning: faces of people were given up"), "\(text)")
            let json = await export("json.jsonl", "--json")
            #expect(json.status == 0 && json.error.contains("warning: faces of people were given up"), "\(json)")
            #expect(json.output.filter { !$0.isWhitespace }.contains(#""has_loss":true"#))
        }
    }

    @Test func nothingIsWrittenOver() async throws {
        try await withFaces(1) { _, address, folder in
            let path = try folder.write("people.jsonl", "precious")
            let result = await mienCommand(["export", "people", path, "--coordinator", address])
            #expect(result.status == 74)
            #expect(try folder.text("people.jsonl") == "precious")
            let lost = await mienCommand(["export", "people", folder.file("no/such/folder"), "--coordinator", address])
            #expect(lost.status == 74)
        }
    }

    @Test func aFailedExportLeavesNothingBehind() async throws {
        try await withFaces(10) { cluster, address, folder in
            cluster.change { $0.faces["people"]?[FaceID(high: 3, low: 5)]?.embedding = [1] }
            let result = await mienCommand(["export", "people", folder.file("out"), "--coordinator", address])
            #expect(result.status == 70)
            #expect(folder.names == [])
        }
    }

    /// As by a disk in the network whose answer was lost, so that it was asked again.
    @Test func aFileThatHasItsNameAlreadyIsInPlace() async throws {
        try await withFaces(10) { cluster, address, folder in
            let (parent, path) = (folder.path, folder.file("people.jsonl"))
            cluster.change { state in
                state.beforeAnswer = { request in
                    guard case .listFaces = request else { return }
                    for name in (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? [] {
                        _ = link("\(parent)/\(name)", path)
                    }
                }
            }
            let result = await mienCommand(["export", "people", path, "--coordinator", address])
            #expect(result.status == 0, "\(result)")
            #expect(folder.names == ["people.jsonl"])
            let lineCount = try folder.text("people.jsonl").split(separator: "\n").count
            #expect(lineCount == 10)
        }
    }

    private func permissions(_ path: String) throws -> Int? {
        (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
    }

    /// What an export that was killed left behind is not written into, and goes when it is old.
    @Test func anExportIsForItsOwnerAlone() async throws {
        try await withFaces(3) { _, address, folder in
            let file = folder.file("people.jsonl")
            let old = try folder.write("people.jsonl.0123456789abcdef.partial", "left behind")
            let age: [FileAttributeKey: Any] = [.modificationDate: Date(timeIntervalSinceNow: -7200)]
            try FileManager.default.setAttributes(age, ofItemAtPath: old)
            let reader = try #require(FileHandle(forReadingAtPath: old))
            // One that another may be writing, and one that no export has made.
            try folder.write("people.jsonl.fedcba9876543210.partial", "under way")
            let other = try folder.write("people.jsonl.notes.partial", "notes")
            try FileManager.default.setAttributes(age, ofItemAtPath: other)
            #expect(await mienCommand(["export", "people", file, "--coordinator", address]).status == 0)
            #expect(try permissions(file) == 0o600)
            #expect(try reader.readToEnd() == Data("left behind".utf8))
            let kept = ["people.jsonl.fedcba9876543210.partial", "people.jsonl.notes.partial"]
            #expect(folder.names == ["people.jsonl"] + kept)

            let arrays = folder.file("people")
            let left = arrays + ".0123456789abcdef.partial"
            try FileManager.default.createDirectory(atPath: left, withIntermediateDirectories: false)
            try folder.write("people.0123456789abcdef.partial/ids.txt", "left behind")
            try FileManager.default.setAttributes(age, ofItemAtPath: left)
            #expect(await mienCommand(["export", "people", arrays, "--coordinator", address]).status == 0)
            #expect(try permissions(arrays) == 0o700)
            #expect(folder.names == ["people", "people.jsonl"] + kept)
            let names = try FileManager.default.contentsOfDirectory(atPath: arrays)
            #expect(names.count == 5)
            for name in names { #expect(try permissions("\(arrays)/\(name)") == 0o600, "\(name)") }
        }
    }

    /// Each waits before its second page, until the test lets it go on.
    private struct TwoExports {
        let arrivals: AsyncStream<Int>
        let arrival: AsyncStream<Int>.Continuation
        let first, second: AsyncStream<Void>
        let letFirstGo, letSecondGo: AsyncStream<Void>.Continuation

        init() {
            (arrivals, arrival) = AsyncStream.makeStream(of: Int.self)
            (first, letFirstGo) = AsyncStream.makeStream(of: Void.self)
            (second, letSecondGo) = AsyncStream.makeStream(of: Void.self)
        }

        func hold(_ cluster: ToyCluster) {
            let counter = PageCounter()
            cluster.change { state in
                state.beforeAnswer = { request in
                    guard case .listFaces = request else { return }
                    let page = counter.next()
                    arrival.yield(page)
                    switch page {
                    case 2: for await _ in first { return }
                    case 4: for await _ in second { return }
                    default: return
                    }
                }
            }
        }
    }

    private final class PageCounter: Sendable {
        private let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    /// Neither writes into what is the other's, and what is whole is not replaced.
    @Test(.timeLimit(.minutes(2)), arguments: ["people.jsonl", "people"])
    func ofTwoExportsToOnePathTheFirstIsThereAndWhole(name: String) async throws {
        try await withFaces(2500) { cluster, address, folder in
            let exports = TwoExports()
            exports.hold(cluster)
            var arrivals = exports.arrivals.makeAsyncIterator()
            let command = ["export", "people", folder.file(name), "--coordinator", address]
            let lines = name == "people" ? "people/ids.txt" : name
            async let early = mienCommand(command)
            while let page = await arrivals.next(), page < 2 {}
            async let late = mienCommand(command)
            while let page = await arrivals.next(), page < 4 {}
            exports.letFirstGo.yield()
            let whole = await early
            let faceCount = (try? folder.text(lines))?.split(separator: "\n").count
            exports.letSecondGo.yield()
            let refused = await late
            #expect(whole.status == 0, "\(whole)")
            #expect(faceCount == 2500)
            #expect(refused.status == 74 && refused.error.contains("exists; choose another path"), "\(refused)")
            let lineCount = try folder.text(lines).split(separator: "\n").count
            #expect(lineCount == 2500)
            #expect(folder.names == [name])
        }
    }

    @Test func facesOfAnotherCollectionThatGotTheNameAreNotWritten() async throws {
        try await withFaces(2500) { cluster, address, folder in
            cluster.change { state in
                state.beforeAnswer = { [weak cluster] request in
                    guard case .listFaces(let page) = request, page.after != nil else { return }
                    cluster?.change { $0.collectionIDs["people"] = CollectionID(high: 7, low: 7) }
                }
            }
            for name in ["people.jsonl", "people"] {
                cluster.change { $0.collectionIDs = [:] }
                let result = await mienCommand(["export", "people", folder.file(name), "--coordinator", address])
                #expect(result.status == 1 && result.error.contains("another has its name"), "\(result)")
                #expect(folder.names.isEmpty)
            }
        }
    }

    /// A year that RFC 3339 has no text for, as any program may enrol it.
    @Test func timesOfEveryYearComeBack() async throws {
        try await withFaces(4) { cluster, address, folder in
            let times: [Int64] = [.min, 1_769_860_800_000_000, 253_402_300_800_000, .max]
            cluster.change { state in
                for (number, time) in times.enumerated() {
                    let id = FaceID(high: 3, low: UInt64(number))
                    state.faces["people"]?[id]?.metadata.created = Timestamp(milliseconds: time)
                }
            }
            let path = folder.file("people.jsonl")
            #expect(await mienCommand(["export", "people", path, "--coordinator", address]).status == 0)
            let result = await mienCommand(["import", "copy", "--embeddings", path, "--coordinator", address])
            #expect(result.status == 0, "\(result)")
            let copy = cluster.faces(of: "copy")
            let copied = times.indices.compactMap {
                copy[FaceID(high: 3, low: UInt64($0))]?.metadata.created?.milliseconds
            }
            #expect(copied == times)
        }
    }
}
