import BinaryCoding
import LMDB
import PartitionEngine
import PartitionStore
import Testing

extension PartitionFixture {
    /// Copies the closed partition as an earlier format left it: without the tables that came later, and with the older
    /// number in its state.
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
        for name in names {
            let from = try old.openTable(named: name)
            let to = try new.openTable(named: name, create: true)
            try old.read { reading in
                try new.write { writing in
                    try reading.forEach(in: from) { entry in
                        try writing.put(to, key: Array(entry.key), value: Array(entry.value))
                        return .next
                    }
                    guard name == "meta" else { return }
                    let state = Array(try #require(try reading.value(of: from, key: MetaKey.state)))
                    var writer = ByteWriter()
                    writer.write(bytes: [format] + state.dropFirst().dropLast(4))
                    try writing.put(to, key: MetaKey.state, value: RecordSeal.seal(writer))
                }
            }
        }
    }
}
