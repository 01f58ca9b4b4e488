import Checksum
import Foundation
import NIOCore
package import WireProtocol

extension FuzzTarget {
    /// Frames, and the messages in them. Checksums are made right first.
    static let wire = FuzzTarget(
        name: "wire",
        seeds: { try WireTarget.goldenFrames() },
        accepts: { WireTarget.accepts($0) }
    )
}

package enum WireTarget {
    /// Every message there is.
    package static let messages: [any WireMessage.Type] = [
        Hello.self, HelloReply.self, Ping.self, Pong.self, Cancel.self, WireStatus.self, GoAway.self,
        Acknowledgement.self, CreateCollection.self, DescribeCollection.self, CollectionDescription.self,
        ListCollections.self, CollectionList.self, DeleteCollection.self, CollectionDeleted.self, EnrolFaces.self,
        FacesEnrolled.self, DeleteFaces.self, FacesDeleted.self, GetFaces.self, FaceList.self, ListFaces.self,
        GetLatestToken.self, LatestToken.self, ConfirmShard.self, ShardConfirmed.self,
        FacePage.self, SearchFaces.self, SearchByFace.self, SearchAnswer.self, GetClusterStatus.self,
        ClusterStatus.self, Heartbeat.self, HeartbeatReply.self, HostReplica.self, DropReplica.self,
        TrainCodebook.self, FetchCodebook.self, CodebookFetched.self, InstallCodebook.self, SampleEmbeddings.self,
        EmbeddingSample.self, ShardEnrol.self, ShardEnrolled.self, ShardDelete.self, ShardDeleted.self,
        ShardGet.self, ShardList.self, ShardSearch.self, ShardSearchAnswer.self, VerifyShard.self, ShardVerified.self,
        ProposeGroup.self, ShardGroup.self, VerifyReplica.self, ReplicaVerified.self, AppendEntries.self,
        EntriesAppended.self, PartitionSlice.self, OfferCopy.self, CopyStanding.self, PlanOperation.self,
        OperationPlan.self, BeginOperation.self,
        ChangeOperation.self, OperationDescription.self, ListOperations.self, OperationList.self, ExplainShard.self,
        ShardExplanation.self, BeginBackup.self, BackupBegun.self, DescribeSnapshot.self, SnapshotDescription.self,
        ReadSnapshot.self, SnapshotPage.self, ReleaseSnapshot.self, BeginRestore.self, RestoreFaces.self,
        FinishRestore.self, HoldWrites.self, CutShard.self, ShardCut.self, ShardRestore.self,
        ReadErasures.self, ShardErasures.self, ErasureList.self, PrepareSuccessor.self, AbandonSuccessor.self,
        AbandonTraining.self, ReadCodebook.self, RestoreCodebook.self,
        ReadLog.self, LogRead.self,
        PinShard.self, AcceptRecord.self, RecordAccepted.self,
        RecoverShard.self, ShardRecovered.self, ReadLosses.self, LossList.self,
    ]

    private static let messagesByNumber = Dictionary(
        messages.map { ($0.type.rawValue, $0) },
        uniquingKeysWith: { first, _ in first }
    )

    private static let limits = WireLimits()

    static func accepts(_ bytes: [UInt8]) -> Bool {
        let sealed = sealing(bytes)
        let whole = events(sealed, pieceByteCount: sealed.count)
        // The first byte, which is part of a length, also says how the bytes come in.
        let pieces = events(sealed, pieceByteCount: 1 + Int(sealed.first ?? 0) % 61)
        precondition(whole == pieces, "bytes that come in pieces are other frames")
        // Another side, which has not said hello.
        _ = events(sealed, pieceByteCount: sealed.count, isOpen: false)
        var isAccepted = !whole.frames.isEmpty && whole.error == nil
        for case .frame(let frame) in whole.frames where !reads(frame) { isAccepted = false }
        return isAccepted
    }

    private struct Events: Equatable {
        var frames: [FrameDecoder.Event] = []
        var error: FrameError?
    }

    private static func events(_ bytes: [UInt8], pieceByteCount: Int, isOpen: Bool = true) -> Events {
        var decoder = FrameDecoder(payloadLimit: limits.payloadByteCount, isOpen: false)
        if isOpen { decoder.open(payloadLimit: limits.payloadByteCount, features: .known) }
        var events = Events()
        do throws(FrameError) {
            for first in stride(from: 0, to: bytes.count, by: max(1, pieceByteCount)) {
                decoder.feed(ByteBuffer(bytes: bytes[first..<min(first + max(1, pieceByteCount), bytes.count)]))
                while let event = try decoder.next() { events.frames.append(event) }
            }
        } catch {
            events.error = error
        }
        return events
    }

    /// Whether the payload is a message.
    private static func reads(_ frame: Frame) -> Bool {
        guard let message = messagesByNumber[frame.header.typeNumber] else { return false }
        let isRead = reads(message, frame)
        if MessageType(rawValue: frame.header.typeNumber)?.isRequest == true {
            let request = Result { () throws(WireDecodingError) in try Request(frame, limits: limits) }
            let isRequest = if case .success(.some) = request { true } else { false }
            precondition(isRequest == isRead, "a request is not read as one")
        }
        return isRead
    }

    private static func reads<M: WireMessage>(_ type: M.Type, _ frame: Frame) -> Bool {
        do throws(WireDecodingError) {
            let message = try frame.decode(type, limits: limits)
            var again = frame
            again.payload = written(message)
            let reread = try? again.decode(type, limits: limits)
            precondition(reread.map { written($0) } == again.payload, "a message is another after it was written")
            if let heartbeat = message as? Heartbeat { addUp(heartbeat.report) }
            return true
        } catch {
            precondition(error.wireStatus.code.retry == .doNotRetry, "a message that is wrong once is wrong again")
            return false
        }
    }

    /// What a coordinator makes of a report: sums over shards, each face with its bytes of memory, and percent.
    private static func addUp(_ report: WorkerReport) {
        var (rowCount, byteCount) = (0 as UInt64, 0 as UInt64)
        for replica in report.replicas {
            rowCount += replica.faceCount + replica.freshCount + replica.tombstoneCount + replica.olderRowCount
            byteCount += replica.faceCount * 128 + replica.diskByteCount
            precondition((0...100).contains(Int(replica.warmth * 100)), "more is in memory than there is")
            precondition(replica.groupVersion < .max, "there is no next version of a group")
        }
        for successor in report.successors {
            rowCount += successor.rowCount + successor.totalRowCount
            byteCount += successor.diskByteCount
        }
        precondition(rowCount <= UInt64.max - byteCount, "a sum has more than 64 bits")
    }

    private static func written(_ message: some WireMessage) -> ByteBuffer {
        var writer = PayloadWriter(ByteBuffer())
        message.encode(into: &writer)
        return writer.buffer
    }

    /// The same frames with the right checksums, as far as they are whole.
    private static func sealing(_ bytes: [UInt8]) -> [UInt8] {
        var sealed = bytes
        var start = 0
        while start + FrameHeader.byteCount <= sealed.count {
            let payload = start + FrameHeader.byteCount
            let byteCount = Int(number(sealed, at: start))
            if byteCount <= sealed.count - payload {
                replaceNumber(&sealed, at: start + 24, with: checksum(sealed, payload..<payload + byteCount))
            }
            replaceNumber(&sealed, at: start + 28, with: checksum(sealed, start..<start + 28))
            start = payload + byteCount
        }
        return sealed
    }

    private static func checksum(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
        unsafe bytes.withUnsafeBytes { unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    /// The frames that the protocol's own tests hold it to, each alone and all in a row.
    fileprivate static func goldenFrames() throws -> [[UInt8]] {
        let folder = URL(filePath: #filePath).appending(path: "../../../../../Tests/Wire/WireProtocolTests/Golden")
            .standardizedFileURL
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .sorted { $0.path < $1.path }
        let frames = try files.map { file in
            let digits = try String(contentsOf: file, encoding: .utf8).filter { !$0.isNewline }.compactMap(
                \.hexDigitValue
            )
            return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        }
        return frames + [frames.flatMap { $0 }]
    }
}
