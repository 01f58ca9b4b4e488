import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

@Suite struct CodebookStagingTests {
    private let shard = ShardID(collection: CollectionID(high: 1, low: 2), index: 3)
    private let start = ContinuousClock.now
    private let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }

    private func slice(
        _ range: Range<Int>,
        of bytes: [UInt8]? = nil,
        shard: ShardID? = nil,
        digest: [UInt8]? = nil
    ) -> InstallCodebook {
        let bytes = bytes ?? self.bytes
        return InstallCodebook(
            shard: shard ?? self.shard,
            epoch: Epoch(1),
            generation: 1,
            digest: digest ?? CodebookStaging.digest(of: bytes),
            slice: CodebookSlice(
                totalByteCount: UInt64(bytes.count),
                offset: UInt64(range.lowerBound),
                bytes: Array(bytes[range])
            )
        )
    }

    @Test func slicesInOrderMakeTheWhole() throws {
        var staging = CodebookStaging(byteLimit: 4096)
        #expect(try staging.add(slice(0..<400), now: start) == .needsMore)
        #expect(try staging.add(slice(400..<900), now: start) == .needsMore)
        #expect(staging.reservedByteCount == 1000)
        #expect(try staging.add(slice(900..<1000), now: start) == .complete(bytes))
        #expect(staging.reservedByteCount == 0)
    }

    @Test func aRepeatedSliceChangesNothing() throws {
        var staging = CodebookStaging(byteLimit: 4096)
        _ = try staging.add(slice(0..<400), now: start)
        _ = try staging.add(slice(400..<600), now: start)
        #expect(try staging.add(slice(400..<600), now: start) == .needsMore)
        #expect(try staging.add(slice(500..<1000), now: start) == .complete(bytes))
    }

    @Test func theFirstSliceStartsAfresh() throws {
        var staging = CodebookStaging(byteLimit: 4096)
        _ = try staging.add(slice(0..<400), now: start)
        let other = [UInt8](repeating: 9, count: 500)
        #expect(try staging.add(slice(0..<500, of: other), now: start) == .complete(other))
    }

    @Test func aGapIsRefused() throws {
        var staging = CodebookStaging(byteLimit: 4096)
        #expect(throws: WireStatus.self) { try staging.add(slice(400..<500), now: start) }
        _ = try staging.add(slice(0..<400), now: start)
        #expect(throws: WireStatus.self) { try staging.add(slice(401..<500), now: start) }
    }

    @Test func aWrongDigestIsRefusedAndDropped() throws {
        var staging = CodebookStaging(byteLimit: 4096)
        let wrong = [UInt8](repeating: 1, count: 32)
        _ = try staging.add(slice(0..<400, digest: wrong), now: start)
        #expect(throws: WireStatus.self) { try staging.add(slice(400..<1000, digest: wrong), now: start) }
        #expect(staging.reservedByteCount == 0)
    }

    @Test func boundsAndShapesAreChecked() {
        var staging = CodebookStaging(byteLimit: 999)
        #expect(throws: WireStatus.self) { try staging.add(slice(0..<400), now: start) }
        staging = CodebookStaging(byteLimit: 4096)
        #expect(throws: WireStatus.self) { try staging.add(slice(0..<400, digest: [1]), now: start) }
        #expect(throws: WireStatus.self) { try staging.add(slice(0..<0), now: start) }
        var overrun = slice(0..<400)
        overrun.slice.offset = .max
        #expect(throws: WireStatus.self) { try staging.add(overrun, now: start) }
        #expect(staging.reservedByteCount == 0)
    }

    @Test func anAbandonedGatheringGivesWay() throws {
        var staging = CodebookStaging(byteLimit: 1500)
        let other = ShardID(collection: shard.collection, index: 4)
        _ = try staging.add(slice(0..<400), now: start)
        #expect(throws: WireStatus.self) { try staging.add(slice(0..<400, shard: other), now: start + .seconds(1)) }
        #expect(try staging.add(slice(0..<400, shard: other), now: start + .seconds(61)) == .needsMore)
        #expect(staging.reservedByteCount == 1000)
    }
}
