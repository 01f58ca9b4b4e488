import ClusterModel
import FaceModel
import Glibc
import Logging
import PartitionEngine
import Testing
import WireProtocol
import WorkerService

/// Data folders that a worker cannot use, or can use only in part.
@Suite struct WorkerFolderTests {
    private let test = TestCollection(shardCount: 2)

    /// What starting a worker on these options is refused with.
    private func refusal(_ options: WorkerOptions) async throws -> WorkerError {
        do throws(WorkerError) {
            let worker = try await Worker.start(
                options,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                group: WorkerHarness.group
            )
            await worker.shutdown()
        } catch {
            return error
        }
        throw WireStatus(.internalError, "the worker started")
    }

    @Test func aFolderInUseIsRefusedWithTheProcess() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { _ in
            let error = try await refusal(WorkerHarness.options(folder))
            guard case .folderInUse(folder.path, getpid()) = error else {
                Issue.record("unexpected: \(error)")
                return
            }
            #expect("\(error)".contains("in use by process \(getpid())"))
        }
        try await WorkerHarness.with(WorkerHarness.options(folder)) { _ in }
    }

    @Test func aFolderThatCannotBeMadeIsRefused() async throws {
        let folder = TemporaryFolder()
        let file = open("\(folder.path)/file", O_CREAT | O_WRONLY, 0o600)
        close(file)
        var options = WorkerHarness.options(folder)
        options.dataDirectory = "\(folder.path)/file/data"
        let error = try await refusal(options)
        guard case .folderUnusable = error else {
            Issue.record("unexpected: \(error)")
            return
        }
        #expect("\(error)".contains("\(folder.path)/file/data"))
    }

    @Test func aReadOnlyFolderIsRefused() async throws {
        // Root may write anywhere but here.
        let folder = TemporaryFolder()
        var options = WorkerHarness.options(folder)
        options.dataDirectory = "/proc/self/fdinfo"
        let error = try await refusal(options)
        guard case .folderUnusable = error else {
            Issue.record("unexpected: \(error)")
            return
        }
    }

    @Test func aNewerFormatIsRefusedAndLeftAlone() async throws {
        let folder = TemporaryFolder()
        let newer = RecordText(kind: "mien-worker", format: 2, fields: ["node": "later"]).encoded
        let file = open("\(folder.path)/worker", O_CREAT | O_WRONLY, 0o600)
        _ = newer.withUnsafeBytes { write(file, $0.baseAddress!, $0.count) }
        close(file)
        for _ in 0..<2 {
            let error = try await refusal(WorkerHarness.options(folder))
            guard case .newerFormat(_, 2, 1) = error else {
                Issue.record("unexpected: \(error)")
                return
            }
        }
    }

    @Test func aPortInUseIsRefusedAndTheFolderFreed() async throws {
        let folder = TemporaryFolder()
        let other = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            var options = WorkerHarness.options(other)
            options.listen = harness.worker.address
            let error = try await refusal(options)
            guard case .cannotListen = error else {
                Issue.record("unexpected: \(error)")
                return
            }
            #expect("\(error)".contains("\(harness.worker.address)"))
        }
        try await WorkerHarness.with(WorkerHarness.options(other)) { _ in }
    }

    @Test func aBrokenPartitionIsReportedAndOthersServe() async throws {
        let folder = TemporaryFolder()
        let cluster = NodeID.random()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for index in 0..<2 {
                _ = try await harness.call(test.host(index))
                _ = try await harness.call(test.enrol(test.ids(10, in: index), in: index))
            }
        }
        try FileBytes.overwrite(
            "\(folder.path)/replicas/\(test.collection.id)/0/partition/data.mdb",
            at: 0,
            with: [UInt8](repeating: 0xee, count: 32_768)
        )
        try await WorkerHarness.withCluster(folder, cluster: cluster) { harness, coordinator in
            let report = try await coordinator.report { report in
                report.replicas.count == 2 && report.replicas.allSatisfy { $0.state != .opening }
            }
            #expect(report.replicas.map(\.state) == [.failed, .serving])
            let ids = test.ids(10, in: 1)
            #expect(try await harness.call(test.search(ids, in: 1)).matches.map { $0.first?.faceID } == ids)
            let status = try await harness.refusal(test.search(test.ids(1)))
            #expect(status.code.retry != .refreshAndRetry && status.message.contains("shard 0"))
        }
    }

    @Test func aPartitionOfAnotherShardIsReportedAndLeftAlone() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for index in 0..<2 {
                _ = try await harness.call(test.host(index))
                _ = try await harness.call(test.enrol(test.ids(10, in: index), in: index))
            }
        }
        try swapPartitions(in: folder)
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
            let report = try await coordinator.report { report in
                report.replicas.count == 2 && report.replicas.allSatisfy { $0.state != .opening }
            }
            #expect(report.replicas.map(\.state) == [.failed, .failed])
            for index in 0..<2 {
                let id = test.ids(1, in: index)
                let search = try await harness.refusal(test.search(id, in: index))
                #expect(search.code == .corruptPartition && search.message.contains("another shard's"), "\(search)")
                let write = try await harness.refusal(test.enrol(id, in: index))
                #expect(write.code == .corruptPartition, "\(write)")
                // It is not said to be damaged: nobody puts a copy in the place of what may be another's only one.
                let reading = try await harness.refusal(VerifyReplica(shard: test.shard(index)))
                #expect(reading.code == .corruptPartition && reading.message.contains("another shard's"), "\(reading)")
            }
        }
        try swapPartitions(in: folder)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for index in 0..<2 {
                let ids = test.ids(10, in: index)
                let answer = try await harness.call(test.search(ids, in: index))
                #expect(answer.matches.map { $0.first?.faceID } == ids)
            }
        }
    }

    /// Each of the two replicas gets the other's partition.
    private func swapPartitions(in folder: TemporaryFolder) throws {
        let replicas = "\(folder.path)/replicas/\(test.collection.id)"
        let aside = "\(folder.path)/aside"
        try #require(rename("\(replicas)/0/partition", aside) == 0)
        try #require(rename("\(replicas)/1/partition", "\(replicas)/0/partition") == 0)
        try #require(rename(aside, "\(replicas)/1/partition") == 0)
    }

    @Test func aCopyThatWasCutOffBeforeItsFirstFileHadItsNameIsRemoved() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(10)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(ids))
        }
        let copy = "\(folder.path)/replicas/\(test.collection.id)/0/incoming"
        try #require(mkdir(copy, 0o700) == 0)
        let file = open("\(copy)/copy.new", O_CREAT | O_WRONLY, 0o600)
        try #require(file >= 0)
        close(file)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            let matches = try await harness.call(test.search(ids)).matches
            #expect(matches.map { $0.first?.faceID } == ids)
            #expect(access(copy, F_OK) != 0)
        }
    }

    @Test func aDamagedEmbeddingTakesTheReplicaOutOfServiceOnFirstTouch() async throws {
        let folder = TemporaryFolder()
        let one = TestCollection()
        let ids = one.ids(1500)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(one.host())
            _ = try await harness.call(one.enrol(ids))
        }
        let path = "\(folder.path)/replicas/\(one.collection.id)/0/partition/data.mdb"
        let pattern = one.embeddings([ids[700]]).values.prefix(12).flatMap { value in
            withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
        }
        let places = try FileBytes.occurrences(of: pattern, in: path)
        #expect(!places.isEmpty)
        for place in places { try FileBytes.overwrite(path, at: place, with: [pattern[0] ^ 1]) }
        try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
            let status = try await harness.refusal(one.search([ids[0]]))
            #expect(status.code == .corruptPartition && status.message.contains("checksum"))
            let report = try await coordinator.report { $0.replicas.first?.state == .failed }
            #expect(report.replicas.count == 1)
            #expect(try await harness.refusal(one.enrol([ids[0]])).code == .corruptPartition)
        }
    }

    @Test func aPartitionThatCannotBeOpenedYetIsTriedAgain() async throws {
        let folder = TemporaryFolder()
        let ids = test.ids(10)
        let options = WorkerHarness.options(folder)
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            _ = try await harness.call(test.enrol(ids))
        }
        let holder = try Partition.open(
            at: "\(folder.path)/replicas/\(test.collection.id)/0/partition",
            options: options.partition
        )
        try await WorkerHarness.with(options) { harness in
            #expect(try await harness.refusal(test.search(ids)).code != .unknownReplica)
            holder.close()
            let end = ContinuousClock.now + .seconds(10)
            while (try? await harness.call(test.search(ids))) == nil, ContinuousClock.now < end {
                try await Task.sleep(for: .milliseconds(20))
            }
            #expect(try await harness.call(test.search(ids)).matches.map { $0.first?.faceID } == ids)
        }
    }

    @Test func aBrokenRecordIsReportedAndOthersServe() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            for index in 0..<2 { _ = try await harness.call(test.host(index)) }
        }
        try FileBytes.overwrite("\(folder.path)/replicas/\(test.collection.id)/1/record", at: 20, with: [0x58])
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.search(test.ids(1)))
            #expect(try await harness.refusal(test.search(test.ids(1), in: 1)).code != .unknownReplica)
            #expect(try await harness.refusal(test.host(1)).code == .corruptPartition)
            _ = try await harness.call(DropReplica(shard: test.shard(1), epoch: Epoch(9)))
            _ = try await harness.call(test.host(1, epoch: 10))
        }
    }

    @Test func leftoversWithoutARecordAreRemoved() async throws {
        let folder = TemporaryFolder()
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            _ = try await harness.call(test.host())
        }
        let path = "\(folder.path)/replicas/\(test.collection.id)/0"
        #expect(unlink("\(path)/record") == 0)
        try await WorkerHarness.with(WorkerHarness.options(folder)) { harness in
            #expect(access(path, F_OK) != 0)
            #expect(try await harness.refusal(test.search(test.ids(1))).code == .unknownReplica)
            _ = try await harness.call(test.host())
        }
    }
}
