import Foundation
import LMDB
import Testing

/// Overwriting free pages: nothing of what was deleted stays in the file, and nothing that anybody may read is touched.
@Suite struct FreePageTests {
    private static let pageByteCount = 4096

    private let folder = TemporaryFolder()

    private func file(in path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: "\(path)/data.mdb")) }

    /// Sixteen bytes that are nowhere else.
    private static func mark(_ key: UInt64, _ version: Int) -> [UInt8] {
        var mark: [UInt8] = []
        for half in UInt64(1)...2 {
            var bits: UInt64 = key &* 1000 &+ UInt64(version)
            bits = bits &* 0x9e37_79b9_7f4a_7c15 &+ half
            bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
            bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
            bits ^= bits >> 31
            mark += withUnsafeBytes(of: bits) { Array($0) }
        }
        return mark
    }

    /// Three pages full of a mark: values with pages of their own.
    private static func value(_ key: UInt64, _ version: Int = 0) -> [UInt8] {
        (0..<700).flatMap { _ in mark(key, version) }
    }

    /// Overwrites everything that commits up to now have freed.
    private func sweep(_ environment: Environment, _ table: Table, step: Int = 7) throws -> Int {
        let commit = try environment.lastCommit()
        try environment.write { try $0.put(table, key: UInt64(1 << 40), value: [UInt8(commit % 251)]) }
        var next: Int? = 0
        var count = 0
        while let first = next {
            let sweep = try #require(
                try environment.overwriteFreePages(from: first, count: step, freedThrough: commit)
            )
            next = sweep.nextPage
            count += sweep.overwrittenPageCount
        }
        return count
    }

    @Test func whatWasDeletedIsNowhereInTheFile() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        for key in UInt64(0)..<40 {
            try environment.write { try $0.put(table, key: key, value: Self.value(key)) }
        }
        try environment.write { transaction in
            for key in UInt64(0)..<40 where key % 3 == 0 { try transaction.delete(table, key: key) }
            for key in UInt64(0)..<40 where key % 3 == 1 {
                try transaction.put(table, key: key, value: Self.value(key, 1))
            }
        }
        func isThere(_ key: UInt64, _ version: Int) throws -> Bool {
            try file(in: folder.path).range(of: Data(Self.mark(key, version))) != nil
        }
        for key in UInt64(0)..<40 { #expect(try isThere(key, 0)) }
        #expect(try sweep(environment, table) > 20)
        for key in UInt64(0)..<40 {
            #expect(try isThere(key, 0) == (key % 3 == 2), "\(key)")
            #expect(try isThere(key, 1) == (key % 3 == 1), "\(key)")
        }
        #expect(try sweep(environment, table) <= 5)
    }

    /// What was written before may lie in memory alone, where the sync failed that was to bring it to the disk: it is
    /// opened anew then, by this process or another, and finds zeros there.
    @Test func theFirstPassOfAnOpeningWritesWithoutLooking() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { transaction in
            for key in UInt64(0)..<40 { try transaction.put(table, key: key, value: Self.value(key)) }
        }
        try environment.write { transaction in
            for key in UInt64(0)..<30 { try transaction.delete(table, key: key) }
        }
        #expect(try sweep(environment, table) >= 90)
        #expect(try sweep(environment, table) <= 5)
        environment.close()

        let reopened = try Environment(path: folder.path)
        let found = try reopened.openTable(named: "t")
        // A step from elsewhere than the beginning ends no pass.
        let commit = try reopened.lastCommit()
        try reopened.write { try $0.put(found, key: UInt64(1 << 40), value: [1]) }
        let step = try #require(try reopened.overwriteFreePages(from: 1, count: 10_000, freedThrough: commit))
        #expect(step.nextPage == nil && step.overwrittenPageCount >= 90)
        #expect(try sweep(reopened, found) >= 90)
        #expect(try sweep(reopened, found) <= 5)
        for key in UInt64(30)..<40 { try #expect(reopened.read { try $0.bytes(found, key) } == Self.value(key)) }
    }

    @Test func whatAReaderSeesStays() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: UInt64(1), value: Self.value(1)) }
        let other = environment
        try environment.read { reading in
            try other.write { try $0.delete(table, key: UInt64(1)) }
            let commit = try other.lastCommit()
            #expect(try other.hasReaders(before: commit))
            try other.write { try $0.put(table, key: UInt64(2), value: [1]) }
            #expect(try other.overwriteFreePages(from: 0, count: 1000, freedThrough: commit) == nil)
            // Pages that were free before are not the reader's.
            #expect(try other.overwriteFreePages(from: 0, count: 1000, freedThrough: 1) != nil)
            #expect(try reading.bytes(table, UInt64(1)) == Self.value(1))
        }
        #expect(try !environment.hasReaders(before: environment.lastCommit()))
        #expect(try sweep(environment, table) >= 3)
        #expect(try file(in: folder.path).range(of: Data(Self.mark(1, 0))) == nil)
    }

    /// The commit before the last must stay whole as well: it is what a torn last commit leaves.
    @Test func withTwoCommitsTooFewNothingIsDone() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: UInt64(1), value: Self.value(1)) }
        try environment.write { try $0.delete(table, key: UInt64(1)) }
        let commit = try environment.lastCommit()
        #expect(try environment.overwriteFreePages(from: 0, count: 1000, freedThrough: commit) == nil)
        #expect(try file(in: folder.path).range(of: Data(Self.mark(1, 0))) != nil)
    }

    /// What a commit that was cut short has left.
    @Test func whatLiesBehindTheLastPageGoesToo() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { try $0.put(table, key: UInt64(1), value: Self.value(1)) }
        let handle = try #require(FileHandle(forWritingAtPath: "\(folder.path)/data.mdb"))
        try handle.seekToEnd()
        // Some of it is used up by what the pass itself commits.
        for _ in 0..<4 { try handle.write(contentsOf: Data(Self.value(9) + [7])) }
        try handle.close()
        #expect(try sweep(environment, table, step: 1) >= 2)
        #expect(try file(in: folder.path).range(of: Data(Self.mark(9, 0))) == nil)
        try #expect(environment.read { try $0.bytes(table, UInt64(1)) } == Self.value(1))
    }

    /// Through any changes, with steps between them: the last commit is whole, and so is the one before when the last
    /// one is lost with its meta page.
    @Test func theLastTwoCommitsStayWhole() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        var random = SystemRandomNumberGenerator()
        var held: [UInt64: Int] = [:]
        var before = held
        var overwrittenCount = 0
        var first = 0
        for round in 0..<60 {
            before = held
            try environment.write { transaction in
                for _ in 0..<6 {
                    let key = UInt64.random(in: 0..<30, using: &random)
                    if Bool.random(using: &random) {
                        held[key] = round
                        try transaction.put(table, key: key, value: Self.value(key, round))
                    } else {
                        held[key] = nil
                        try transaction.delete(table, key: key)
                    }
                }
            }
            if let sweep = try environment.overwriteFreePages(from: first, count: 64, freedThrough: 0) {
                first = sweep.nextPage ?? 0
                overwrittenCount += sweep.overwrittenPageCount
            }
            if round % 4 != 3 { continue }
            try expect(held, losesLast: false, round)
            try expect(before, losesLast: true, round)
        }
        #expect(overwrittenCount > 100)
    }

    /// Opens a copy of the file as it is, or without its last commit.
    private func expect(_ held: [UInt64: Int], losesLast: Bool, _ round: Int) throws {
        let copy = TemporaryFolder()
        var bytes = try file(in: folder.path)
        if losesLast {
            // The number of the commit in each of the two meta pages, behind 16 bytes of header.
            let places = [0, 1].map { $0 * Self.pageByteCount + 144 }
            let numbers = places.map { place in
                bytes[place..<place + 8].enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << (8 * $1.offset) }
            }
            let last = numbers[0] > numbers[1] ? 0 : 1
            #expect(numbers[last] == numbers[1 - last] + 1)
            bytes.replaceSubrange(places[last]..<places[last] + 8, with: Data(count: 8))
        }
        try bytes.write(to: URL(fileURLWithPath: "\(copy.path)/data.mdb"))
        let environment = try Environment(path: copy.path)
        let table = try environment.openTable(named: "t")
        try environment.read { reading in
            let keys = try reading.numbers(table)
            #expect(Set(keys) == Set(held.keys), "round \(round)")
            for (key, version) in held {
                #expect(try reading.bytes(table, key) == Self.value(key, version), "round \(round)")
            }
        }
    }
}
