import Glibc

/// The system starts no thread now: as many run as this process, its user or its control group may have, or there is no
/// memory for another one's stack.
package struct ThreadRefusal: Error, Hashable, Sendable {
    /// As `pthread_create` returned it.
    package let code: Int32

    package init(code: Int32 = EAGAIN) {
        self.code = code
    }
}

extension ThreadRefusal: CustomStringConvertible {
    package var description: String {
        "the system refused a thread (error \(code)); raise the limit on processes: of systemd's unit (TasksMax), of "
            + "the container (pids), or of the user (ulimit -u)"
    }
}
