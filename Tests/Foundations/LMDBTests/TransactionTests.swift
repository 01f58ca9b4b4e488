import Foundation
import LMDB
import Testing

@Suite struct TransactionTests {
    let environment: Environment
    let table: Table
    /// After the environment, which is closed first: another folder may get the file number of one that is removed.
    let folder = TemporaryFolder()

    struct Refused: Error {}

    init() throws {
        environment = try Environment(path: folder.path, options: .init(mapByteCount: 1 << 26))
        table = try environment.openTable(named: "t", create: true)
    }

    @Test func valuesAreStoredReplacedAndDeleted() throws {
        try environment.write { transaction in
            try transaction.put(table, key: "k", value: [1, 2])
            try transaction.put(table, key: "empty", value: [])
            try #expect(transaction.reading.bytes(table, "k") == [1, 2])
        }
        try environment.write { try $0.put(table, key: "k", value: [3]) }
        try environment.read { transaction in
            try #expect(transaction.bytes(table, "k") == [3])
            try #expect(transaction.bytes(table, "empty") == [])
            try #expect(transaction.bytes(table, "other") == nil)
            try #expect(transaction.contains(table, key: "empty"))
            try #expect(transaction.count(of: table) == 2)
        }
        try environment.write { transaction in
            try #expect(transaction.delete(table, key: "k"))
            try #expect(!transaction.delete(table, key: "k"))
        }
        try #expect(environment.read { try $0.bytes(table, "k") } == nil)
    }

    @Test func everyKindOfKeyNamesItsBytes() throws {
        let long = String(repeating: "é", count: 100)
        try environment.write { transaction in
            try transaction.put(table, key: UInt32(0x0102_0304), value: [1])
            try transaction.put(table, key: UInt64(0x0506_0708_090A_0B0C), value: [2])
            try transaction.put(table, key: StaticString("static"), value: [3])
            try transaction.put(table, key: long, value: [4])
        }
        try environment.read { transaction in
            try #expect(transaction.bytes(table, [UInt8]([1, 2, 3, 4])) == [1])
            try #expect(transaction.bytes(table, [UInt8]([5, 6, 7, 8, 9, 10, 11, 12])) == [2])
            try #expect(transaction.bytes(table, "static") == [3])
            try #expect(transaction.bytes(table, Array(long.utf8)) == [4])
            try Array("static".utf8).withUnsafeBytes { try #expect(transaction.bytes(table, $0) == [3]) }
        }
    }

    @Test func keyLimitsHoldForEveryCall() throws {
        let (longest, tooLong) = ([UInt8](repeating: 1, count: 511), [UInt8](repeating: 1, count: 512))
        try environment.write { transaction in
            try transaction.put(table, key: longest, value: [1])
            try #expect(transaction.reading.bytes(table, longest) == [1])
            for (key, error) in [(tooLong, LMDBError.keyTooLong(byteCount: 512)), ([], .keyEmpty)] {
                #expect(throws: error) { try transaction.put(table, key: key, value: [1]) }
                #expect(throws: error) { _ = try transaction.reserve(table, key: key, byteCount: 1) }
                #expect(throws: error) { try transaction.delete(table, key: key) }
                #expect(throws: error) { try transaction.reading.contains(table, key: key) }
                #expect(throws: error) { try transaction.reading.withCursor(table) { _ = try $0.seek(to: key) } }
            }
        }
        try #expect(environment.read { try $0.count(of: table) } == 1)
    }

    @Test func oversizeValueIsRefused() throws {
        try environment.write { transaction in
            #expect(throws: LMDBError.valueTooLong(byteCount: 1 << 32)) {
                _ = try transaction.reserve(table, key: "k", byteCount: 1 << 32)
            }
        }
    }

