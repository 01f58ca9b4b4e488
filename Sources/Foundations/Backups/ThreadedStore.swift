package import FaceModel
internal import Threads

/// A place whose calls wait on the thread that makes them, for a disk or a server of files.
package protocol BlockingStore: Sendable {
    var place: String { get }
    var hasLock: Bool { get }

    func put(_ name: String, _ bytes: [UInt8]) throws(BackupError)
    func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8]
    func list(_ prefix: String) throws(BackupError) -> [BackupObject]
    func remove(_ name: String) throws(BackupError)
    func removePartial() throws(BackupError) -> Int
    func removePartial(ofArchive collection: CollectionID) throws(BackupError) -> Int
    func lock(for use: StoreUse) throws(BackupError)
    func unlock()
}

extension BlockingStore {
    package func lock(for use: StoreUse) throws(BackupError) {}

    package func removePartial(ofArchive collection: CollectionID) throws(BackupError) -> Int { 0 }
}

/// A place whose calls wait, for tasks: each call has a thread of its own.
///
/// So a disk that hangs, or a mount whose server is gone, holds up whoever wants something of it, and nobody else.
/// Whoever is cancelled waits no longer, and is told that it failed: what was asked for may be done yet, or never.
package final class ThreadedStore: BackupStore {
    private let store: any BlockingStore

    package init(_ store: any BlockingStore) {
        self.store = store
    }

    /// Opens a place on such a thread, too.
    ///
    /// - Parameter place: what people know it by.
    package static func opening(
        _ place: String,
        _ open: @escaping @Sendable () throws(BackupError) -> any BlockingStore
    ) async throws(BackupError) -> ThreadedStore {
        ThreadedStore(try await run(place, open))
    }

    package var place: String { store.place }
    package var hasLock: Bool { store.hasLock }

    package func put(_ name: String, _ bytes: [UInt8]) async throws(BackupError) {
        try await Self.run(path(of: name)) { [store] () throws(BackupError) in try store.put(name, bytes) }
    }

    package func get(_ name: String, limit: Int) async throws(BackupError) -> [UInt8] {
        try await Self.run(path(of: name)) { [store] () throws(BackupError) in try store.get(name, limit: limit) }
    }

    package func list(_ prefix: String) async throws(BackupError) -> [BackupObject] {
        try await Self.run(path(of: prefix)) { [store] () throws(BackupError) in try store.list(prefix) }
    }

    package func remove(_ name: String) async throws(BackupError) {
        try await Self.run(path(of: name)) { [store] () throws(BackupError) in try store.remove(name) }
    }

    package func removePartial() async throws(BackupError) -> Int {
        try await Self.run(place) { [store] () throws(BackupError) in try store.removePartial() }
    }

    package func removePartial(ofArchive collection: CollectionID) async throws(BackupError) -> Int {
        try await Self.run(place) { [store] () throws(BackupError) in try store.removePartial(ofArchive: collection) }
    }

    package func close() async {}

    package func lock(for use: StoreUse = .pruning) async throws(BackupError) {
        try await Self.run(place) { [store] () throws(BackupError) in try store.lock(for: use) }
    }

    /// Done though the task is cancelled: others wait for it.
    package func unlock() async {
        _ = await WorkerThread.runUntilCancelled(name: "store") { [store] in store.unlock() }
    }

    /// - Parameter object: what people know what is asked for by.
    private static func run<R: Sendable>(
        _ object: String,
        _ body: @escaping @Sendable () throws(BackupError) -> R
    ) async throws(BackupError) -> R {
        let unheard = BackupError.storeFailed(object: object, reason: "it was not waited for any longer")
        guard !Task.isCancelled else { throw unheard }
        let outcome = await WorkerThread.runUntilCancelled(name: "store") { Result(catching: body) }
        guard let outcome else { throw unheard }
        return try outcome.get()
    }
}
