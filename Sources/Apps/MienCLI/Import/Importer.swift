import EmbeddingFiles
import MienClient

/// Enrols the rows of a file, some batches at a time; memory is bounded by those batches.
struct Importer {
    /// Bytes of embeddings in one batch, so that a request stays far below the largest frame.
    static let batchByteLimit = 4 << 20

    var client: MienClient
    var collection: String
    var model: String
    var batchRowCount: Int
    var inFlightLimit: Int
    /// The row before which the import ends; nil for the end of the file.
    var endRow: Int?

    private typealias Reply = Result<EnrolmentReceipt?, MienClientError>

    /// The row from which on nothing is known to be stored, when an import stops early.
    struct Interruption: Error {
        var failure: CommandFailure
        var firstUnknownRow: Int
    }

    /// Sends every row, in order; batches may overtake each other on their way, but not two rows of one id: such
    /// batches wait for each other, so that the later row counts.
    ///
    /// - Parameters:
    ///   - progress: called after each batch with the rows done.
    ///   - refused: called with the rows of a batch that are not stored, in order, where there are any. Where it
    ///     throws, nothing of the batch counts as known, so that they can be told again.
    func run(
        _ rows: inout FaceRows,
        progress: (Int) -> Void,
        refused: ([(row: Int, reason: String)]) throws(CommandFailure) -> Void
    ) async throws(Interruption) -> ImportTally {
        var tally = ImportTally()
        let result = await withTaskGroup(of: (FaceBatch, Reply).self) { group -> Result<Void, Interruption> in
            var underWay: [Int: Set<Face.ID>] = [:]
            /// Takes in one answer; batches that end after a failure count no more.
            func takeOne() async throws(CommandFailure) {
                guard let (batch, reply) = await group.next() else { return }
                switch reply {
                case .failure(let error): throw CommandFailure(error)
                case .success(let receipt):
                    var told = tally.count(receipt?.outcomes ?? [], rows: batch.rows)
                    tally.rejected += batch.problems.count
                    told += batch.problems.map { (row: $0.row, reason: $0.reason) }
                    if !told.isEmpty { try refused(told.sorted { $0.row < $1.row }) }
                    underWay[batch.firstRow] = nil
                    progress(tally.rowCount)
                }
            }
            var firstUnreadRow = rows.nextRow
            do throws(CommandFailure) {
                while true {
                    let limit = min(
                        rowLimit(dimension: rows.dimension),
                        endRow.map { $0 - rows.nextRow } ?? .max
                    )
                    guard limit > 0 else { break }
                    let read = try filing { () throws(EmbeddingFileError) in try rows.next(limit) }
                    guard let batch = read else { break }
                    let ids = Set(batch.faces.map(\.id))
                    firstUnreadRow = batch.firstRow
                    while underWay.count >= inFlightLimit
                        || underWay.values.contains(where: { !$0.isDisjoint(with: ids) })
                    {
                        try await takeOne()
                    }
                    firstUnreadRow = batch.firstRow + batch.rowCount
                    underWay[batch.firstRow] = ids
                    let dimension = rows.dimension
                    group.addTask { (batch, await send(batch, dimension: dimension)) }
                }
                while !underWay.isEmpty { try await takeOne() }
                return .success(())
            } catch {
                group.cancelAll()
                let firstUnknownRow = underWay.keys.min() ?? firstUnreadRow
                return .failure(Interruption(failure: error, firstUnknownRow: firstUnknownRow))
            }
        }
        try result.get()
        return tally
    }

    private func rowLimit(dimension: Int) -> Int {
        max(1, min(batchRowCount, Self.batchByteLimit / (dimension * 4)))
    }

    private func send(_ batch: FaceBatch, dimension: Int) async -> Reply {
        guard !batch.faces.isEmpty else { return .success(nil) }
        do throws(MienClientError) {
            return .success(
                try await client.enrol(
                    batch.faces,
                    embeddings: Embeddings(dimension: dimension, values: batch.values),
                    into: collection,
                    model: model
                )
            )
        } catch {
            return .failure(error)
        }
    }
}
