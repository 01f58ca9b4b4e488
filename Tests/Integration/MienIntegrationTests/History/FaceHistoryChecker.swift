/// Looks for an order of the writes of one face that explains everything that clients were told and shown of it.
///
/// A face is a register. Every acknowledged write takes effect at one moment between its beginning and its end; one of
/// unknown outcome at any later moment or never, but not after it is settled; one that was refused never. A read that
/// shows a face after a deletion of unknown outcome proves nothing of that: it may still come.
///
/// A read shows what the face was at some moment before its end. When it is strong, that is after its beginning.
/// Otherwise it is after
///
/// - every write that was acknowledged ``staleness`` before it began;
/// - every deletion that was acknowledged before it began;
/// - the writes that it has a token of.
///
/// What was acknowledged also says whether the face was there before. Time goes on from event to event with all orders
/// that are possible so far; a write is placed when its end comes, or when what is seen asks for it. Where nothing is
/// under way few orders are left, so that it takes time in proportion to the history.
///
/// - SeeAlso: Wing and Gong, "Testing and Verifying Concurrent Objects" (1993); Lowe, "Testing for Linearizability"
///   (2017), just-in-time linearization; Horn and Kroening, "Faster Linearizability Checking via P-Compositionality"
///   (2015), for one object at a time.
struct FaceHistoryChecker {
    /// What a read without a token may miss was acknowledged less than this before it began.
    static let staleness = Duration.seconds(2)
    /// Orders that are looked at for one event, at most.
    private static let orderLimit = 20_000

    struct Violation: Hashable, Sendable {
        /// Of the operation at whose end no order is left.
        var number: Int
        var reason: String
    }

    /// The first thing that no order explains; nil when there is one for everything.
    ///
    /// - Parameter operations: of one face, in any order. No two enrolments bring the same version.
    static func check(_ operations: [ClientOperation]) -> Violation? {
        do throws(Violation) {
            try FaceHistoryChecker(operations).run()
            return nil
        } catch {
            return error
        }
    }

    // MARK: Events

    /// What holds of a register: a number for every content.
    private typealias Register = Int
    private static let absent: Register = -1
    /// What was enrolled by a write of unknown outcome and seen by nobody.
    private static let unseenContent: Register = -2

    private struct Write {
        var number: Int
        var content: Register
        var began: Duration
        /// When it was acknowledged; nil when it was not.
        var end: Duration?
        /// What is to be found; nil when nothing was told.
        var found: Bool?
    }

    private struct Read {
        var number: Int
        var content: Register
        var began: Duration
        var tokens: [Int] = []

        /// Whether it may go by what was before a write.
        func mayMiss(_ write: Write) -> Bool {
            if tokens.contains(write.number) { return false }
            guard let end = write.end else { return true }
            return end >= (write.content == absent ? began : began - staleness)
        }
    }

    private enum Event {
        case openWrite(Int)
        /// A deletion of unknown outcome, or an enrolment whose content nobody saw.
        case openUnseen(Int)
        case openRead(Int)
        case closeWrite(Int)
        /// It was done, or never will be.
        case closeUnseen(Int)
        case closeRead(Int)
    }

    /// A write that may have been done; nobody saw what it brought.
    private struct Unseen {
        var isDeletion: Bool
        var settled: Duration?
    }

    private var writes: [Write] = []
    private var unseen: [Unseen] = []
    private var reads: [Read] = []
    private var events: [Event] = []
    private init(_ operations: [ClientOperation]) throws(Violation) {
        let seen = try Self.firstSeen(operations)
        var timed: [(time: Duration, isClose: Bool, event: Event)] = []
        var early: [Int] = []
        for operation in operations {
            switch operation.action {
            case .write(_, .refused): break
            case .write(let content, let outcome):
                let register = Self.register(content)
                var end = operation.ended
                var write = Write(number: operation.number, content: register, began: operation.began)
                switch outcome {
                case .acknowledged(let found):
                    write.found = found
                    write.end = operation.ended
                default:
                    // What was seen was done before that.
                    guard let time = seen[register], content != .absent else {
                        timed.append((operation.began, false, .openUnseen(unseen.count)))
                        if let settled = operation.settled { timed.append((settled, true, .closeUnseen(unseen.count))) }
                        unseen.append(Unseen(isDeletion: content == .absent, settled: operation.settled))
                        continue
                    }
                    end = min(time, operation.settled ?? time)
                }
                timed.append((operation.began, false, .openWrite(writes.count)))
                timed.append((end, true, .closeWrite(writes.count)))
                writes.append(write)
            case .read(let content, let consistency):
                var read = Read(number: operation.number, content: Self.register(content), began: operation.began)
                if case .after(let writes) = consistency { read.tokens = writes }
                if consistency == .strong {
                    timed.append((operation.began, false, .openRead(reads.count)))
                } else {
                    early.append(reads.count)
                }
                timed.append((operation.ended, true, .closeRead(reads.count)))
                reads.append(read)
            }
        }
        let starts = Starts(writes)
        for read in early { timed.append((starts.earliest(of: reads[read]), false, .openRead(read))) }
        // Of what begins when another ends, either may be the first.
        timed.sort { ($0.time, $0.isClose ? 1 : 0) < ($1.time, $1.isClose ? 1 : 0) }
        events = timed.map(\.event)
    }

