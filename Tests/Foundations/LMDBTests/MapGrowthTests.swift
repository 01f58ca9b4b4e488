import Foundation
import LMDB
import Synchronization
import Testing

/// A file gets more address space while it is used.
@Suite struct MapGrowthTests {
    let folder = TemporaryFolder()
    let environment: Environment
    let table: Table
    private static let firstByteCount = 1 << 22

    init() throws {
        environment = try Environment(path: folder.path, options: .init(mapByteCount: Self.firstByteCount))
        table = try environment.openTable(named: "t", create: true)
    }

    private final class Flag: Sendable {
        private let value = Atomic(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    /// Values of a megabyte until no more fit; how many there are then.
    private func fill(from first: UInt64) throws -> UInt64 {
        var key = first
        do {
            while true {
                try environment.write { try $0.put(table, key: key, value: Self.value(of: key)) }
                key += 1
            }
        } catch LMDBError.mapFull {}
        return key
    }

    private static func value(of key: UInt64) -> [UInt8] { [UInt8](repeating: UInt8(key & 0xff), count: 1 << 20) }

    @Test func aFullMapTakesMoreOnceItHasGrown() throws {
        let count = try fill(from: 0)
        #expect((1..<4).contains(count))
        let use = try environment.mapUse()
        #expect(use.mapByteCount == Self.firstByteCount && use.usedByteCount > Int(count) << 20)
        try #expect(environment.growMap(to: 1 << 24, waitingAtMost: .zero))
        try #expect(environment.mapUse().mapByteCount == 1 << 24)
        let more = try fill(from: count)
        #expect(more > count + 8)
        try environment.read { transaction in
            for key in 0..<more { try #expect(transaction.bytes(table, key) == Self.value(of: key)) }
        }
        // A smaller one is no growth.
        try #expect(environment.growMap(to: 1 << 20, waitingAtMost: .zero))
        try #expect(environment.mapUse().mapByteCount == 1 << 24)
    }

    @Test func whatItGrewToIsMappedAgainAfterReopening() throws {
        try #expect(environment.growMap(to: 1 << 24, waitingAtMost: .zero))
        let count = try fill(from: 0)
        environment.close()
        let again = try Environment(path: folder.path, options: .init(mapByteCount: Self.firstByteCount))
        let table = try again.openTable(named: "t")
        try #expect(again.mapUse().mapByteCount >= Int(count) << 20)
        try again.read { transaction in
            for key in 0..<count { try #expect(transaction.bytes(table, key) == Self.value(of: key)) }
        }
    }

    @Test func aReaderThatStaysKeepsTheMapAsItIs() throws {
        try environment.write { try $0.put(table, key: "k", value: [1]) }
        try environment.read { transaction in
            try #expect(!environment.growMap(to: 1 << 24, waitingAtMost: .milliseconds(5)))
            try #expect(transaction.bytes(table, "k") == [1])
        }
        try #expect(environment.mapUse().mapByteCount == Self.firstByteCount)
        try #expect(environment.read { try $0.bytes(table, "k") } == [1])
    }

    @Test func whoMustNotWaitDoesNotReadWhileTheMapIsToGrow() throws {
        let (environment, table) = (environment, table)
        try environment.write { try $0.put(table, key: "k", value: [1]) }
        let hasGrown = Flag()
        let ended = DispatchSemaphore(value: 0)
        try environment.read { _ in
            Thread.detachNewThread {
                if (try? environment.growMap(to: 1 << 24, waitingAtMost: .seconds(600))) == true { hasGrown.set() }
                ended.signal()
            }
            // Until the growth waits for this read.
            let end = ContinuousClock.now + .seconds(60)
            var isRead = true
            while isRead, ContinuousClock.now < end {
                isRead = try environment.readWithoutWaiting { _ in true } != nil
            }
            #expect(!isRead && !hasGrown.isSet)
        }
        #expect(ended.wait(timeout: .now() + 60) == .success)
        #expect(hasGrown.isSet)
        let value = try environment.readWithoutWaiting { try $0.bytes(table, "k") == [1] }
        #expect(value == true)
        environment.close()
        #expect(throws: LMDBError.closed(path: folder.path)) { try environment.readWithoutWaiting { _ in } }
    }

    /// Nobody has to wait for a growth that waits for one.
    @Test func aLongReadIsNotWaitedFor() throws {
        let environment = environment
        let hasGrown = Flag()
        let ended = DispatchSemaphore(value: 0)
        try environment.readForLong { _ in
            Thread.detachNewThread {
                if (try? environment.growMap(to: 1 << 24, waitingAtMost: .seconds(600))) != false { hasGrown.set() }
                ended.signal()
            }
            #expect(ended.wait(timeout: .now() + 30) == .success)
            // Where there is no address space that is said all the same.
            #expect(throws: LMDBError.mapUnavailable(path: folder.path, mapByteCount: 1 << 60)) {
                try environment.growMap(to: 1 << 60, waitingAtMost: .zero)
            }
        }
        #expect(!hasGrown.isSet)
        try #expect(environment.growMap(to: 1 << 24, waitingAtMost: .zero))
    }

    @Test func thereIsNoRoomForMoreThanTheAddressSpace() throws {
        #expect(throws: LMDBError.mapUnavailable(path: folder.path, mapByteCount: 1 << 60)) {
            try environment.growMap(to: 1 << 60, waitingAtMost: .zero)
        }
        try environment.write { try $0.put(table, key: "k", value: [1]) }
        try #expect(environment.read { try $0.bytes(table, "k") } == [1])
    }

    /// Readers come and go without pause on several threads, and writes with them: none fails, and none reads another
    /// byte than was written. Every growth waits for a read that ended after the one before.
    @Test func readersAndWritersGoOnWhileItGrows() throws {
        let (environment, table) = (environment, table)
        let isDone = Flag()
        let problems = Mutex<[String]>([])
        let readCount = Atomic(0)
        try environment.write { transaction in
            for key in 0..<UInt64(64) {
                try transaction.put(table, key: key, value: [UInt8](repeating: 7, count: 5000))
            }
        }
        let readers = DispatchGroup()
        for _ in 0..<3 {
            readers.enter()
            Thread.detachNewThread {
                defer { readers.leave() }
                while !isDone.isSet {
                    do {
                        let wrong = try environment.read { try Self.wrongKeys(table, $0) }
                        problems.withLock { $0 += wrong.map { "key \($0)" } }
                    } catch {
                        problems.withLock { $0.append("\(error)") }
                    }
                    readCount.add(1, ordering: .relaxed)
                }
            }
        }
        defer {
            isDone.set()
            readers.wait()
            #expect(problems.withLock { $0 } == [])
        }
        var byteCount = Self.firstByteCount
        for round in 0..<200 {
            let count = readCount.load(ordering: .relaxed)
            while readCount.load(ordering: .relaxed) == count { Thread.sleep(forTimeInterval: 0.0001) }
            byteCount += 1 << 20
            while try !environment.growMap(to: byteCount, waitingAtMost: .milliseconds(20)) {}
            try environment.write { transaction in
                let value = [UInt8](repeating: 7, count: 5000 + round % 3)
                try transaction.put(table, key: UInt64(round % 64), value: value)
            }
        }
        try #expect(environment.mapUse().mapByteCount == Self.firstByteCount + 200 << 20)
    }

    /// Those of the 64 keys whose values are not sevens.
    private static func wrongKeys(_ table: Table, _ transaction: borrowing ReadTransaction) throws -> [UInt64] {
        try (0..<64).filter { key in
            try transaction.withValue(of: table, key: key) { value in
                value.withUnsafeBytes { $0.count >= 5000 && $0.allSatisfy { $0 == 7 } }
            } != true
        }
    }

    @Test func closingWaitsForTheGrowthUnderWay() throws {
        let environment = environment
        let isClosed = Flag()
        let ended = DispatchSemaphore(value: 0)
        let isGrown = try environment.growMap(to: 1 << 24, waitingAtMost: .zero) {
            Thread.detachNewThread {
                environment.close()
                isClosed.set()
                ended.signal()
            }
            Thread.sleep(forTimeInterval: 0.05)
            #expect(!isClosed.isSet)
        }
        #expect(isGrown)
        #expect(ended.wait(timeout: .now() + 10) == .success)
        #expect(throws: LMDBError.closed(path: folder.path)) { try environment.read { _ in } }
        #expect(throws: LMDBError.closed(path: folder.path)) {
            try environment.growMap(to: 1 << 25, waitingAtMost: .zero)
        }
    }
}
