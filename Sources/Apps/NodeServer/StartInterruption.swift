import Glibc

/// Ends a process that is told to end while its node still starts. The kernel keeps from the first process of a
/// container what that does not handle: without this the signal would be lost, and a start may wait for hours.
enum StartInterruption {
    /// Until the services run: Dispatch puts an action of its own in place of this one then, so that in between none is
    /// lost. What a node has on disk stands a `kill -9` at any moment, as it does this.
    static func begin() {
        // Any other process ends by the signal itself, and whoever started it sees that it did.
        guard getpid() == 1 else { return }
        for number in [SIGTERM, SIGINT] {
            var action = sigaction()
            unsafe action.__sigaction_handler.sa_handler = { number in
                // Nothing else may be done here, whatever the thread was about.
                _exit(128 + number)
            }
            _ = unsafe sigaction(number, &action, nil)
        }
    }
}