    /// When a read may have taken its content, at the earliest: not before the writes began that it must not miss.
    private struct Starts {
        /// When acknowledged writes ended, in order, and the latest beginning of those up to there.
        private var all: [(end: Duration, began: Duration)] = []
        private var deletions: [(end: Duration, began: Duration)] = []
        private var byNumber: [Int: Duration] = [:]
        private var byContent: [Register: Duration] = [:]

        init(_ writes: [Write]) {
            all = Self.sorted(writes)
            deletions = Self.sorted(writes.filter { $0.content == absent })
            for write in writes {
                byNumber[write.number] = write.began
                if write.content != absent { byContent[write.content] = write.began }
            }
        }

        private static func sorted(_ writes: [Write]) -> [(end: Duration, began: Duration)] {
            var latest = Duration.seconds(Int64.min / 2)
            return writes.compactMap { write in write.end.map { ($0, write.began) } }
                .sorted { $0.0 < $1.0 }
                .map { end, began in
                    latest = max(latest, began)
                    return (end, latest)
                }
        }

        func earliest(of read: Read) -> Duration {
            let bounds =
                [
                    Self.latest(all, endedBefore: read.began - staleness),
                    Self.latest(deletions, endedBefore: read.began),
                    byContent[read.content],
                ] + read.tokens.map { byNumber[$0] }
            return bounds.compactMap(\.self).max() ?? .seconds(Int64.min / 2)
        }

        private static func latest(_ ends: [(end: Duration, began: Duration)], endedBefore time: Duration) -> Duration?
        {
            var range = 0..<ends.count
            while let middle = range.isEmpty ? nil : (range.lowerBound + range.upperBound) / 2 {
                range = ends[middle].end < time ? middle + 1..<range.upperBound : range.lowerBound..<middle
            }
            return range.lowerBound == 0 ? nil : ends[range.lowerBound - 1].began
        }
    }

    private static func register(_ content: ClientOperation.Content) -> Register {
        switch content {
        case .absent: absent
        case .version(let version): version
        }
    }

    /// When each version was seen first.
    ///
    /// - Throws: what needs no order to be wrong.
    private static func firstSeen(_ operations: [ClientOperation]) throws(Violation) -> [Register: Duration] {
        var enrolments: [Int: ClientOperation] = [:]
        for operation in operations {
            guard case .write(.version(let version), _) = operation.action else { continue }
            precondition(enrolments.updateValue(operation, forKey: version) == nil, "a version is enrolled twice")
        }
        var first: [Register: Duration] = [:]
        for operation in operations {
            guard case .read(.version(let version), _) = operation.action else { continue }
            guard let enrolment = enrolments[version] else {
                throw Violation(number: operation.number, reason: "it shows what nobody wrote")
            }
            if case .write(_, .refused) = enrolment.action {
                throw Violation(number: operation.number, reason: "it shows what was refused with nothing done")
            }
            guard enrolment.began <= operation.ended else {
                throw Violation(number: operation.number, reason: "it shows what was written later")
            }
            first[version] = min(first[version] ?? operation.ended, operation.ended)
        }
        return first
    }

    // MARK: Orders

    /// An order of the writes so far, as far as it matters from now on.
    private struct Order {
        struct Place: Hashable {
            var content: Register
            /// Writes under way that are placed, the lowest first.
            var placed: [Int] = []
        }

        var place: Place
        /// Writes of unknown outcome, seen by nobody and not settled, that are placed.
        var unseen: Set<Int> = []
        /// Reads under way that may go by what the register held before.
        var shown: Set<Int> = []

        /// Whether whatever may follow the other may follow this one.
        func covers(_ other: Order) -> Bool {
            unseen.count <= other.unseen.count && unseen.isSubset(of: other.unseen)
                && shown.isSuperset(of: other.shown)
        }
    }

    /// Orders of which none covers another.
    private struct Orders {
        private var places: [Order.Place: [Order]] = [:]
        private(set) var count = 0

        var all: some Sequence<Order> { places.values.joined() }

        /// - Returns: whether it was not covered.
        @discardableResult
        mutating func insert(_ order: Order) -> Bool {
            var orders = places[order.place] ?? []
            if orders.contains(where: { $0.covers(order) }) { return false }
            count -= orders.count
            orders.removeAll { order.covers($0) }
            orders.append(order)
            count += orders.count
            places[order.place] = orders
            return true
        }

