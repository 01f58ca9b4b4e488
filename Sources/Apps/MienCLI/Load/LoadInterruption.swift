import Dispatch
import Glibc
import Synchronization

/// What Ctrl-C and SIGTERM do to a load: while calls are made, the first ends that early, with checks and report; any
/// other ends the process, and what it started.
final class LoadInterruption: Sendable {
    private let isLoading = Atomic<Bool>(false)
    private let hasAsked = Atomic<Bool>(false)

    /// - Parameter atOnce: called before the process ends.
    init(atOnce: @escaping @Sendable () -> Void) {
        for number in [SIGINT, SIGTERM] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler { [self] in
                // The source holds itself for the rest of the process, as the signal's disposition stays.
                guard !source.isCancelled else { return }
                if isLoading.load(ordering: .relaxed), !hasAsked.exchange(true, ordering: .relaxed) { return }
                atOnce()
                exit(128 + number)
            }
            source.resume()
        }
    }

    /// Whether the load is to end early.
    var isAsked: Bool { hasAsked.load(ordering: .relaxed) }

    /// From now on there is something to end early.
    func beginLoad() { isLoading.store(true, ordering: .relaxed) }
}
