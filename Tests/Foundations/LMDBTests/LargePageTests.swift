import Foundation
import LMDB
import Testing

/// What is read all the time is held in large pages where the system has them; it stays what it is.
@Suite struct LargePageTests {
    let folder = TemporaryFolder()
    let environment: Environment
    let table: Table
    private static let valueCount: UInt64 = 48

    /// Whether files here are surely held so: on ext4 by a kernel from 6.16 on that gives large pages to who asks.
    private static let isSure: Bool = {
        func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }
        let root = text("/proc/self/mounts").split(separator: "\n").map { $0.split(separator: " ") }
        let kinds = root.filter { $0.count > 2 && ($0[1] == "/" || $0[1] == "/tmp") }.map { $0[2] }
        let numbers = text("/proc/sys/kernel/osrelease").split(separator: ".").prefix(2).map { Int($0) ?? 0 }
        let choice = text("/sys/kernel/mm/transparent_hugepage/enabled")
        return !kinds.isEmpty && kinds.allSatisfy { $0 == "ext4" } && numbers.count == 2
            && (numbers[0], numbers[1]) >= (6, 16) && !choice.isEmpty && !choice.contains("[never]")
    }()

    init() throws {
        environment = try Environment(path: folder.path, options: .init(mapByteCount: 1 << 30))
        table = try environment.openTable(named: "t", create: true)
        for key in 0..<Self.valueCount { try put(key) }
    }

    private func put(_ key: UInt64, version: UInt8 = 0) throws {
        try environment.write { try $0.put(table, key: key, value: Self.value(of: key, version)) }
    }

    private static func value(of key: UInt64, _ version: UInt8 = 0) -> [UInt8] {
        (0..<(256 << 10)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(key)) ^ version }
    }

    /// Holds the values of these keys until there is nothing left to do; in how many steps.
    private func hold(_ keys: Range<UInt64>) throws -> Int {
        var count = 0
        while count < 1000 {
            let hasMore = try environment.read { transaction in
                let values = try unsafe keys.compactMap { try unsafe transaction.value(of: table, key: $0) }
                return try unsafe environment.holdInLargePages(values)
            }
            if !hasMore { break }
            count += 1
        }
        return count
    }

    private func expectAll(version: UInt8 = 0) throws {
        try environment.read { transaction in
            for key in 0..<Self.valueCount {
                try #expect(transaction.bytes(table, key) == Self.value(of: key, version))
            }
        }
    }

    @Test func valuesStayWhatTheyAre() throws {
        let count = try hold(0..<Self.valueCount)
        // Twelve mebibytes fill four large pages at least. Elsewhere some are asked for before that is given up.
        if Self.isSure { #expect(count >= 4) }
        try expectAll()
        #expect(try hold(0..<Self.valueCount) == 0)
    }

    @Test func whatIsWrittenLaterIsSeen() throws {
        _ = try hold(0..<Self.valueCount)
        for version: UInt8 in 1...3 {
            for key in 0..<Self.valueCount { try put(key, version: version) }
            try expectAll(version: version)
            _ = try hold(0..<Self.valueCount)
            try expectAll(version: version)
        }
    }

    @Test func whatIsNoLongerWantedIsLetGoAndTakenAgain() throws {
        _ = try hold(0..<Self.valueCount)
        #expect(try hold(0..<8) == 0)
        try expectAll()
        let count = try hold(0..<Self.valueCount)
        if Self.isSure { #expect(count >= 1) }
        try expectAll()
    }

    @Test func aMapThatHasGrownIsHeldAnew() throws {
        _ = try hold(0..<Self.valueCount)
        try #expect(environment.growMap(to: 2 << 30, waitingAtMost: .seconds(10)))
        let count = try hold(0..<Self.valueCount)
        if Self.isSure { #expect(count >= 4) }
        try expectAll()
    }

    @Test func readersMeanwhileSeeWhatWasCommitted() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    for _ in 0..<6 { try expectAll() }
                }
            }
            group.addTask {
                for _ in 0..<6 {
                    _ = try hold(0..<8)
                    _ = try hold(0..<Self.valueCount)
                }
            }
            try await group.waitForAll()
        }
    }
}
