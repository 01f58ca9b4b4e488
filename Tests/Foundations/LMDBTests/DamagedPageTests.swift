import Foundation
import LMDB
import Testing

/// Bits that change in what LMDB's pages say of themselves while a file is open: LMDB has no checksums, and believes
/// them.
@Suite struct DamagedPageTests {
    private let folder = TemporaryFolder()

    /// The size of a value stands before it, in 32 bits: of one that was changed nobody gets bytes from elsewhere.
    @Test func aValueOfAnotherSizeIsRefusedOrEndsInItsOwnPages() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        var values = (0..<20).map { [UInt8](repeating: UInt8($0), count: 30 + $0) }
        values.append([UInt8](repeating: 99, count: 9000))
        try environment.write { transaction in
            for (key, value) in values.enumerated() { try transaction.put(table, key: UInt64(key), value: value) }
        }
        let file = try OpenFile(folder.path + "/data.mdb")
        let places = file.sizePlaces
        #expect(places.count >= values.count)

        var refusedCount = 0
        for place in places {
            for bit in 0..<32 {
                file.flip(place, bit)
                defer { file.flip(place, bit) }
                let comment = Comment(rawValue: "size at \(place), bit \(bit)")
                var isRefused = false
                for (key, value) in values.enumerated() {
                    do {
                        let found = try #require(try environment.read { try $0.bytes(table, UInt64(key)) }, comment)
                        // A higher bit is more than a page, or three.
                        if bit >= 14 { #expect(found == value, comment) }
                        #expect(found.count <= 3 * 4096 - 16, comment)
                        #expect(found.starts(with: value.prefix(found.count)), comment)
                    } catch let error as LMDBError {
                        #expect(error == .corrupted(path: folder.path), comment)
                        isRefused = true
                    }
                }
                do {
                    try environment.read { transaction in
                        try transaction.forEach(in: table) { entry in
                            #expect(entry.value.count <= 3 * 4096 - 16, comment)
                            return .next
                        }
                    }
                    #expect(!isRefused, comment)
                } catch let error as LMDBError {
                    #expect(error == .corrupted(path: folder.path) && isRefused, comment)
                }
                if isRefused { refusedCount += 1 }
            }
        }
        // Each of the values, for each bit that is more than its pages.
        #expect(refusedCount >= values.count * 18)
        try #expect(environment.read { try $0.bytes(table, UInt64(20)) } == values[20])
        environment.close()
    }