        func mapped(_ change: (inout Order) -> Void) -> Orders {
            var changed = Orders()
            for var order in all {
                change(&order)
                changed.insert(order)
            }
            return changed
        }
    }

    /// What is under way at an event.
    private struct UnderWay {
        var writes: [Int] = []
        var reads: [Register: Set<Int>] = [:]
        /// Those that nobody saw; the first to be settled come first.
        var unseen: [Int] = []
        /// The one of them that is settled now: it is placed without anything that asks for it, or never.
        var settling: Int?
    }

    private func run() throws(Violation) {
        var orders = Orders()
        orders.insert(Order(place: .init(content: Self.absent)))
        var now = UnderWay()
        for event in events {
            switch event {
            case .openWrite(let write): now.writes.append(write)
            case .openUnseen(let write):
                let place = now.unseen.firstIndex { other in
                    guard let time = unseen[write].settled else { return false }
                    return unseen[other].settled.map { time < $0 } ?? true
                }
                now.unseen.insert(write, at: place ?? now.unseen.endIndex)
            case .openRead(let read): now.reads[reads[read].content, default: []].insert(read)
            case .closeWrite(let write):
                orders = try next(orders, now) { $0.place.placed.contains(write) }
                guard orders.count > 0 else {
                    throw Violation(number: writes[write].number, reason: "no order has room for it")
                }
                now.writes.removeAll { $0 == write }
                orders = orders.mapped { $0.place.placed.removeAll { $0 == write } }
            case .closeRead(let read):
                let content = reads[read].content
                orders = try next(orders, now) { $0.place.content == content || $0.shown.contains(read) }
                guard orders.count > 0 else {
                    throw Violation(number: reads[read].number, reason: "no order explains it")
                }
                now.reads[content]?.remove(read)
                orders = orders.mapped { $0.shown.remove(read) }
            case .closeUnseen(let write):
                now.settling = write
                let unplaced = orders
                orders = try next(orders, now) { $0.unseen.contains(write) }
                for order in unplaced.all { orders.insert(order) }
                now.settling = nil
                now.unseen.removeAll { $0 == write }
                orders = orders.mapped { $0.unseen.remove(write) }
            }
        }
    }

    /// The orders that reach a goal, with as much placed for it as is needed.
    private func next(
        _ orders: Orders,
        _ now: UnderWay,
        until isReached: (Order) -> Bool
    ) throws(Violation) -> Orders {
        var reached = Orders()
        var known = orders
        var open = Array(orders.all)
        while let order = open.popLast() {
            if isReached(order) {
                reached.insert(order)
                continue
            }
            guard known.count <= Self.orderLimit else {
                throw Violation(number: -1, reason: "too many orders are possible for all of them to be looked at")
            }
            for longer in successors(of: order, now) where known.insert(longer) { open.append(longer) }
        }
        return reached
    }

    private func successors(of order: Order, _ now: UnderWay) -> [Order] {
        var longer: [Order] = []
        let isThere = order.place.content != Self.absent
        func placing(_ content: Register, _ change: (inout Order) -> Void) {
            var next = order
            next.shown.formUnion(now.reads[order.place.content] ?? [])
            next.place.content = content
            change(&next)
            longer.append(next)
        }
        let open = now.writes.filter { !order.place.placed.contains($0) }
        for number in open {
            let write = writes[number]
            guard write.found.map({ $0 == isThere }) ?? true else { continue }
            placing(write.content) { next in
                next.place.placed.append(number)
                next.place.placed.sort()
                next.shown = next.shown.filter { reads[$0].mayMiss(write) }
            }
        }
        // Of several that nobody saw the first to be settled is placed: any other can stand for it later.
        func unplaced(isDeletion: Bool) -> Int? {
            if let settling = now.settling, unseen[settling].isDeletion == isDeletion,
                !order.unseen.contains(settling)
            {
                return settling
            }
            return now.unseen.first { unseen[$0].isDeletion == isDeletion && !order.unseen.contains($0) }
        }
        // It changes something only for these, or for what comes after it is settled.
        if isThere, let deletion = unplaced(isDeletion: true),
            deletion == now.settling || !(now.reads[Self.absent] ?? []).isEmpty
                || open.contains(where: { writes[$0].found == false })
        {
            placing(Self.absent) { $0.unseen.insert(deletion) }
        }
        if !isThere, let enrolment = unplaced(isDeletion: false),
            enrolment == now.settling || open.contains(where: { writes[$0].found == true })
        {
            placing(Self.unseenContent) { $0.unseen.insert(enrolment) }
        }
        return longer
    }
}

extension FaceHistoryChecker.Violation: Error {}
