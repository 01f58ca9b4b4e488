internal import Synchronization

/// Set once, never reset. Any thread may ask and set it.
package final class OneWayFlag: Sendable {
    private let value = Atomic(false)

    package init() {}

    package var isSet: Bool { value.load(ordering: .relaxed) }
    package func set() { value.store(true, ordering: .relaxed) }
}
