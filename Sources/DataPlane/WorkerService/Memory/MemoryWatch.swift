import ClusterModel
import Logging
import Synchronization
import Threads
import WireProtocol

/// Keeps the ledger of the worker's memory, and turns away what would bring more of it while it is short.
///
/// A thread of its own looks a few times a second; requests read what it found.
final class MemoryWatch: Sendable {
    private struct State {
        var ledger = MemoryLedger()
        var availableByteCount: UInt64?
        var mark = WaterMark()
        var isStopped = false
    }

    private static let interval = Duration.milliseconds(200)

    /// Zero for what the system allows.
    private let limitByteCount: UInt64
    /// A ledger with its parts, but for the program's, and with what is mapped.
    private let measure: @Sendable () -> MemoryLedger
    private let changed: @Sendable () -> Void
    private let logger: Logger
    private let monitor = Monitor(State())
    private let isShort = Atomic(false)
    private let thread = Mutex<WorkerThread?>(nil)

    /// - Parameters:
    ///   - measure: called from the watch's thread.
    ///   - changed: called when memory has become short, or suffices again.
    init(
        limitByteCount: UInt64,
        logger: Logger,
        measure: @escaping @Sendable () -> MemoryLedger,
        changed: @escaping @Sendable () -> Void
    ) {
        self.limitByteCount = limitByteCount
        self.logger = logger
        self.measure = measure
        self.changed = changed
    }

    /// - Important: ``stop()`` must be called before the last reference goes away.
    func start() {
        look()
        thread.withLock {
            $0 = WorkerThread(name: "memory") {
                while self.monitor.wait(atMost: Self.interval, { $0.isStopped ? true : nil }) == nil { self.look() }
            }
        }
    }

    /// Safe to call again.
    func stop() {
        monitor.withLock(waking: .all) { $0.isStopped = true }
        let thread = thread.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
    }

    var ledger: MemoryLedger { monitor.withLock(\.ledger) }

    /// What the system has left, by the bound that has the least: also for pages of files, which `worker.memory.limit`
    /// is not about. Nil when it cannot be told.
    var availableByteCount: UInt64? { monitor.withLock(\.availableByteCount) }

    /// - Throws: `memoryFull` while what would bring more is turned away.
    func admit() throws(WireStatus) {
        if isShort.load(ordering: .relaxed) { throw Refusal.memoryFull(ledger) }
    }

    /// - Parameter byteCount: that a training is to take, with those that were admitted and may not have taken theirs.
    /// - Throws: `memoryFull` where they are not free beyond the reserve.
    func admit(training byteCount: UInt64) throws(WireStatus) {
        let ledger = ledger
        guard ledger.hasRoom(for: byteCount) else { throw Refusal.memoryFull(ledger, forTraining: byteCount) }
    }

    private func look() {
        let bounds = MemoryBound.all(configured: limitByteCount, ProcessFigures.text(of:))
        let process = MemoryBound.heldByProcess(ProcessFigures.text(of:))
        var ledger = measure()
        let named = MemoryLedger.Part.allCases.reduce(0) { $0 + ledger[$1] }
        ledger[.program] = process - min(named, process)
        var change: WaterMark.Change?
        ledger = monitor.withLock { state in
            if let bound = MemoryBound.tightest(bounds) {
                ledger.bound = bound.kind
                ledger.limitByteCount = bound.limitByteCount
                ledger.heldByteCount = bound.heldByteCount
                ledger.reserveByteCount = bound.reserveByteCount
                change = state.mark.observe(free: bound.freeByteCount, reserve: bound.reserveByteCount)
            }
            ledger.isShort = state.mark.isShort
            state.ledger = ledger
            state.availableByteCount = bounds.filter { $0.kind != .configured }.map(\.freeByteCount).min()
            return ledger
        }
        isShort.store(ledger.isShort, ordering: .relaxed)
        switch change {
        case .began:
            logger.warning(
                "memory is short: faces, copies, trainings, splits and merges are turned away, the rest goes on",
                metadata: ["memory": "\(MemoryText.text(ledger))"]
            )
            changed()
        case .ended:
            logger.notice("memory suffices again", metadata: ["memory": "\(MemoryText.text(ledger))"])
            changed()
        case nil: break
        }
    }
}

/// A ledger of memory in words.
enum MemoryText {
    static func text(_ ledger: MemoryLedger) -> String {
        let parts = MemoryLedger.Part.allCases.map { "\(name($0)) \(ledger[$0] >> 20) MiB" }
        return "\(ledger.heldByteCount >> 20) MiB of the \(ledger.limitByteCount >> 20) MiB of \(limit(ledger.bound)) "
            + "are held and \(ledger.reserveByteCount >> 20) MiB are kept in reserve; the worker's process has: "
            + parts.joined(separator: ", ")
    }

    private static func limit(_ bound: MemoryLedger.Bound) -> String {
        switch bound {
        case .unknown: "an unknown limit"
        case .configured: "worker.memory.limit"
        case .controlGroup: "its control group"
        case .machine: "its machine"
        }
    }

    private static func name(_ part: MemoryLedger.Part) -> String {
        switch part {
        case .searchQueue: "searches that wait"
        case .searchBuffers: "searches under way"
        case .writeQueue: "writes that wait"
        case .log: "log"
        case .copies: "copies"
        case .codebooks: "codebooks"
        case .filters: "filters"
        case .training: "training"
        case .program: "program"
        }
    }
}
