import ClusterModel
import FaceModel
import Foundation
import Testing
import WireProtocol
import WorkerService

/// What copies and snapshots have yet to take of a worker's disk is promised once.
@Suite struct DiskRoomTests {
    private let folder = TemporaryFolder()
    private var copy: String { "\(folder.path)/copy" }
    private var snapshot: String { "\(folder.path)/snapshot" }
    private var other: String { "\(folder.path)/other" }

    private func room(reserve: UInt64 = 0) -> DiskRoom {
        let copy = copy
        return DiskRoom(reserveByteCount: reserve, freeOnDisk: { 1000 }, incomingFolders: { [copy] })
    }

    @Test func whatIsToComeOfACopyIsFreeForItAlone() throws {
        let room = room()
        #expect(room.shortage(of: 1000, in: other) == nil && room.shortage(of: 1001, in: other) == 1000)
        try IncomingCopyFile.begin(in: copy, byteCount: 600, presentByteCount: 200)
        #expect(room.shortage(of: 600, in: other) == nil && room.shortage(of: 601, in: other) == 600)
        // Another one in its place has all of that, and what has come goes.
        #expect(room.shortage(of: 1200, in: copy, besides: 200) == nil)
        #expect(room.shortage(of: 1201, in: copy, besides: 200) == 1200)
        // Whoever reserves room for copies knows of it.
        #expect(room.freeByteCountBesideSnapshots == 1000)
        try IncomingCopyFile.write(600, in: copy)
        #expect(room.shortage(of: 1000, in: other) == nil)
        try IncomingCopyFile.begin(in: copy, byteCount: .max)
        #expect(room.shortage(of: 1, in: other) == 0)
        try FileManager.default.removeItem(atPath: copy)
        #expect(room.shortage(of: 1000, in: other) == nil)
    }

    @Test func whatIsToComeOfASnapshotIsFreeForNobodyElse() throws {
        let room = room()
        room.noteSnapshot(in: snapshot, byteCount: 700)
        #expect(room.shortage(of: 300, in: other) == nil && room.shortage(of: 301, in: other) == 300)
        #expect(room.freeByteCountBesideSnapshots == 300)
        try IncomingCopyFile.write(500, in: snapshot)
        #expect(room.shortage(of: 801, in: copy) == 800 && room.freeByteCountBesideSnapshots == 800)
        room.forgetSnapshot(in: snapshot)
        #expect(room.shortage(of: 1000, in: copy) == nil && room.freeByteCountBesideSnapshots == 1000)
    }

    @Test func ofTwoThatDoNotBothFitOneBegins() {
        let room = room(reserve: 100)
        func begin(_ byteCount: UInt64, _ folder: String) -> UInt64? {
            room.admit(byteCount, to: folder) { room.noteSnapshot(in: folder, byteCount: byteCount) }
        }
        #expect(begin(500, snapshot) == nil)
        #expect(begin(401, other) == 500)
        #expect(begin(400, other) == nil)
        #expect(begin(1, copy) == 100)
        room.forgetSnapshot(in: other)
        #expect(begin(400, copy) == nil)
    }

    @Test func theReserveStaysFree() {
        #expect(room(reserve: 100).shortage(of: 900, in: other) == nil)
        #expect(room(reserve: 100).shortage(of: 901, in: other) == 1000)
        #expect(room(reserve: .max).shortage(of: 1, in: other) == 1000)
    }

    @Test func aSnapshotIsNotBegunInTheRoomOfACopy() async throws {
        let test = TestCollection(shardCount: 2)
        let snapshot = SnapshotID(high: 7, low: 8)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for index in 0..<2 { _ = try await harness.call(test.host(index)) }
            _ = try await harness.call(test.enrol(test.ids(5)))
            let path = "\(folder.path)/replicas/\(test.collection.id)/1/incoming"
            try IncomingCopyFile.begin(in: path, byteCount: 1 << 60)
            let hold = HoldWrites(route: test.route(), snapshot: snapshot, limit: 1000)
            let cut = CutShard(route: test.route(), snapshot: snapshot)
            _ = try await harness.call(hold)
            let status = try await harness.refusal(cut)
            #expect(status.code == .storageFull && status.message.contains("a snapshot of"), "\(status)")
            try FileManager.default.removeItem(atPath: path)
            _ = try await harness.call(hold)
            let made = try await harness.call(cut)
            #expect(made.sequence > 0)
        }
    }
}
