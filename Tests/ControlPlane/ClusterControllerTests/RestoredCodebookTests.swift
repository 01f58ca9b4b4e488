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
    private typealias Summary = CollectionDescription.Codebook

    /// A reader as a coordinator has it: of codebooks whose first byte is their generation.
    private static let reader = CodebookReader { (bytes, dimension) throws(WireStatus) in
        guard dimension == 64, let first = bytes.first, first > 0 else {
            throw WireStatus(.invalidRequest, "It cannot be read.")
        }
        return Summary.madeUp(generation: UInt32(first))
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
            try await cluster.beginRestore(shards: 1)
            let bytes = [1] + [UInt8](repeating: 7, count: 999)
            for wrong in [Summary.madeUp(generation: 2), Summary.madeUp(lists: 4_294_967_295)] {
                let code = await refusal { () async throws(WireStatus) in
                    try await cluster.restoreCodebook(bytes, summary: wrong)
                }
                #expect(code == .invalidRequest)
            }
            let unreadable = [UInt8](repeating: 0, count: 1000)
            let code = await refusal { () async throws(WireStatus) in
                try await cluster.restoreCodebook(unreadable)
            }
            #expect(code == .invalidRequest)
            #expect(try await cluster.describe("again").codebook == nil)
            try await cluster.restoreCodebook(bytes)
            #expect(try await cluster.describe("again").codebook == Summary.madeUp())
        }
    }

    @Test func whereACodebookIsOnlyTheSameIsAcknowledged() async throws {
        try await withCluster(workers: 1, codebookReader: Self.reader) { _, cluster, _ in
            try await cluster.beginRestore(shards: 1)
            let bytes = [2] + [UInt8](repeating: 7, count: 999)
            for _ in 0..<2 { try await cluster.restoreCodebook(bytes, summary: Summary.madeUp(generation: 2)) }
            for generation in [2, 3] as [UInt8] {
                let other = [generation] + [UInt8](repeating: 8, count: 999)
                let code = await refusal { () async throws(WireStatus) in
                    try await cluster.restoreCodebook(other, summary: Summary.madeUp(generation: UInt32(generation)))
                }
                #expect(code == .alreadyExists)
            }
            // As one that was trained since is newer than the backup's, which is sent again.
            let older = [1] + [UInt8](repeating: 7, count: 999)
            try await cluster.restoreCodebook(older)
            #expect(try await cluster.describe("again").codebook == Summary.madeUp(generation: 2))
        }
    }

    /// Whoever begins to steer removes what no record names, and the record of this one is on its way.
    @Test func aCodebookThatIsBeingRecordedStaysWhenSteeringBeginsAnew() async throws {
        let (shared, own) = (TemporaryFolder(), TemporaryFolder())
        try await ControlCluster.withFaultyStore(at: shared, own: own, workers: 1) { store, cluster, workers in
            try await cluster.beginRestore(shards: 1)
            let bytes = [1] + [UInt8](repeating: 7, count: 999)
            let folder = "\(own.path)/codebooks"
            func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder) }
            store.set { $0.holds = { changes in changes.contains { $0.key.hasPrefix("collection/") } } }
            async let sent = Result { try await cluster.restoreCodebook(bytes) }
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
