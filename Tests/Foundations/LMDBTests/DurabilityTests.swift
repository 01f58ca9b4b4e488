import Foundation
import LMDB
import Testing

@Suite struct DurabilityTests {
    let folder = TemporaryFolder()

    @Test func killedProcessKeepsWhatItCommittedAndNothingElse() async throws {
        for round in UInt64(0)..<3 {
            let path = folder.path
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, round = round as UInt64] in
                let environment = try Environment(path: path)
                let table = try environment.openTable(named: "t", create: true)
                for key in round * 10..<round * 10 + 10 {
                    try environment.write { try $0.put(table, key: key, value: [UInt8](repeating: 1, count: 3000)) }
                }
                try environment.write { transaction in
                    for key in UInt64(1000)..<2000 {
                        try transaction.put(table, key: key, value: [UInt8](repeating: 2, count: 3000))
                    }
                    kill(getpid(), SIGKILL)
                }
            }
            let environment = try Environment(path: path)
            let table = try environment.openTable(named: "t")
            try #expect(environment.read { try $0.numbers(table) } == Array(0..<round * 10 + 10))
            try environment.write { try $0.put(table, key: UInt64(0), value: [UInt8(round)]) }
            environment.close()
        }
    }

    /// Two may read at once here: those of a process that was killed take no place from others.
    @Test func readersOfAKilledProcessAreForgotten() async throws {
        for _ in 0..<2 {
            let path = folder.path
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String] in
                let environment = try Environment(path: path, options: .init(maxReaders: 2))
                try environment.read { _ in
                    try environment.read { _ in
                        _ = kill(getpid(), SIGKILL)
                    }
                }
            }
        }
        let environment = try Environment(path: folder.path, options: .init(maxReaders: 2))
        try #expect(environment.statistics().readerCount == 0)
        try environment.read { _ in
            try environment.read { _ in }
        }
    }

    @Test func cutFileIsReportedAsDamageAndDoesNotEndTheProcess() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { transaction in
            for key in 0..<UInt64(1000) {
                try transaction.put(table, key: key, value: [UInt8](repeating: 1, count: 900))
            }
        }
        environment.close()
        truncate(folder.path + "/data.mdb", 16 * 4096)

        #expect {
            try Environment(path: folder.path, options: .init(readOnly: true))
        } throws: { error in
            guard case LMDBError.truncated(folder.path, let expected, 65536) = error else { return false }
            return expected > 900_000
        }
        let cut = try Environment(path: folder.path)
        #expect(throws: LMDBError.corrupted(path: folder.path)) {
            let table = try cut.openTable(named: "t")
            _ = try cut.read { try $0.numbers(table) }
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable)) func fullDiskFencesTheEnvironmentAndReopeningFindsTheDataWhole() throws {
        let disk = try SmallDisk(byteCount: 3 << 20)
        var acknowledged: [UInt64] = []
        let environment = try Environment(path: disk.path)
        let table = try environment.openTable(named: "t", create: true)
        #expect(throws: LMDBError.noSpace(path: disk.path)) {
            for key in UInt64(0)..<100 {
                try environment.write { transaction in
                    try transaction.put(table, key: key, value: [UInt8](repeating: UInt8(key), count: 100_000))
                }
                acknowledged.append(key)
            }
        }
        #expect(acknowledged.count > 10)
        let fenced = LMDBError.fenced(path: disk.path, cause: .noSpace(path: disk.path))
        #expect(environment.fenceCause == .noSpace(path: disk.path))
        #expect(throws: fenced) { try environment.write { try $0.delete(table, key: UInt64(0)) } }
        #expect(throws: fenced) { try environment.openTable(named: "new", create: true) }
        try #expect(environment.read { try $0.numbers(table) } == acknowledged)
        environment.close()

        // Still full: what is there can be read.
        let reopened = try Environment(path: disk.path)
        let found = try reopened.openTable(named: "t")
        try #expect(reopened.read { try $0.numbers(found) } == acknowledged)
        for key in acknowledged {
            let expected = [UInt8](repeating: UInt8(key), count: 100_000)
            try #expect(reopened.read { try $0.bytes(found, key) } == expected)
        }
        try disk.remount(byteCount: 8 << 20)
        try reopened.write { try $0.put(found, key: UInt64(1000), value: [UInt8](repeating: 1, count: 100_000)) }
        try #expect(reopened.read { try $0.numbers(found) } == acknowledged + [1000])
    }

    /// After that LMDB lets nobody in, readers neither: the file is sound, and no copy has to take its place.
    @Test func aCommitThatFailsAtItsLastWriteFencesReadsAndIsNoDamage() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: UInt64(1), value: [1]) }
        let failure = try LastWriteFailure(in: folder.path)
        let cause = LMDBError.io(path: folder.path, errno: EBADF)
        #expect(throws: cause) { try environment.write { try $0.put(table, key: UInt64(2), value: [2]) } }
        failure.end()
        let fenced = LMDBError.fenced(path: folder.path, cause: cause)
        #expect(throws: fenced) { try environment.read { try $0.numbers(table) } }
        #expect(throws: fenced) { try environment.write { try $0.put(table, key: UInt64(3), value: [3]) } }
        #expect(throws: fenced) { try environment.openTable(named: "t") }
        #expect(throws: fenced) { try environment.copy(to: folder.path + "/copy", compacting: true) }
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/copy/data.mdb"))
        environment.close()

        let reopened = try Environment(path: folder.path)
        let found = try reopened.openTable(named: "t")
        try #expect(reopened.read { try $0.numbers(found) } == [1])
        try reopened.write { try $0.put(found, key: UInt64(2), value: [2]) }
        try #expect(reopened.read { try $0.numbers(found) } == [1, 2])
    }

    /// What an opening reads may lie in memory alone, in pages that the system takes for written: it writes them again.
    @Test func anOpeningWritesAgainWhereEverythingIs() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: UInt64(1), value: [1]) }
        environment.close()
        let file = folder.path + "/data.mdb"
        func written() throws -> Date? {
            try FileManager.default.attributesOfItem(atPath: file)[.modificationDate] as? Date
        }
        let bytes = try Data(contentsOf: URL(filePath: file))
        let past = Date(timeIntervalSince1970: 1_000_000_000)
        for isReadOnly in [true, false] {
            try FileManager.default.setAttributes([.modificationDate: past], ofItemAtPath: file)
            let opened = try Environment(path: folder.path, options: .init(readOnly: isReadOnly))
            #expect(try (written() == past) == isReadOnly)
            opened.close()
            #expect(try Data(contentsOf: URL(filePath: file)) == bytes)
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable), arguments: [false, true])
    func copyToAFullDiskFailsAndLeavesNoFile(compacting: Bool) throws {
        let disk = try SmallDisk(byteCount: 1 << 20)
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: "k", value: [UInt8](repeating: 1, count: 4 << 20)) }
        #expect(throws: LMDBError.noSpace(path: disk.path)) {
            try environment.copy(to: disk.path, compacting: compacting)
        }
        try #expect(FileManager.default.contentsOfDirectory(atPath: disk.path).isEmpty)
        try environment.write { try $0.put(table, key: "k", value: [1]) }
    }

    @Test(.enabled(if: SmallDisk.isAvailable)) func readOnlyFileSystemCanBeReadAndNotWritten() throws {
        let disk = try SmallDisk(byteCount: 1 << 20)
        let written = try Environment(path: disk.path)
        let table = try written.openTable(named: "t", create: true)
        try written.write { try $0.put(table, key: "k", value: [1]) }
        written.close()
        try disk.remount(byteCount: 1 << 20, readOnly: true)
        #expect(throws: LMDBError.permissionDenied(path: disk.path + "/mien.lock", errno: EROFS)) {
            try Environment(path: disk.path)
        }
        let environment = try Environment(path: disk.path, options: .init(readOnly: true))
        let found = try environment.openTable(named: "t")
        try #expect(environment.read { try $0.bytes(found, "k") } == [1])
    }
}
