import ArgumentParser
import Backups
import NIOPosix
import ObjectStore
import Synchronization

/// Opens the place that a command line names.
enum BackupPlace {
    /// - Parameters:
    ///   - place: a folder, or `s3://bucket/prefix`.
    ///   - createsFolder: whether a folder that is missing is made.
    static func open(
        _ place: String,
        on console: Console,
        createsFolder: Bool = false
    ) async throws(CommandFailure) -> any BackupStore {
        if place.hasPrefix("s3://") {
            do throws(ObjectStoreOptions.Problem) {
                let options = try ObjectStoreOptions(place: place, environment: console.environment)
                return ObjectStore(options, group: MultiThreadedEventLoopGroup.singleton)
            } catch {
                throw CommandFailure(.configuration, error.description)
            }
        }
        do throws(BackupError) {
            return try await ThreadedStore.opening(place) { () throws(BackupError) in
                try FolderStore(place, createsFolder: createsFolder)
            }
        } catch {
            throw CommandFailure(error)
        }
    }
}

extension CommandFailure {
    init(_ error: BackupError) {
        let status: ExitStatus =
            switch error {
            case .damaged, .missing, .newerFormat, .notOfABackup: .badData
            case .storeFailed: .fileSystem
            case .inUse, .lockLost: .unavailable
            }
        self.init(status, "\(error)")
    }

    /// Several, a line each; nil without any.
    init?(_ errors: [BackupError]) {
        guard let first = errors.first else { return nil }
        self.init(first)
        message = errors.map { "\($0)" }.joined(separator: "\n")
    }
}

/// Reads or writes a backup and gives its failure an exit status.
func keeping<Result>(
    _ body: () async throws(BackupError) -> Result
) async throws(CommandFailure) -> Result {
    do throws(BackupError) {
        return try await body()
    } catch {
        throw CommandFailure(error)
    }
}

/// Runs a body with a place, and closes it after, whatever came of that.
func withStore<Result>(
    _ place: String,
    on console: Console,
    createsFolder: Bool = false,
    _ body: (any BackupStore) async throws(CommandFailure) -> Result
) async throws(CommandFailure) -> Result {
    let store = try await BackupPlace.open(place, on: console, createsFolder: createsFolder)
    do throws(CommandFailure) {
        let result = try await body(store)
        await store.close()
        return result
    } catch {
        await store.close()
        throw error
    }
}

/// Runs a body with the store locked against others whose use of it does not go together with this one.
func locking<Result>(
    _ store: any BackupStore,
    for use: StoreUse = .pruning,
    _ body: () async throws(CommandFailure) -> Result
) async throws(CommandFailure) -> Result {
    try await keeping { () async throws(BackupError) in try await store.lock(for: use) }
    return try await unlocking(store, body)
}

/// Runs a body that reads a store, with prunes kept away; where the place cannot be written to it goes on without that.
func holding<Result>(
    _ store: any BackupStore,
    _ console: Console,
    _ body: () async throws(CommandFailure) -> Result
) async throws(CommandFailure) -> Result {
    do throws(BackupError) {
        try await store.lock(for: .reading)
    } catch {
        guard case .storeFailed = error else { throw CommandFailure(error) }
        console.warn("nothing keeps a prune away from what is read: \(error)")
        return try await body()
    }
    return try await unlocking(store, body)
}

/// Runs a body with a store that is locked, and unlocks it after, whatever came of that.
private func unlocking<Result>(
    _ store: any BackupStore,
    _ body: () async throws(CommandFailure) -> Result
) async throws(CommandFailure) -> Result {
    do throws(CommandFailure) {
        let result = try await body()
        await store.unlock()
        return result
    } catch {
        await store.unlock()
        throw error
    }
}

/// Keeps a transfer at or below a rate. What is behind schedule is not made up for.
final class TransferPace: Sendable {
    private let bytesPerSecond: Double?
    private let next = Mutex(ContinuousClock.now)

    init(bytesPerSecond: Int?) {
        self.bytesPerSecond = bytesPerSecond.map(Double.init)
    }

