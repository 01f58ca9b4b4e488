import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Foundation
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Codebooks that come with backups: what is taken, and what waits for the rest of its slices.
struct RestoredCodebookTests {
    private static func summary(generation: UInt32 = 1, lists: Int = 9) -> CollectionDescription.Codebook {
        CollectionDescription.Codebook(
            generation: generation,
            codedDimension: 64,
            codeByteCount: 2,
            listCount: lists,
            energyShare: 0.875,
            sampleCount: 77,
            calibrationProbeCount: 19,
            calibration: [.init(leastSimilarity: 0.5, recall: 0.99, visitedShare: 0.25)]
        )
    }

    private func restore(
        _ bytes: [UInt8],
        _ summary: CollectionDescription.Codebook,
        in cluster: ControlCluster
    ) async throws(WireStatus) {
        let request = RestoreCodebook(
            collection: "again",
            backup: "people-1",
            origin: CodebookOrigin(cause: .growth, faceCount: 1200),
            digest: CodebookFiles.digest(of: bytes),
            summary: summary,
            slice: CodebookSlice(totalByteCount: UInt64(bytes.count), offset: 0, bytes: bytes)
        )
        _ = try await cluster.client.call(request, deadline: .after(.seconds(60)))
    }

    private func begin(_ cluster: ControlCluster) async throws(WireStatus) {
        let begin = BeginRestore(
            configuration: ControlCluster.configuration("again", shards: 1),
            backup: "people-1",
            epoch: Epoch(1),
            erasureKey: ErasureKey(high: 1, low: 2)
        )
        _ = try await cluster.client.call(begin, deadline: .after(.seconds(60)))
    }

    /// A reader as a coordinator has it: of codebooks whose first byte is their generation.
    private static let reader = CodebookReader { (bytes, dimension) throws(WireStatus) in
        guard dimension == 64, let first = bytes.first, first > 0 else {
            throw WireStatus(.invalidRequest, "It cannot be read.")
        }
        return Self.summary(generation: UInt32(first))
    }

    private func refusal(of body: () async throws(WireStatus) -> Void) async -> StatusCode? {
        do throws(WireStatus) {
            try await body()
            return nil
        } catch {
            return error.code
        }
    }

    @Test func aCodebookOfAnotherGenerationOrShapeThanIsToldIsNotKeptAndTheRightOneIsTaken() async throws {
        try await withCluster(workers: 1, codebookReader: Self.reader) { _, cluster, _ in
            try await begin(cluster)
            let bytes = [1] + [UInt8](repeating: 7, count: 999)
            for wrong in [Self.summary(generation: 2), Self.summary(lists: 4_294_967_295)] {
                let code = await refusal { () async throws(WireStatus) in try await restore(bytes, wrong, in: cluster) }
                #expect(code == .invalidRequest)
            }
            let unreadable = [UInt8](repeating: 0, count: 1000)
            let code = await refusal { () async throws(WireStatus) in
                try await restore(unreadable, Self.summary(), in: cluster)
            }
            #expect(code == .invalidRequest)
            #expect(try await cluster.describe("again").codebook == nil)
            try await restore(bytes, Self.summary(), in: cluster)
            #expect(try await cluster.describe("again").codebook == Self.summary())
        }
    }

    @Test func whereACodebookIsOnlyTheSameIsAcknowledged() async throws {
        try await withCluster(workers: 1, codebookReader: Self.reader) { _, cluster, _ in
            try await begin(cluster)
            let bytes = [2] + [UInt8](repeating: 7, count: 999)
            for _ in 0..<2 { try await restore(bytes, Self.summary(generation: 2), in: cluster) }
            for generation in [2, 3] as [UInt8] {
                let other = [generation] + [UInt8](repeating: 8, count: 999)
                let code = await refusal { () async throws(WireStatus) in
                    try await restore(other, Self.summary(generation: UInt32(generation)), in: cluster)
                }
                #expect(code == .alreadyExists)
            }
            // As one that was trained since is newer than the backup's, which is sent again.
            let older = [1] + [UInt8](repeating: 7, count: 999)
            try await restore(older, Self.summary(), in: cluster)
            #expect(try await cluster.describe("again").codebook == Self.summary(generation: 2))
        }
    }

