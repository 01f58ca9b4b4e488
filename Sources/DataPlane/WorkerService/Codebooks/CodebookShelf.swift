import ClusterModel
import FaceModel
import Glibc
import InvertedFileIndex
import Synchronization
import WireProtocol

/// The codebooks trained by this worker: how each training stands, and the bytes of the finished ones, kept in files.
///
/// One generation per collection, the newest, though partitions may still use the one before: they have their own copy.
/// A finished codebook outlives restarts until the collection is dropped or a newer one is trained. Whatever touches
/// files blocks, and comes from the control or training thread.
final class CodebookShelf: Sendable {
    /// How a training stands. Can move: `waiting` → `running` → `finished` or `failed`; a new order begins again.
    enum State: Equatable {
        case waiting
        case running(TrainingProgress, since: ContinuousClock.Instant)
        case finished
        case failed(String)
    }

    private struct Entry {
        var generation: UInt32
        var state: State
        /// Read from the file when first asked for.
        var summary: CollectionDescription.Codebook?

        var progress: WorkerReport.Training.Progress? {
            guard case .running(let progress, let start) = state else { return nil }
            return WorkerReport.Training.Progress(
                stage: progress.stage,
                share: progress.share,
                elapsedMilliseconds: UInt64((ContinuousClock.now - start) / .milliseconds(1))
            )
        }
    }

    /// Most bytes of one answer to a fetch.
    static let sliceByteLimit = 4 << 20

    private let folder: DataFolder
    private let entries = Mutex<[CollectionID: Entry]>([:])

    init(folder: DataFolder) {
        self.folder = folder
    }

    /// Finds the finished codebooks on disk; the files of collections that have no replica here are removed.
    func load(isHeld: (CollectionID) -> Bool) throws(WorkerError) {
        for name in try DurableFile.names(in: folder.path + "/codebooks") {
            guard let collection = CollectionID(name) else { continue }
            guard isHeld(collection) else {
                try drop(collection)
                continue
            }
            guard let newest = try newestFile(of: collection) else { continue }
            entries.withLock { $0[collection] = Entry(generation: newest, state: .finished) }
        }
    }

    private func newestFile(of collection: CollectionID) throws(WorkerError) -> UInt32? {
        try DurableFile.names(in: folder.codebooksPath(collection)).compactMap { UInt32($0) }.max()
    }

    var trainings: [WorkerReport.Training] {
        entries.withLock { entries in
            entries.sorted { $0.key < $1.key }.map { collection, entry in
                var failure: String?
                if case .failed(let reason) = entry.state { failure = reason }
                return WorkerReport.Training(
                    collection: collection,
                    generation: entry.generation,
                    isFinished: entry.state == .finished,
                    failure: failure,
                    progress: entry.progress
                )
            }
        }
    }

    /// Notes an order to train; false when that generation is under way or finished already.
    ///
    /// - Throws: `invalidRequest` for a generation older than the one here.
    func begin(_ collection: CollectionID, generation: UInt32) throws(WireStatus) -> Bool {
        try entries.withLock { (entries) throws(WireStatus) in
            if let entry = entries[collection] {
                guard generation >= entry.generation else {
                    throw Refusal.invalid(
                        "this worker has trained generation \(entry.generation), newer than \(generation)"
                    )
                }
                if generation == entry.generation {
                    guard case .failed = entry.state else { return false }
                }
            }
            entries[collection] = Entry(generation: generation, state: .waiting)
            return true
        }
    }

    /// Changes the state of a training; nothing when it was replaced or dropped meanwhile.
    func update(_ collection: CollectionID, generation: UInt32, to state: State) {
        entries.withLock { entries in
            guard entries[collection]?.generation == generation else { return }
            entries[collection]?.state = state
        }
    }

    /// Notes how far the training under way is; nothing when it was replaced or dropped meanwhile.
    func note(_ progress: TrainingProgress, of collection: CollectionID, generation: UInt32) {
        entries.withLock { entries in
            guard let entry = entries[collection], entry.generation == generation,
                case .running(_, let start) = entry.state
            else { return }
            entries[collection]?.state = .running(progress, since: start)
        }
    }

