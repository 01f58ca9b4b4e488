import Foundation
import LMDB
import Testing

/// What lies in a copy where its pages have room left: LMDB puts them together in memory that held others of the copy.
@Suite struct CopiedGapTests {
    private static let mark: UInt64 = 0x5041_5454_4552_4e21
    private static let valueCount = 400
    /// Of a value of two pages.
    private static let marksPerValue = 1000

    private let folder = TemporaryFolder()

    /// Values lie 16 bytes into a page, and a gap keeps the place that its bytes had in another page.
    private func markCount(in path: String) throws -> Int {
        let file = try Data(contentsOf: URL(filePath: "\(path)/data.mdb"))
        return file.withUnsafeBytes { bytes in bytes.bindMemory(to: UInt64.self).count { $0 == Self.mark } }
    }

    /// A copy goes through the tables by their names: behind the large values come pages that are half full.
    @Test(arguments: [0, 1, 100, 20_000] as [UInt64])
    func aCompactingCopyHasNothingWhereItsPagesHaveRoom(smallCount: UInt64) throws {
        let environment = try Environment(path: folder.path)
        let tables = try ["large", "small", "the last"].map { try environment.openTable(named: $0, create: true) }
        let large = withUnsafeBytes(of: Self.mark) { mark in (0..<Self.marksPerValue).flatMap { _ in mark } }
        let small = [UInt8](repeating: 7, count: 16)
        try environment.write { transaction in
            for key in 0..<UInt64(Self.valueCount) { try transaction.put(tables[0], key: key, value: large) }
            for key in 0..<smallCount { try transaction.put(tables[1], key: key, value: small) }
            try transaction.put(tables[2], key: "k", value: [1])
        }
        let path = folder.path + "/copy"
        try environment.copy(to: path, compacting: true)
        #expect(try markCount(in: path) == Self.valueCount * Self.marksPerValue)

        let copy = try Environment(path: path)
        let copied = try ["large", "small", "the last"].map { try copy.openTable(named: $0) }
        try copy.read { transaction in
            for key in 0..<UInt64(Self.valueCount) { #expect(try transaction.bytes(copied[0], key) == large, "\(key)") }
            #expect(try transaction.numbers(copied[1]) == Array(0..<smallCount))
            try transaction.forEach(in: copied[1]) { entry in
                #expect(entry.value.elementsEqual(small))
                return .next
            }
            #expect(try transaction.bytes(copied[2], "k") == [1])
        }
        // It goes on as any other.
        try copy.write { transaction in
            for key in 0..<smallCount where key % 3 == 0 { try transaction.delete(copied[1], key: key) }
            try transaction.put(copied[0], key: UInt64(3), value: small)
        }
        try #expect(copy.read { try $0.count(of: copied[1]) } == Int(smallCount - (smallCount + 2) / 3))
    }
}