    /// Whoever begins to steer removes what no record names, and the record of this one is on its way.
    @Test func aCodebookThatIsBeingRecordedStaysWhenSteeringBeginsAnew() async throws {
        let (shared, own) = (TemporaryFolder(), TemporaryFolder())
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, workers in
            try await begin(cluster)
            let bytes = [1] + [UInt8](repeating: 7, count: 999)
            let folder = "\(own.path)/codebooks"
            func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder) }
            store.set { $0.holds = { changes in changes.contains { $0.key.hasPrefix("collection/") } } }
            async let sent = Result { try await restore(bytes, Self.summary(), in: cluster) }
            try await eventually("its commit waits") { try store.hasHeldCommit && files().count == 1 }
            // As if an earlier term had left it: it is gone once steering has begun anew.
            let left = String(repeating: "0", count: 64) + ".codebook"
            #expect(FileManager.default.createFile(atPath: "\(folder)/\(left)", contents: nil))
            var isHeld = true
            try await eventually("steering has begun anew") {
                isHeld.toggle()
                let standing = isHeld ? LeaseStanding.held(fence: nil) : .waiting
                store.set { $0.standing = standing }
                return try !files().contains(left)
            }
            store.set { faults in
                faults.standing = .held(fence: nil)
                faults.holds = nil
            }
            try await sent.get()
            #expect(try files().count == 1)
            #expect(workers[0].state.withLock { $0.installed.values.map { $0 } == [bytes] })
        }
    }

    private func slice(_ offset: Int, of total: UInt64, _ byteCount: Int = 1000) -> CodebookSlice {
        CodebookSlice(
            totalByteCount: total,
            offset: UInt64(offset),
            bytes: [UInt8](repeating: 3, count: byteCount)
        )
    }

    @Test func slicesWhoseOthersDoNotComeAreForgotten() throws {
        var gathering = CodebookGathering()
        let (first, second) = (CollectionID(high: 1, low: 1), CollectionID(high: 1, low: 2))
        _ = try gathering.add(slice(0, of: 3000), of: first, now: .seconds(5))
        _ = try gathering.add(slice(0, of: 3000), of: second, now: .seconds(5))
        _ = try gathering.add(slice(1000, of: 3000), of: second, now: .seconds(30))
        #expect(gathering.byteCount == 3000)
        gathering.keep(only: [first, second], now: .seconds(5) + CodebookGathering.patience)
        #expect(gathering.byteCount == 2000)
        #expect(throws: WireStatus.self) { try gathering.add(slice(1000, of: 3000), of: first, now: .seconds(66)) }
        let whole = try gathering.add(slice(2000, of: 3000), of: second, now: .seconds(66))
        #expect(whole?.count == 3000)
        #expect(gathering.isEmpty)
        // Its collection is deleted.
        _ = try gathering.add(slice(0, of: 3000), of: first, now: .seconds(70))
        #expect(gathering.byteCount == 1000)
        gathering.keep(only: [second], now: .seconds(70))
        #expect(gathering.isEmpty)
    }

    @Test func slicesThatGoOnComingForTooLongAreForgottenToo() throws {
        var gathering = CodebookGathering()
        let collection = CollectionID(high: 1, low: 1)
        let end = CodebookGathering.longestTime
        for number in 0..<20 {
            let now = end * number / 20
            gathering.keep(only: [collection], now: now)
            _ = try gathering.add(slice(number, of: 3000, 1), of: collection, now: now)
        }
        #expect(gathering.byteCount == 20)
        gathering.keep(only: [collection], now: end - .milliseconds(1))
        #expect(gathering.byteCount == 20)
        gathering.keep(only: [collection], now: end)
        #expect(gathering.isEmpty)
    }

    @Test func thereIsRoomForSoMuchAndWhatWasLetInComesToItsEnd() throws {
        var gathering = CodebookGathering()
        let limit = CodebookGathering.byteLimit
        let (first, second) = (CollectionID(high: 1, low: 1), CollectionID(high: 1, low: 2))
        _ = try gathering.add(slice(0, of: limit - 1500), of: first, now: .zero)
        let refusal = #expect(throws: WireStatus.self) {
            try gathering.add(slice(0, of: 1501), of: second, now: .zero)
        }
        #expect(refusal?.code == .overloaded)
        _ = try gathering.add(slice(0, of: 1500), of: second, now: .zero)
        #expect(gathering.byteCount == 2000)
        let whole = try gathering.add(slice(1000, of: 1500, 500), of: second, now: .zero)
        #expect(whole?.count == 1500)
        // What was told of its size holds.
        #expect(throws: WireStatus.self) { try gathering.add(slice(1000, of: 2000), of: first, now: .zero) }
        #expect(gathering.isEmpty)
    }
}