    /// What the first page of a large value says: its number, its kind, and how many pages there are.
    @Test func aLargeValueWhosePageChangedIsWholeOrRefused() throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", integerKeys: true, create: true)
        let value = (0..<9000).map { UInt8(truncatingIfNeeded: $0) }
        try environment.write { try $0.put(table, key: UInt64(1), value: value) }
        let file = try OpenFile(folder.path + "/data.mdb")
        let pages = file.pages(ofKind: 4)
        try #require(pages.count == 1)
        var refusedCount = 0
        for bit in 0..<128 {
            file.flip(pages[0], bit)
            defer { file.flip(pages[0], bit) }
            do {
                try #expect(environment.read { try $0.bytes(table, UInt64(1)) } == value, "bit \(bit)")
            } catch let error as LMDBError {
                #expect(error == .corrupted(path: folder.path), "bit \(bit)")
                refusedCount += 1
            }
        }
        // All of its number, its kind, and the two bits without which it has fewer pages.
        #expect(refusedCount == 64 + 1 + 2)
        try #expect(environment.read { try $0.bytes(table, UInt64(1)) } == value)
        environment.close()
    }

    /// A leaf that says that it is none ends the process: LMDB asserts that, and no error can be made of it.
    @Test func aPageThatEndsTheProcessDoesSoTwiceAtMost() async throws {
        let environment = try Environment(path: folder.path)
        let table = try environment.openTable(named: "t", create: true)
        try environment.write { transaction in
            for key in 0..<UInt64(500) {
                try transaction.put(table, key: key, value: [UInt8](repeating: 1, count: 100))
            }
        }
        environment.close()
        let file = try OpenFile(folder.path + "/data.mdb")
        let leaves = file.pages(ofKind: 2).filter { file.entryCount(ofLeafAt: $0) > 10 }
        try #require(leaves.count > 3)
        // Not the first of the table, which is not looked at so.
        file.flip(leaves[2], 81)
        for lineCount in 1...2 {
            await #expect(processExitsWith: .signal(SIGABRT)) { [path = folder.path as String] in
                let environment = try Environment(path: path)
                let table = try environment.openTable(named: "t")
                _ = try environment.read { try $0.numbers(table) }
            }
            let mark = try String(contentsOfFile: folder.path + "/damage", encoding: .utf8)
            #expect(mark.split(separator: "\n").count == lineCount, "\(mark)")
        }
        #expect(throws: LMDBError.corrupted(path: folder.path)) { try Environment(path: folder.path) }
        // Whoever puts another data file there would be refused as well.
        let description = "\(LMDBError.corrupted(path: folder.path))"
        #expect(description.contains("\(folder.path)/data.mdb") && description.contains("the file damage beside it"))
        // As an operator may who knows better.
        file.flip(leaves[2], 81)
        try FileManager.default.removeItem(atPath: folder.path + "/damage")
        let mended = try Environment(path: folder.path)
        let found = try mended.openTable(named: "t")
        try #expect(mended.read { try $0.numbers(found) } == Array(0..<500))
        mended.close()
    }

    /// The map may lie elsewhere once it has grown.
    @Test func whatIsReadIsLookedAtAfterTheMapHasGrown() throws {
        let environment = try Environment(path: folder.path, options: .init(mapByteCount: 1 << 20))
        let table = try environment.openTable(named: "t", create: true)
        let value = [UInt8](repeating: 7, count: 5000)
        try environment.write { transaction in
            for key in 0..<UInt64(50) { try transaction.put(table, key: key, value: value) }
        }
        for byteCount in [1 << 24, 1 << 30] {
            try #expect(environment.growMap(to: byteCount, waitingAtMost: .seconds(60)))
            let found = try environment.read { transaction in
                try (0..<UInt64(50)).map { try transaction.bytes(table, $0) }
            }
            #expect(found.allSatisfy { $0 == value })
            try #expect(environment.read { try $0.numbers(table) } == Array(0..<50))
        }
        let file = try OpenFile(folder.path + "/data.mdb")
        let page = try #require(file.pages(ofKind: 4).last)
        file.flip(page, 82)
        #expect(throws: LMDBError.corrupted(path: folder.path)) {
            try environment.read { transaction in
                for key in 0..<UInt64(50) { _ = try transaction.bytes(table, key) }
            }
        }
        environment.close()
    }
}

/// A data file of pages of 4 KiB whose bits are changed in place.
private final class OpenFile {
    private let descriptor: Int32
    private let bytes: [UInt8]

    init(_ path: String) throws {
        bytes = Array(try Data(contentsOf: URL(filePath: path)))
        descriptor = open(path, O_RDWR)
        try #require(descriptor >= 0)
    }

    deinit {
        close(descriptor)
    }

    /// Changes a bit, or changes it back.
    func flip(_ place: Int, _ bit: Int) {
        var byte: UInt8 = 0
        #expect(pread(descriptor, &byte, 1, off_t(place + bit / 8)) == 1)
        byte ^= 1 << UInt8(bit % 8)
        #expect(pwrite(descriptor, &byte, 1, off_t(place + bit / 8)) == 1)
    }

    private func number(_ place: Int) -> Int { Int(bytes[place]) | Int(bytes[place + 1]) << 8 }

    /// Where pages begin whose flags are these: 2 for leaves, 4 for the first page of a large value.
    func pages(ofKind flags: Int) -> [Int] {
        stride(from: 8192, to: bytes.count, by: 4096).filter { page in
            // A page knows its own number, which bytes inside of a large value do not.
            number(page + 10) == flags && number(page) == page / 4096
        }
    }

    func entryCount(ofLeafAt page: Int) -> Int { (number(page + 12) - 16) / 2 }

    /// Where the sizes of all values stand that are no table.
    var sizePlaces: [Int] {
        pages(ofKind: 2).flatMap { page in
            // Behind the header the places of the entries: size, flags, size of the key.
            stride(from: page + 16, to: page + number(page + 12), by: 2).map { page + number($0) }
                .filter { number($0 + 4) & 2 == 0 }
        }
    }
}
