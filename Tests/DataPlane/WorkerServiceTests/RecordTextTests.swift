import Testing
import WorkerService

@Suite struct RecordTextTests {
    private let record = RecordText(kind: "mien-worker", format: 1, fields: ["node": "a b", "cluster": "c"])

    private func decode(_ bytes: [UInt8]) throws(WorkerError) -> RecordText {
        try RecordText(decoding: bytes, kind: "mien-worker", supportedFormat: 1, path: "x")
    }

    @Test func whatWasWrittenIsRead() throws {
        #expect(try decode(record.encoded) == record)
        #expect(try decode(RecordText(kind: "mien-worker", format: 1, fields: [:]).encoded).fields.isEmpty)
    }

    @Test func theFormIsStable() {
        let text = String(decoding: record.encoded, as: UTF8.self)
        #expect(text.hasPrefix("mien-worker 1\ncluster c\nnode a b\ncrc32c "))
        #expect(text.hasSuffix("\n"))
    }

    @Test func everyDamageIsFound() {
        let bytes = record.encoded
        for offset in bytes.indices {
            for change in [UInt8(1), 0x80] {
                var damaged = bytes
                damaged[offset] ^= change
                #expect(throws: WorkerError.self, "byte \(offset)") { try decode(damaged) }
            }
            #expect(throws: WorkerError.self, "cut at \(offset)") { try decode(Array(bytes[..<offset])) }
        }
    }

    @Test func aNewerFormatIsToldFromDamage() {
        let newer = RecordText(kind: "mien-worker", format: 2, fields: ["whatever": "x"])
        #expect {
            try decode(newer.encoded)
        } throws: { error in
            guard case WorkerError.newerFormat(_, 2, 1) = error else { return false }
            return true
        }
    }
}