    /// Keeps a trained codebook durably and marks its training finished; nothing when it was abandoned meanwhile.
    func keep(_ bytes: [UInt8], of collection: CollectionID, generation: UInt32) throws(WorkerError) {
        guard isWanted(collection, generation: generation) else { return }
        let directory = folder.codebooksPath(collection)
        try DurableFile.makeDirectory(directory)
        try DurableFile.write(bytes, to: "\(directory)/\(generation)")
        for older in try DurableFile.names(in: directory) where older != "\(generation)" {
            try DurableFile.remove("\(directory)/\(older)")
        }
        update(collection, generation: generation, to: .finished)
    }

    /// Whether a training is still wanted: it has not been replaced, dropped or abandoned meanwhile.
    func isWanted(_ collection: CollectionID, generation: UInt32) -> Bool {
        entries.withLock { $0[collection]?.generation == generation }
    }

    /// Whether an order has not been begun yet, nor given up.
    func isWaiting(_ collection: CollectionID, generation: UInt32) -> Bool {
        entries.withLock { $0[collection]?.generation == generation && $0[collection]?.state == .waiting }
    }

    /// Forgets a training and removes its file; what was trained before it is there again, if it still is.
    func abandon(_ collection: CollectionID, generation: UInt32) throws(WorkerError) {
        let isHere = entries.withLock { entries in
            guard entries[collection]?.generation == generation else { return false }
            entries[collection] = nil
            return true
        }
        guard isHere, DurableFile.exists(folder.codebooksPath(collection)) else { return }
        try DurableFile.remove("\(folder.codebooksPath(collection))/\(generation)")
        guard let newest = try newestFile(of: collection) else { return }
        entries.withLock { entries in
            if entries[collection] == nil { entries[collection] = Entry(generation: newest, state: .finished) }
        }
    }

    /// Forgets a collection's codebook and removes its file.
    func drop(_ collection: CollectionID) throws(WorkerError) {
        entries.withLock { $0[collection] = nil }
        let directory = folder.codebooksPath(collection)
        guard DurableFile.exists(directory) else { return }
        for name in try DurableFile.names(in: directory) { try DurableFile.remove("\(directory)/\(name)") }
        try DurableFile.removeDirectory(directory)
    }

    /// Whether the codebook asked for has been trained here.
    func has(_ request: FetchCodebook) -> Bool {
        let entry = entries.withLock { $0[request.collection] }
        return entry?.generation == request.generation && entry?.state == .finished
    }

    /// A slice of a finished codebook.
    func fetch(_ request: FetchCodebook, byteLimit: Int) throws(WireStatus) -> CodebookFetched {
        let entry = entries.withLock { $0[request.collection] }
        guard let entry, entry.generation == request.generation, entry.state == .finished else {
            throw WireStatus(
                code: .notFound,
                message: "this worker has no finished codebook of generation \(request.generation) for that collection"
            )
        }
        let path = "\(folder.codebooksPath(request.collection))/\(request.generation)"
        let summary: CollectionDescription.Codebook
        if let known = entry.summary {
            summary = known
        } else {
            summary = try summarise(path, collection: request.collection, byteLimit: byteLimit)
        }
        let slice: CodebookSlice
        do throws(WorkerError) {
            let (bytes, total) = try DurableFile.slice(of: path, at: request.offset, limit: Self.sliceByteLimit)
            slice = CodebookSlice(totalByteCount: total, offset: request.offset, bytes: bytes)
        } catch {
            throw Refusal.folder(error)
        }
        guard request.offset < slice.totalByteCount else {
            throw Refusal.invalid(
                "the codebook has \(slice.totalByteCount) bytes, and the slice was to begin at \(request.offset)"
            )
        }
        return CodebookFetched(slice: slice, summary: summary)
    }

    private func summarise(
        _ path: String,
        collection: CollectionID,
        byteLimit: Int
    ) throws(WireStatus) -> CollectionDescription.Codebook {
        let codebook: Codebook
        do {
            guard let bytes = try DurableFile.read(path, limit: byteLimit) else {
                throw WorkerError.corruptFile(path: path, reason: "it is gone")
            }
            codebook = try Codebook(bytes: bytes)
        } catch {
            // A new order trains it again.
            let reason = "the trained codebook cannot be read: \(error)"
            entries.withLock { $0[collection]?.state = .failed(reason) }
            throw WireStatus(code: .internalError, message: reason)
        }
        let summary = CollectionDescription.Codebook(codebook)
        entries.withLock { $0[collection]?.summary = summary }
        return summary
    }
}