    /// Waits until so many more bytes may have been sent.
    func sent(_ byteCount: Int) async {
        guard let bytesPerSecond else { return }
        let due = next.withLock { next in
            next = max(next, .now) + .seconds(Double(byteCount) / bytesPerSecond)
            return next
        }
        try? await Task.sleep(until: due)
    }
}

/// Shows how many bytes of a long task are done: a bar drawn over itself on a terminal, a line every two seconds
/// elsewhere. Several tasks may tell of theirs.
final class ByteProgress: Sendable {
    private static let terminalInterval = Duration.milliseconds(100)
    private static let plainInterval = Duration.seconds(2)

    private struct State {
        var done: UInt64 = 0
        var lastShown: ContinuousClock.Instant
        var isDrawn = false
    }

    private let console: Console
    private let title: String
    private let total: UInt64
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    init(console: Console, title: String, total: UInt64) {
        self.console = console
        self.title = title
        self.total = total
        state = Mutex(State(lastShown: start))
    }

    func add(_ byteCount: Int) {
        let now = ContinuousClock.now
        let text = state.withLock { state -> String? in
            state.done += UInt64(byteCount)
            return due(&state, now)
        }
        if let text { console.writeError(text) }
    }

    func set(_ byteCount: UInt64) {
        let now = ContinuousClock.now
        let text = state.withLock { state -> String? in
            state.done = byteCount
            return due(&state, now)
        }
        if let text { console.writeError(text) }
    }

    /// Takes the bar away, so that other lines can be written.
    func clear() {
        let isDrawn = state.withLock { state in
            defer { state.isDrawn = false }
            return state.isDrawn
        }
        if isDrawn { console.writeError("\r\u{1B}[K") }
    }

    private func due(_ state: inout State, _ now: ContinuousClock.Instant) -> String? {
        let interval = console.errorIsTerminal ? Self.terminalInterval : Self.plainInterval
        guard now - state.lastShown >= interval else { return nil }
        state.lastShown = now
        let text = title + "  " + Self.text(done: state.done, total: total, elapsed: now - start)
        guard console.errorIsTerminal else { return text + "\n" }
        state.isDrawn = true
        return "\r\u{1B}[K" + text
    }

    /// Such as `50.0 %  1.2 GiB of 2.4 GiB  64.0 MiB/s  18.7 s left`.
    static func text(done: UInt64, total: UInt64, elapsed: Duration) -> String {
        let seconds = max(NumberText.seconds(elapsed), 1e-9)
        let rate = Double(done) / seconds
        let speed = "\(NumberText.bytes(UInt64(rate)))/s"
        // What is to come is known about only.
        guard total > 0, done <= total else { return "\(NumberText.bytes(done))  \(speed)" }
        let share = NumberText.percent(Double(done) / Double(total))
        let left =
            done > 0 && done < total ? "  \(NumberText.duration(.seconds(Double(total - done) / rate))) left" : ""
        return "\(share)  \(NumberText.bytes(done)) of \(NumberText.bytes(total))  \(speed)\(left)"
    }
}

/// Arguments of backups as values.
package enum BackupArgument {
    @Sendable package static func rate(_ text: String) throws -> Int {
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        for (name, multiple) in units where text.hasSuffix(name) {
            if let count = Int(text.dropLast(name.count)), count > 0, count <= Int.max / multiple {
                return count * multiple
            }
        }
        throw ValidationError("'\(text)' is no rate; write bytes in a second with a unit, such as 64MiB.")
    }

    /// A span of time in seconds.
    @Sendable package static func age(_ text: String) throws -> Int {
        let units = [("d", 86_400), ("h", 3600), ("m", 60)]
        for (name, multiple) in units where text.hasSuffix(name) {
            if let count = Int(text.dropLast(name.count)), count >= 0, count <= 1_000_000 { return count * multiple }
        }
        throw ValidationError("'\(text)' is no age; write days, hours or minutes, such as 30d or 12h.")
    }

    @Sendable static func backup(_ text: String) throws -> String {
        guard BackupName.isValid(text) else {
            throw ValidationError("'\(text)' is no name of a backup; 'mien backup list' shows those there are.")
        }
        return text
    }
}
