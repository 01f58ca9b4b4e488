import LMDB
import Testing

@Suite struct CursorTests {
    let folder = TemporaryFolder()
    let environment: Environment
    let table: Table

    init() throws {
        environment = try Environment(path: folder.path)
        table = try environment.openTable(named: "t", create: true)
    }

    private func fill(_ keys: some Sequence<UInt64>) throws {
        try environment.write { transaction in
            for key in keys { try transaction.put(table, key: key, value: [UInt8(truncatingIfNeeded: key)]) }
        }
    }

    @Test func emptyTableHasNoEntries() throws {
        try environment.read { transaction in
            try transaction.withCursor(table) { cursor in
                try #expect(cursor.current()?.uint64Key == nil)
                try #expect(cursor.first()?.uint64Key == nil)
                try #expect(cursor.last()?.uint64Key == nil)
                try #expect(cursor.next()?.uint64Key == nil)
                try #expect(cursor.previous()?.uint64Key == nil)
                try #expect(cursor.seek(to: UInt64(1))?.uint64Key == nil)
                try #expect(cursor.current()?.uint64Key == nil)
            }
            try transaction.forEach(in: table) { _ in
                Issue.record("an empty table gave an entry")
                return .next
            }
        }
    }

    @Test func cursorMovesInKeyOrderAndStaysAtTheEnds() throws {
        try fill([30, 10, 20])
        try environment.read { transaction in
            try transaction.withCursor(table) { cursor in
                try #expect(cursor.current()?.uint64Key == nil)
                try #expect(cursor.next()?.uint64Key == 10)
                try #expect(cursor.previous()?.uint64Key == nil)
                try #expect(cursor.current()?.uint64Key == 10)
                try #expect(cursor.next()?.uint64Key == 20)
                try #expect(cursor.next()?.uint64Key == 30)
                try #expect(cursor.next()?.uint64Key == nil)
                try #expect(cursor.current()?.uint64Key == 30)
                try #expect(cursor.next()?.uint64Key == nil)
                try #expect(cursor.previous()?.uint64Key == 20)
                try #expect(cursor.first()?.uint64Key == 10)
                try #expect(cursor.last()?.uint64Key == 30)
                try #expect(cursor.current()?.value.first == 30)
            }
            try transaction.withCursor(table) { cursor in
                try #expect(cursor.previous()?.uint64Key == 30)
            }
        }
    }

    @Test func seekFindsTheKeyOrTheOneAfter() throws {
        try fill([10, 20, 256, 1 << 40])
        try environment.read { transaction in
            try transaction.withCursor(table) { cursor in
                try #expect(cursor.seek(to: UInt64(0))?.uint64Key == 10)
                try #expect(cursor.seek(to: UInt64(10))?.uint64Key == 10)
                try #expect(cursor.seek(to: UInt64(21))?.uint64Key == 256)
                try #expect(cursor.seek(to: UInt64(257))?.uint64Key == 1 << 40)
                try #expect(cursor.find(UInt64(20))?.uint64Key == 20)
                try #expect(cursor.next()?.uint64Key == 256)
                try #expect(cursor.find(UInt64(21))?.uint64Key == nil)
                try #expect(cursor.seek(to: UInt64.max)?.uint64Key == nil)
                try #expect(cursor.current()?.uint64Key == nil)
                try #expect(cursor.seek(to: UInt64(11))?.uint64Key == 20)
                try #expect(cursor.next()?.uint64Key == 256)
            }
        }
    }

    @Test func rangesIncludeTheLowerBoundOnly() throws {
        try fill(stride(from: 0, to: 5000, by: 5))
        try environment.read { transaction in
            let all = Array(stride(from: UInt64(0), to: 5000, by: 5))
            try #expect(transaction.numbers(table) == all)
            try #expect(transaction.numbers(table, .from(UInt64(4990))) == [4990, 4995])
            try #expect(transaction.numbers(table, .before(UInt64(10))) == [0, 5])
            try #expect(transaction.numbers(table, .from(UInt64(6), before: UInt64(15))) == [10])
            try #expect(transaction.numbers(table, .from(UInt64(10), before: UInt64(10))) == [])
            try #expect(transaction.numbers(table, .from(UInt64(20), before: UInt64(10))) == [])
            try #expect(transaction.numbers(table, .from(UInt64(5000))) == [])
            var first: [UInt64] = []
            try transaction.forEach(in: table) { entry in
                first.append(entry.uint64Key!)
                return first.count == 3 ? .stop : .next
            }
            #expect(first == [0, 5, 10])
        }
    }

