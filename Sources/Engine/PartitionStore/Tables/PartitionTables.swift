package import LMDB

/// The tables of one partition's environment. Byte tables are in `docs/storage-format.md`.
package struct PartitionTables: Sendable {
    /// Names → identity, state, digest and codebook.
    package let meta: Table
    /// Face id → ``FaceRecord``.
    package let faces: Table
    /// Row id → face id.
    package let rowFaces: Table
    /// Chunk of row ids → stored embeddings.
    package let rows: Table
    /// Chunk of row ids → the same rounded to int8, see ``RoundedRowChunk``.
    package let roundedRows: Table
    /// Row id → stored embedding, for rows whose chunk is not full yet.
    package let tailRows: Table
    /// (run, chunk) → codes.
    package let codes: Table
    /// Run → ``RunManifest``.
    package let runs: Table
    /// Piece of row ids → bitmap of dead rows.
    package let tombstones: Table
    /// (moment, row id) → nothing.
    package let byExpiry: Table
    /// (person id, row id) → checksum of the key.
    package let byPerson: Table
    /// (external image id, row id) → checksum of the key.
    package let byExternalImage: Table
    /// Idempotency key → ``ReceiptRecord``.
    package let receipts: Table
    /// Order of arrival → idempotency key.
    package let receiptOrder: Table
    /// Idempotency key → ``ReceiptRecord``, of those that are none of the newest.
    package let earlierReceipts: Table
    /// Order of arrival → ``EarlierReceipt``.
    package let earlierReceiptOrder: Table
    /// Sequence → ``LogEntry``.
    package let log: Table
    /// (sequence, number) → ``ErasureRecord``.
    package let erasures: Table
    /// Bytes from which on a value has two pages of its own or more.
    let leastOwnPagesByteCount: Int

    package init(_ environment: Environment, create: Bool) throws(LMDBError) {
        meta = try environment.openTable(named: "meta", create: create)
        faces = try environment.openTable(named: "faces", create: create)
        rowFaces = try environment.openTable(named: "rowFaces", create: create)
        rows = try environment.openTable(named: "rows", create: create)
        roundedRows = try environment.openTable(named: "roundedRows", create: create)
        tailRows = try environment.openTable(named: "tailRows", create: create)
        codes = try environment.openTable(named: "codes", create: create)
        runs = try environment.openTable(named: "runs", create: create)
        tombstones = try environment.openTable(named: "tombstones", create: create)
        byExpiry = try environment.openTable(named: "byExpiry", create: create)
        byPerson = try environment.openTable(named: "byPerson", create: create)
        byExternalImage = try environment.openTable(named: "byExternalImage", create: create)
        receipts = try environment.openTable(named: "receipts", create: create)
        receiptOrder = try environment.openTable(named: "receiptOrder", create: create)
        earlierReceipts = try environment.openTable(named: "earlierReceipts", create: create)
        earlierReceiptOrder = try environment.openTable(named: "earlierReceiptOrder", create: create)
        log = try environment.openTable(named: "log", create: create)
        erasures = try environment.openTable(named: "erasures", create: create)
        // A page begins with 16 bytes of LMDB's.
        leastOwnPagesByteCount = try environment.pageByteCount() - 15
    }
}