    @Test func noOverwriteKeepsTheFirstValueAndTheTransaction() throws {
        try environment.write { transaction in
            try transaction.put(table, key: "k", value: [1], options: .noOverwrite)
            #expect(throws: LMDBError.keyExists) {
                try transaction.put(table, key: "k", value: [2], options: .noOverwrite)
            }
            try transaction.put(table, key: "l", value: [3])
        }
        try #expect(environment.read { try $0.bytes(table, "k") } == [1])
        try #expect(environment.read { try $0.bytes(table, "l") } == [3])
    }

    @Test func appendTakesRisingKeysOnly() throws {
        try environment.write { transaction in
            for key in 10..<UInt64(2000) { try transaction.put(table, key: key, value: [1], options: .append) }
            for key in [UInt64(5), 1999] {
                #expect(throws: LMDBError.appendOutOfOrder) {
                    try transaction.put(table, key: key, value: [1], options: .append)
                }
            }
        }
        try #expect(environment.read { try $0.numbers(table) } == Array(10..<2000))
    }

    @Test func reservedBytesAreZeroUntilFilledAndLargeValuesStart16BytesIntoAPage() throws {
        let byteCounts = [1, 100, 2030, 4080, 65520, 65536, 18 * 4096 - 16]
        try environment.write { transaction in
            // Pages that have held other bytes must not show them again.
            try transaction.put(table, key: "old", value: [UInt8](repeating: 0xEE, count: 300_000))
        }
        try environment.write { try $0.delete(table, key: "old") }
        try environment.write { _ in }
        try environment.write { transaction in
            for byteCount in byteCounts {
                let buffer = try transaction.reserve(
                    table,
                    key: UInt32(byteCount),
                    byteCount: byteCount,
                    options: .append
                )
                #expect(buffer.count == byteCount && buffer.allSatisfy { $0 == 0 })
                buffer[byteCount - 1] = 9
            }
        }
        try environment.read { transaction in
            for byteCount in byteCounts {
                let value = try #require(try transaction.value(of: table, key: UInt32(byteCount)))
                #expect(value.count == byteCount && value[byteCount - 1] == 9)
                #expect(value.dropLast().allSatisfy { $0 == 0 })
                if byteCount >= 2030 { #expect(Int(bitPattern: value.baseAddress) % 4096 == 16) }
            }
        }
    }

    @Test func throwingAbortsTheWholeTransaction() throws {
        try environment.write { try $0.put(table, key: "k", value: [1]) }
        #expect(throws: Refused.self) {
            try environment.write { transaction in
                try transaction.put(table, key: "k", value: [2])
                try transaction.put(table, key: "l", value: [2])
                throw Refused()
            }
        }
        func typed() throws(LMDBError) {
            try environment.write { transaction throws(LMDBError) in
                try transaction.removeAll(table)
                throw .keyExists
            }
        }
        #expect(throws: LMDBError.keyExists) { try typed() }
        try environment.read { transaction in
            try #expect(transaction.bytes(table, "k") == [1])
            try #expect(transaction.bytes(table, "l") == nil)
        }
        try environment.write { try $0.put(table, key: "l", value: [3]) }
    }

    @Test func readerKeepsItsSnapshotWhileAWriterCommits() throws {
        let (environment, table) = (environment, table)
        try environment.write { try $0.put(table, key: "k", value: [1]) }
        try environment.read { transaction in
            let number = transaction.number
            let done = DispatchSemaphore(value: 0)
            Thread {
                try? environment.write { try $0.put(table, key: "k", value: [2]) }
                done.signal()
            }.start()
            #expect(done.wait(timeout: .now() + 10) == .success)
            try #expect(transaction.bytes(table, "k") == [1])
            try #expect(environment.read { try $0.bytes(table, "k") } == [2])
            try #expect(environment.read { $0.number } == number + 1)
        }
        try #expect(environment.read { try $0.bytes(table, "k") } == [2])
    }

    @Test func writersOnManyThreadsLoseNothing() throws {
        let (environment, table) = (environment, table)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<10 {
                try? environment.write { transaction in
                    let count = try transaction.reading.bytes(table, "count")?[0] ?? 0
                    try transaction.put(table, key: "count", value: [count + 1])
                }
            }
        }
        try #expect(environment.read { try $0.bytes(table, "count") } == [80])
    }

    @Test func fullMapFailsOneTransactionAndNotTheEnvironment() throws {
        try environment.write { try $0.put(table, key: "kept", value: [1]) }
        let full = LMDBError.mapFull(path: folder.path, mapByteCount: 1 << 26)
        #expect(throws: full) {
            try environment.write { transaction in
                for key in UInt64(0)... { _ = try transaction.reserve(table, key: key, byteCount: 1 << 20) }
            }
        }
        // Hiding the error does not commit half a transaction.
        #expect(throws: LMDBError.transactionFailed(path: folder.path)) {
            try environment.write { transaction in
                try transaction.put(table, key: "lost", value: [1])
                _ = try? transaction.reserve(table, key: "large", byteCount: 1 << 26)
            }
        }
        #expect(environment.fenceCause == nil)
        try environment.write { try $0.put(table, key: "more", value: [2]) }
        try environment.read { transaction in
            try #expect(transaction.count(of: table) == 2)
            try #expect(transaction.bytes(table, "kept") == [1])
            try #expect(transaction.bytes(table, "more") == [2])
        }
    }

    @Test func tablesAreApart() throws {
        let other = try environment.openTable(named: "other", create: true)
        try environment.write { transaction in
            try transaction.put(table, key: "k", value: [1])
            try transaction.put(other, key: "k", value: [2])
            try transaction.removeAll(table)
        }
        try #expect(environment.read { try $0.bytes(table, "k") } == nil)
        try #expect(environment.read { try $0.bytes(other, "k") } == [2])
    }

    @Test func writeInsideAWriteTraps() async {
        environment.close()
        await #expect(processExitsWith: .trap) { [path = folder.path as String] in
            let environment = try Environment(path: path)
            try environment.write { _ in try environment.write { _ in } }
        }
    }

    @Test func tableOfAnotherEnvironmentTraps() async {
        environment.close()
        await #expect(processExitsWith: .trap) { [path = folder.path as String] in
            let first = try Environment(path: path)
            let table = try first.openTable(named: "t", create: true)
            first.close()
            let second = try Environment(path: path)
            _ = try second.openTable(named: "t")
            _ = try second.read { try $0.contains(table, key: "k") }
        }
    }
}

extension ExitTest.Condition {
    /// The end of a process by a failed precondition.
    fileprivate static var trap: Self {
        #if arch(x86_64)
        .signal(SIGILL)
        #else
        .signal(SIGTRAP)
        #endif
    }
}