    @Test func prefixesIncludeWhatStartsWithThem() throws {
        let keys: [[UInt8]] = [[1], [1, 0], [1, 255], [1, 255, 255, 7], [2], [255], [255, 255], [255, 255, 1]]
        try environment.write { transaction in
            for key in keys { try transaction.put(table, key: key, value: []) }
        }
        try environment.read { transaction in
            for prefix in keys + [[], [1, 255, 255], [3], [255, 254]] {
                var found: [[UInt8]] = []
                try transaction.forEach(in: table, .prefix(prefix)) { entry in
                    found.append(Array(entry.key))
                    return .next
                }
                #expect(found == keys.filter { $0.starts(with: prefix) }, "prefix \(prefix)")
            }
        }
    }

    @Test func deletingAtTheCursorGoesOnWithTheEntryAfter() throws {
        let keys = UInt64(0)..<3000
        try fill(keys)
        try environment.write { transaction in
            try transaction.reading.withCursor(table) { cursor in
                var entry = try cursor.first()
                while let found = entry {
                    if found.uint64Key! % 3 != 0 { try transaction.delete(at: cursor) }
                    entry = try cursor.next()
                }
            }
        }
        try #expect(environment.read { try $0.numbers(table) } == keys.filter { $0 % 3 == 0 })
    }

    @Test func removingARangeLeavesTheRest() throws {
        let keys = UInt64(0)..<3000
        try fill(keys)
        try environment.write { transaction in
            try #expect(transaction.removeAll(table, in: .from(UInt64(100), before: UInt64(2900))) == 2800)
            try #expect(transaction.removeAll(table, in: .from(UInt64(100), before: UInt64(2900))) == 0)
        }
        try #expect(environment.read { try $0.numbers(table) } == keys.filter { $0 < 100 || $0 >= 2900 })
        try environment.write { transaction in
            try #expect(transaction.removeAll(table, in: .all) == 200)
        }
        try #expect(environment.read { try $0.count(of: table) } == 0)
    }

    @Test func integerKeysCompareAsNumbers() throws {
        let numbers = try environment.openTable(named: "n", integerKeys: true, create: true)
        let keys: [UInt64] = [0, 1, 255, 256, 1 << 31, 1 << 32, .max]
        try environment.write { transaction in
            for key in keys.reversed() { try transaction.put(numbers, key: key, value: [1]) }
            try transaction.put(numbers, key: UInt32(256), value: [2])
        }
        try environment.read { transaction in
            try #expect(transaction.numbers(numbers) == keys)
            try #expect(transaction.bytes(numbers, UInt64(256)) == [2])
            try #expect(transaction.numbers(numbers, .from(UInt64(2), before: UInt64(1 << 32))) == [255, 256, 1 << 31])
            try transaction.withCursor(numbers) { cursor in
                try #expect(cursor.seek(to: UInt32(2))?.uint32Key == 255)
                try #expect(cursor.last()?.uint32Key == nil)
            }
        }
    }

    @Test func keysOfAnotherWidthAreNoNumbers() throws {
        try environment.write { transaction in
            try transaction.put(table, key: UInt32(7), value: [])
            try transaction.put(table, key: "abc", value: [])
        }
        try environment.read { transaction in
            try transaction.withCursor(table) { cursor in
                try #expect(cursor.first()?.uint32Key == 7)
                try #expect(cursor.current()?.uint64Key == nil)
                try #expect(cursor.last()?.uint32Key == nil)
            }
        }
    }

    @Test func randomChangesMatchASortedDictionary() throws {
        let seed = UInt64.random(in: .min ... .max)
        var generator = SplitMix(state: seed)
        var model: [UInt64: [UInt8]] = [:]
        for _ in 0..<30 {
            try environment.write { transaction in
                for _ in 0..<200 {
                    let key = UInt64.random(in: 0..<500, using: &generator)
                    switch UInt8.random(in: 0..<10, using: &generator) {
                    case 0..<6:
                        let byteCount = [0, 3, 600, 5000].randomElement(using: &generator)!
                        let value = [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: byteCount)
                        try transaction.put(table, key: key, value: value)
                        model[key] = value
                    case 6..<9:
                        try #expect(transaction.delete(table, key: key) == (model.removeValue(forKey: key) != nil))
                    default:
                        let upper = key + UInt64.random(in: 0..<20, using: &generator)
                        let removed = try transaction.removeAll(table, in: .from(key, before: upper))
                        let expected = model.keys.filter { (key..<upper).contains($0) }
                        #expect(removed == expected.count, "seed \(seed)")
                        for key in expected { model[key] = nil }
                    }
                }
            }
            try environment.read { transaction in
                try #expect(transaction.numbers(table) == model.keys.sorted(), "seed \(seed)")
                for (key, value) in model { try #expect(transaction.bytes(table, key) == value, "seed \(seed)") }
            }
        }
    }
}

/// Vigna's SplitMix64: a generator whose sequence depends on the seed alone.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
