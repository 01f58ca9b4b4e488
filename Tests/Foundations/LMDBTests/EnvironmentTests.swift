import Foundation
import LMDB
import Testing

@Suite struct EnvironmentTests {
    let folder = TemporaryFolder()

    @Test func missingFolderIsNamed() {
        let path = folder.path + "/missing"
        #expect(throws: LMDBError.notFound(path: path)) { try Environment(path: path) }
        // For a person: options of this module mean nothing to them.
        #expect("\(LMDBError.notFound(path: "/a"))" == "/a does not exist; make that folder, or name another.")
        #expect(throws: LMDBError.notFound(path: "a\0b")) { try Environment(path: "a\0b") }
        var options = EnvironmentOptions()
        options.createDirectory = true
        #expect(throws: LMDBError.notFound(path: "")) { try Environment(path: "", options: options) }
        // A parent that exists as a name only.
        try? FileManager.default.createSymbolicLink(atPath: folder.path + "/link", withDestinationPath: path)
        #expect(throws: LMDBError.notFound(path: folder.path + "/link/a")) {
            try Environment(path: folder.path + "/link/a", options: options)
        }
    }

    @Test func createDirectoryMakesTheFolderAndItsParentsForThisUserOnly() throws {
        let path = folder.path + "/a/b//c/"
        var options = EnvironmentOptions()
        options.createDirectory = true
        for _ in 0..<2 {
            let environment = try Environment(path: path, options: options)
            environment.close()
        }
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/a/b/c")
        #expect(attributes[.posixPermissions] as? Int == 0o700)
        let file = try FileManager.default.attributesOfItem(atPath: folder.path + "/a/b/c/data.mdb")
        #expect(file[.posixPermissions] as? Int == 0o600)
    }

    @Test func fileInPlaceOfTheFolderIsRefused() throws {
        let path = folder.path + "/file"
        try Data([1]).write(to: URL(filePath: path))
        #expect(throws: LMDBError.notADirectory(path: path)) { try Environment(path: path) }
    }

    @Test func unwritableFolderIsRefused() throws {
        // Root may write to any folder but those of the kernel.
        let path = getuid() == 0 ? "/sys/kernel" : folder.path
        if getuid() != 0 { chmod(path, 0o500) }
        #expect {
            try Environment(path: path)
        } throws: { error in
            guard case LMDBError.permissionDenied(let denied, _) = error else { return false }
            return denied == path + "/mien.lock"
        }
        chmod(folder.path, 0o700)
    }

    @Test func secondOpeningIsRefusedHoweverThePathIsSpelled() throws {
        let environment = try Environment(path: folder.path)
        let link = TemporaryFolder()
        try FileManager.default.createSymbolicLink(atPath: link.path + "/link", withDestinationPath: folder.path)
        for path in [folder.path, folder.path + "/.", link.path + "/link"] {
            #expect(throws: LMDBError.alreadyOpen(path: path)) { try Environment(path: path) }
        }
        environment.close()
        environment.close()
        try Environment(path: folder.path).close()
    }

    @Test func environmentClosesWithItsLastReference() throws {
        for _ in 0..<3 { _ = try Environment(path: folder.path) }
    }

    @Test func failedOpeningLeavesNothingOpen() throws {
        try Data(repeating: 7, count: 8192).write(to: URL(filePath: folder.path + "/data.mdb"))
        for _ in 0..<2 {
            #expect(throws: LMDBError.notAnEnvironment(path: folder.path)) { try Environment(path: folder.path) }
        }
        try FileManager.default.removeItem(atPath: folder.path + "/data.mdb")
        try Environment(path: folder.path).close()
    }

    @Test func otherFormatVersionIsRefused() throws {
        try Environment(path: folder.path).close()
        let file = folder.path + "/data.mdb"
        var bytes = try Data(contentsOf: URL(filePath: file))
        // Both meta pages: 16 bytes of page header, 4 of magic number, 4 of version.
        for page in [0, 4096] { bytes[page + 20] = 99 }
        try bytes.write(to: URL(filePath: file))
        #expect(throws: LMDBError.versionMismatch(path: folder.path)) { try Environment(path: folder.path) }
    }

    /// LMDB divides by what the meta pages call the size of a page.
    @Test func aChangedBitOfWhatSaysHowTheFileIsReadIsRefused() throws {
        try Environment(path: folder.path).close()
        let file = URL(filePath: folder.path + "/data.mdb")
        let sound = try Data(contentsOf: file)
        for page in [0, 4096] {
            // Magic number, version, and bytes of a page.
            for field in [16, 20, 40] {
                for bit in 0..<32 {
                    var bytes = sound
                    bytes[page + field + bit / 8] ^= 1 << UInt8(bit % 8)
                    try bytes.write(to: file)
                    #expect(throws: LMDBError.self, "page at \(page), field at \(field), bit \(bit)") {
                        try Environment(path: folder.path)
                    }
                }
            }
            var bytes = sound
            bytes[page + 41] = 0
            try bytes.write(to: file)
            #expect(throws: LMDBError.corrupted(path: folder.path)) { try Environment(path: folder.path) }
        }
        try sound.write(to: file)
        try Environment(path: folder.path).close()
    }

    @Test func secondProcessIsRefusedAndTheFirstNamed() async throws {
        let path = folder.path
        let holder = Process()
        holder.executableURL = URL(filePath: "/bin/sh")
        holder.arguments = ["-c", "exec 9<>\(path)/mien.lock; flock 9; echo $$ >&9; echo held; exec sleep 60"]
        let output = Pipe()
        holder.standardOutput = output
        try holder.run()
        _ = output.fileHandleForReading.availableData
        #expect(throws: LMDBError.lockedByAnotherProcess(path: path, pid: holder.processIdentifier)) {
            try Environment(path: path)
        }
        kill(holder.processIdentifier, SIGKILL)
        holder.waitUntilExit()
        let environment = try Environment(path: path)
        try #expect(run("/usr/bin/flock", "-n", path + "/mien.lock", "true") == 1)
        try #expect(String(contentsOfFile: path + "/mien.lock", encoding: .utf8) == "\(getpid())\n")
        environment.close()
        try #expect(run("/usr/bin/flock", "-n", path + "/mien.lock", "true") == 0)
    }

    @Test func closingFreesTheFolderEvenIfAForkedChildStillHasTheFile() throws {
        let environment = try Environment(path: folder.path)
        let descriptors = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
        let lock = try #require(
            descriptors.first { descriptor in
                let name = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
                return name == folder.path + "/mien.lock"
            }
        )
        let shared = dup(lock)
        defer { close(shared) }
        environment.close()
        try #expect(run("/usr/bin/flock", "-n", folder.path + "/mien.lock", "true") == 0)
        try Environment(path: folder.path).close()
    }

    @Test func readOnlyReadsAndNeverWrites() throws {
        #expect(throws: LMDBError.self) { try Environment(path: folder.path, options: .init(readOnly: true)) }
        let writable = try Environment(path: folder.path)
        let written = try writable.openTable(named: "t", create: true)
        try writable.write { try $0.put(written, key: "k", value: [1]) }
        writable.close()

        let environment = try Environment(path: folder.path, options: .init(readOnly: true))
        let table = try environment.openTable(named: "t")
        try #expect(environment.read { try $0.bytes(table, "k") } == [1])
        #expect(throws: LMDBError.permissionDenied(path: folder.path, errno: EROFS)) {
            try environment.write { _ in }
        }
        // Readers share the folder, writers do not.
        try #expect(run("/usr/bin/flock", "-n", "-s", folder.path + "/mien.lock", "true") == 0)
        try #expect(run("/usr/bin/flock", "-n", "-x", folder.path + "/mien.lock", "true") == 1)
    }

    @Test func closedEnvironmentSaysSo() throws {
        let environment = try Environment(path: folder.path)
        environment.close()
        let closed = LMDBError.closed(path: folder.path)
        #expect(throws: closed) { try environment.read { _ in } }
        #expect(throws: closed) { try environment.write { _ in } }
        #expect(throws: closed) { try environment.openTable(named: "t") }
        #expect(throws: closed) { try environment.copy(to: folder.path + "/copy", compacting: false) }
        #expect(throws: closed) { try environment.sync() }
    }

    @Test func closingWaitsForTransactionsInProgress() async throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: "k", value: [1]) }
        let (begun, mayEnd) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        let reader = Thread {
            try? environment.read { transaction in
                begun.signal()
                mayEnd.wait()
                try #expect(transaction.bytes(table, "k") == [1])
            }
        }
        reader.start()
        wait(begun)
        let closed = DispatchSemaphore(value: 0)
        let closer = Thread {
            environment.close()
            closed.signal()
        }
        closer.start()
        #expect(closed.wait(timeout: .now() + 0.05) == .timedOut)
        mayEnd.signal()
        #expect(closed.wait(timeout: .now() + 10) == .success)
        try Environment(path: folder.path).close()
    }

    @Test func tablesAreOpenedByNameAndKind() throws {
        let environment = try Environment(path: folder.path, options: .init(maxTables: 2))
        #expect(throws: LMDBError.tableNotFound(name: "t", path: folder.path)) {
            try environment.openTable(named: "t")
        }
        let table = try environment.openTable(named: "t", create: true)
        try #expect(environment.openTable(named: "t") == table)
        #expect(throws: LMDBError.wrongTableKind(name: "t", path: folder.path)) {
            try environment.openTable(named: "t", integerKeys: true, create: true)
        }
        _ = try environment.openTable(named: "n", integerKeys: true, create: true)
        #expect(throws: LMDBError.tablesFull(path: folder.path)) {
            try environment.openTable(named: "third", create: true)
        }
        #expect(throws: LMDBError.keyEmpty) { try environment.openTable(named: "", create: true) }
        #expect(throws: LMDBError.keyTooLong(byteCount: 512)) {
            try environment.openTable(named: String(repeating: "a", count: 512), create: true)
        }
    }

    @Test func tooManyReadersIsAnError() throws {
        let environment = try Environment(path: folder.path, options: .init(maxReaders: 2))
        let path = folder.path
        try environment.read { _ in
            try environment.read { _ in
                _ = #expect(throws: LMDBError.readersFull(path: path, maxReaders: 2)) { try environment.read { _ in } }
            }
        }
        try environment.read { _ in }
    }

    @Test func statisticsCountPagesAndReaders() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { transaction in
            for key in 0..<UInt64(1000) {
                try transaction.put(table, key: key, value: [UInt8](repeating: 1, count: 5000), options: .append)
            }
        }
        let shape = try environment.read { try $0.statistics(of: table) }
        #expect(shape.entryCount == 1000)
        #expect(shape.overflowPageCount == 2000)
        #expect(shape.depth == 2)
        let full = try environment.statistics()
        #expect(full.mapByteCount == 1 << 40)
        #expect(full.usedByteCount >= shape.byteCount)
        #expect(full.readerCount == 0 && full.oldestReaderLag == 0)
        try environment.read { _ in
            for _ in 0..<3 {
                try environment.write {
                    try $0.removeAll(table)
                    try $0.put(table, key: "k", value: [])
                }
            }
            let pinned = try environment.statistics()
            #expect(pinned.readerCount == 1)
            #expect(pinned.oldestReaderLag == 3)
            #expect(pinned.freePageCount >= 2000)
            #expect(pinned.lastTransaction == full.lastTransaction + 3)
        }
        try environment.sync()
    }

    @Test(arguments: [(false, false), (true, false), (true, true)])
    func copyHoldsTheLastCommit(compacting: Bool, readsSinglePages: Bool) throws {
        var options = EnvironmentOptions()
        options.readsSinglePages = readsSinglePages
        let environment = try Environment(path: folder.path, options: options)
        let table = try environment.openTable(named: "t", create: true)
        let secret = [UInt8]("the bytes of a deleted value".utf8)
        try environment.write { transaction in
            for key in 0..<UInt64(1000) { try transaction.put(table, key: key, value: secret) }
        }
        try environment.write { _ = try $0.removeAll(table, in: .before(UInt64(999))) }
        try environment.write { try $0.put(table, key: UInt64(999), value: [1]) }
        let path = folder.path + "/copy"
        try environment.copy(to: path, compacting: compacting)
        #expect(throws: LMDBError.io(path: path, errno: EEXIST)) {
            try environment.copy(to: path, compacting: compacting)
        }
        let copy = try Environment(path: path)
        let copied = try copy.openTable(named: "t")
        try #expect(copy.read { try $0.numbers(copied) } == [999])
        try #expect(copy.read { try $0.bytes(copied, UInt64(999)) } == [1])
        let bytes = try Data(contentsOf: URL(filePath: path + "/data.mdb"))
        #expect((bytes.range(of: Data(secret)) == nil) == compacting)
    }

    /// A copy that nobody wants any more ends at once, and neither signals nor leaves anything.
    @Test(arguments: [(false, false), (true, false), (true, true)])
    func copyThatIsStoppedLeavesNoFile(compacting: Bool, readsSinglePages: Bool) throws {
        var options = EnvironmentOptions()
        options.readsSinglePages = readsSinglePages
        let environment = try Environment(path: folder.path, options: options)
        let table = try environment.openTable(named: "t", integerKeys: true, create: true)
        try environment.write { transaction in
            for key in 0..<UInt64(500) {
                try transaction.put(table, key: key, value: [UInt8](repeating: 1, count: 9000))
            }
        }
        let path = folder.path + "/copy"
        for limit in [1, 2, 5] {
            var asked = 0
            let isComplete = try environment.copy(to: path, compacting: compacting) {
                asked += 1
                return asked == limit
            }
            #expect(!isComplete && asked == limit)
            #expect(!FileManager.default.fileExists(atPath: path + "/data.mdb"))
        }
        try #expect(environment.copy(to: path, compacting: compacting) { false })
        let copy = try Environment(path: path)
        let copied = try copy.openTable(named: "t", integerKeys: true)
        try #expect(copy.read { try $0.numbers(copied) }.count == 500)
    }

    /// What is read ahead of a copy waits for it, and is given up with it.
    @Test func copyOfMoreThanIsReadAheadHoldsAll() throws {
        var options = EnvironmentOptions()
        options.readsSinglePages = true
        let environment = try Environment(path: folder.path, options: options)
        let small = try environment.openTable(named: "a", create: true)
        let large = try environment.openTable(named: "b", integerKeys: true, create: true)
        let value = [UInt8](repeating: 1, count: 1 << 18)
        for first in stride(from: UInt64(0), to: 160, by: 40) {
            try environment.write { transaction in
                for key in first..<first + 40 {
                    try transaction.put(large, key: key, value: value)
                    for name in 0..<50 {
                        try transaction.put(small, key: key << 8 | UInt64(name), value: [UInt8(name)])
                    }
                }
            }
        }
        let path = folder.path + "/copy"
        var asked = 0
        let isComplete = try environment.copy(to: path, compacting: true) {
            asked += 1
            return asked == 4
        }
        #expect(!isComplete)
        try #expect(environment.copy(to: path, compacting: true))
        let copy = try Environment(path: path)
        let (copiedSmall, copiedLarge) = try (copy.openTable(named: "a"), copy.openTable(named: "b", integerKeys: true))
        try copy.read { transaction in
            #expect(try transaction.count(of: copiedSmall) == 160 * 50)
            #expect(try transaction.count(of: copiedLarge) == 160)
            try transaction.forEach(in: copiedLarge) { entry in
                #expect(entry.value.elementsEqual(value))
                return .next
            }
        }
    }

    @Test(.enabled(if: SmallDisk.isAvailable)) func copyThatDoesNotFitLeavesNoFile() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { transaction in
            for key in 0..<UInt64(500) {
                try transaction.put(table, key: key, value: [UInt8](repeating: 1, count: 9000))
            }
        }
        let disk = try SmallDisk(byteCount: 1 << 20)
        #expect(throws: LMDBError.noSpace(path: disk.path)) {
            try environment.copy(to: disk.path, compacting: true)
        }
        #expect(!FileManager.default.fileExists(atPath: disk.path + "/data.mdb"))
    }

    @Test func errorsAreOneSentenceThatNamesThePlace() {
        let cause = LMDBError.io(path: "/d", errno: EIO)
        #expect(
            "\(cause)" == "The system reported an error on /d (Input/output error); check the disk and the kernel log."
        )
        #expect("\(LMDBError.fenced(path: "/d", cause: cause))".hasSuffix("\(cause)"))
        #expect("\(LMDBError.keyTooLong(byteCount: 600))" == "A key has 600 bytes; keys have 1 to 511.")
        #expect("\(LMDBError.lockedByAnotherProcess(path: "/d", pid: 12))".contains("process 12"))
        #expect("\(LMDBError.lockedByAnotherProcess(path: "/d", pid: nil))".contains("another process"))
    }

    private func run(_ arguments: String...) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(filePath: arguments[0])
        process.arguments = Array(arguments.dropFirst())
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    private func wait(_ semaphore: DispatchSemaphore) {
        semaphore.wait()
    }
}
