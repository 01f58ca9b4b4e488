import BinaryCoding
import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing

extension PartitionFixture {
    /// Copies the closed partition as an earlier format left it: without the tables, records and fields that came
    /// later, and with the older number in its state.
    func copy(to target: String, asFormat format: UInt8) throws {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let old = try Environment(path: directory, options: options)
        defer { old.close() }
        let new = try Environment(path: target, options: options)
        defer { new.close() }
        var names = [
            "meta", "faces", "rowFaces", "rows", "tailRows", "codes", "runs", "tombstones", "byExpiry", "receipts",
            "receiptOrder",
        ]
        if format > 1 { names += ["byPerson", "byExternalImage"] }
        if format > 2 { names += ["roundedRows"] }
        if format > 3 { names += ["log"] }
        for name in names {
            let from = try old.openTable(named: name)
            let to = try new.openTable(named: name, create: true)
            try old.read { reading in
                try new.write { writing in
                    try reading.forEach(in: from) { entry in
                        var value = Array(entry.value)
                        if name == "faces", format < 4 {
                            let face = try #require(FaceID(keyBytes: entry.key))
                            var record = try FaceRecord(bytes: entry.value, face: face)
                            record.embeddingChecksum = nil
                            value = record.encoded(for: face)
                        } else if name == "receipts" {
                            let receipt = try ReceiptRecord(bytes: entry.value)
                            let (sequence, outcome) = (receipt.sequence, receipt.outcome)
                            value = ReceiptRecord(sequence: sequence, outcome: outcome, rowChecksums: nil).encoded()
                        }
                        try writing.put(to, key: Array(entry.key), value: value)
                        return .next
                    }
                    guard name == "meta" else { return }
                    // What earlier software did not know of.
                    try writing.delete(to, key: MetaKey.receiptTimes)
                    // No erasure key before format 6.
                    let identity = Array(try #require(try reading.value(of: from, key: MetaKey.identity)))
                    var identityWriter = ByteWriter()
                    identityWriter.write(bytes: identity.dropLast(20))
                    try writing.put(to, key: MetaKey.identity, value: RecordSeal.seal(identityWriter))
                    let state = Array(try #require(try reading.value(of: from, key: MetaKey.state)))
                    var writer = ByteWriter()
                    if format > 3 {
                        writer.write(bytes: [format, 0] + state[2..<120])
                    } else {
                        writer.write(bytes: [format, 0, 0, 0] + state[4..<72])
                        try writing.delete(to, key: MetaKey.digest)
                    }
                    try writing.put(to, key: MetaKey.state, value: RecordSeal.seal(writer))
                }
            }
        }
    }
}
