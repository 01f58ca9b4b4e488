package import NIOCore

/// Which of many connections gives way when another one comes: the one that has been here for longest. Pure: told the
/// time.
///
/// Were newcomers refused, then strangers who say nothing would keep everybody out with a few connections a second,
/// since each of theirs stays until its time is over. Who belongs here speaks at once, but under TLS has to shake hands
/// before. So nobody gives way before it has had some time for that: of hundreds that come back together each would
/// else close another that is nearly there. Until then more are taken than there are places, up to a bound, beyond
/// which the first goes all the same.
package struct ConnectionLine<ID: Hashable & Sendable>: Sendable {
    private struct Place: Sendable {
        var id: ID
        var since: NIODeadline
        /// Whether a request of it is under way.
        var isBusy = false
    }

    private let limit: Int
    private let bound: Int
    private let patience: TimeAmount
    /// Those that were not told to give way, in the order in which they came. Nothing that a connection does moves it
    /// to the end: many that ask again and again would else make newcomers the first to go.
    private var places: [Place] = []

    /// - Parameters:
    ///   - limit: how many without a request under way there are places for.
    ///   - bound: most of them, however short they have been here and whatever they do; at least one.
    ///   - patience: time in which none has to give way while there are not more than that.
    package init(limit: Int, bound: Int, patience: TimeAmount) {
        self.limit = limit
        self.bound = max(1, bound)
        self.patience = patience
    }

    /// Takes in a newcomer.
    ///
    /// - Returns: who gives way to it, and is in the line no more; nil when nobody has to.
    package mutating func add(_ id: ID, now: NIODeadline) -> ID? {
        places.append(Place(id: id, since: now))
        if places.count > bound { return places.removeFirst().id }
        guard places.count(where: { !$0.isBusy }) > limit else { return nil }
        guard let index = places.dropLast().firstIndex(where: { !$0.isBusy }), now - places[index].since >= patience
        else { return nil }
        return places.remove(at: index).id
    }

    /// A request of a connection begins or has ended: while it is under way the next in the line goes in its place.
    package mutating func note(_ id: ID, isBusy: Bool) {
        if let index = places.firstIndex(where: { $0.id == id }) { places[index].isBusy = isBusy }
    }

    package mutating func remove(_ id: ID) {
        if let index = places.firstIndex(where: { $0.id == id }) { places.remove(at: index) }
    }
}
