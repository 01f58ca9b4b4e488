internal import FaceModel
internal import LMDB
internal import PartitionStore

extension Partition {
    /// Brings an environment of an earlier format to that of today, in one commit. Does nothing with a newer one.
    ///
    /// Format 1 has no tables that list rows by person and external image; they are filled here. Formats 1 and 2 have
    /// no rounded rows: maintenance writes them, chunk by chunk, and until then searches do without. Formats up to 3
    /// have no log and no digest: a log begins empty behind the last write, and maintenance counts the faces row by
    /// row. Format 4 has chunks of codes of another size, which are read as they are and go with their runs.
    /// Formats up to 5 have no ledger of erasures: it begins empty. Receipts of formats up to 6 do not tell one write
    /// from another of as many rows, and stay as they are. Formats up to 7 have no loose runs. Formats up to 8 have no
    /// receipts but the newest, and do not say since when there are remnants: they count from the first step of erasing
    /// them.
    ///
    /// An environment without a state is left as it is; opening it says what is wrong.
    static func upgrade(_ environment: Environment) throws {
        let meta = try environment.openTable(named: "meta")
        let format = try environment.read { transaction in
            try unsafe transaction.value(of: meta, key: MetaKey.state).map {
                try unsafe PartitionState(bytes: $0).format
            }
        }
        guard let format, format < PartitionState.newestFormat else { return }
        for name in [
            "byPerson", "byExternalImage", "roundedRows", "log", "erasures", "earlierReceipts", "earlierReceiptOrder",
        ] {
            _ = try environment.openTable(named: name, create: true)
        }
        let tables = try PartitionTables(environment, create: false)
        try environment.write { transaction in
            if format == 1 { try listNames(tables, transaction) }
            guard let bytes = try unsafe transaction.reading.value(of: tables.meta, key: MetaKey.state) else {
                throw PartitionStoreError.missing(table: "meta", key: 0)
            }
            let state = try unsafe PartitionState(bytes: bytes)
            try transaction.put(tables.meta, key: MetaKey.state, value: state.encoded())
            if format >= 4 { return }
            let digest = DigestRecord(uncountedRow: state.nextRow == 0 ? .max : 0)
            try transaction.put(tables.meta, key: MetaKey.digest, value: digest.encoded())
        }
    }

    private static func listNames(_ tables: PartitionTables, _ transaction: borrowing WriteTransaction) throws {
        var rows: [(row: UInt32, metadata: FaceMetadata)] = []
        try unsafe transaction.reading.forEach(in: tables.faces) { entry in
            guard let face = unsafe FaceID(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "faces", reason: "a key that is no face id")
            }
            let record = try unsafe FaceRecord(bytes: entry.value, face: face)
            if record.metadata.personID != nil || record.metadata.externalImageID != nil {
                rows.append(
                    (
                        record.row,
                        FaceMetadata(
                            personID: record.metadata.personID,
                            externalImageID: record.metadata.externalImageID
                        )
                    )
                )
            }
            return .next
        }
        for (row, metadata) in rows { try tables.list(row, of: metadata, transaction) }
    }
}
