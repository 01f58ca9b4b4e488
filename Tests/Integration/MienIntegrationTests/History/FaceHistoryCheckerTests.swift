import Testing

/// Histories made by hand; times in seconds.
struct FaceHistoryCheckerTests {
    typealias Content = ClientOperation.Content

    /// Numbers operations in the order they are written down.
    private struct Story {
        var operations: [ClientOperation] = []

        @discardableResult
        mutating func add(_ began: Double, _ ended: Double, _ action: ClientOperation.Action) -> Int {
            operations.append(
                ClientOperation(
                    number: operations.count,
                    client: operations.count % 3,
                    began: .seconds(began),
                    ended: .seconds(ended),
                    action: action
                )
            )
            return operations.count - 1
        }

        @discardableResult
        mutating func enrol(_ version: Int, _ began: Double, _ ended: Double, found: Bool? = nil) -> Int {
            add(began, ended, .write(.version(version), .acknowledged(found: found)))
        }

        @discardableResult
        mutating func delete(_ began: Double, _ ended: Double, found: Bool? = nil) -> Int {
            add(began, ended, .write(.absent, .acknowledged(found: found)))
        }

        /// Of unknown outcome, and done by a time or never.
        mutating func attempt(_ content: Content, _ began: Double, _ ended: Double, settled: Double?) {
            let number = add(began, ended, .write(content, .unknown))
            operations[number].settled = settled.map { .seconds($0) }
        }

        mutating func read(
            _ version: Int?,
            _ began: Double,
            _ ended: Double,
            _ consistency: ClientOperation.Consistency = .recent
        ) {
            add(began, ended, .read(version.map { .version($0) } ?? .absent, consistency))
        }
    }

    private func violation(_ write: (inout Story) -> Void) -> FaceHistoryChecker.Violation? {
        var story = Story()
        write(&story)
        return FaceHistoryChecker.check(story.operations)
    }

    // MARK: What may be

    @Test func nothingAndOneAfterTheOtherAreExplained() {
        #expect(violation { _ in } == nil)
        #expect(
            violation { story in
                story.read(nil, 0, 1, .strong)
                story.enrol(1, 2, 3, found: false)
                story.read(1, 4, 5, .strong)
                story.enrol(2, 6, 7, found: true)
                story.read(2, 8, 9, .strong)
                story.delete(10, 11, found: true)
                story.read(nil, 12, 13, .strong)
            } == nil
        )
    }

    @Test func writesAtTheSameTimeMayBeInEitherOrder() {
        for last in 1...2 {
            #expect(
                violation { story in
                    story.enrol(1, 0, 10)
                    story.enrol(2, 1, 9)
                    story.read(last, 11, 12, .strong)
                    story.read(last, 15, 16, .strong)
                } == nil
            )
        }
    }

    @Test func aWriteMayBeSeenBeforeItIsAcknowledged() {
        #expect(
            violation { story in
                story.enrol(1, 0, 10)
                story.read(nil, 1, 2, .strong)
                story.read(1, 3, 4, .strong)
                story.read(1, 5, 6, .strong)
            } == nil
        )
    }

    @Test func aWriteOfUnknownOutcomeMayBeDoneLateOrNever() {
        for end in [1, 2] {
            #expect(
                violation { story in
                    story.enrol(1, 0, 1)
                    story.add(2, 3, .write(.version(2), .unknown))
                    story.read(1, 10, 11, .strong)
                    story.read(end, 20, 21, .strong)
                } == nil
            )
        }
        #expect(
            violation { story in
                story.enrol(1, 0, 1)
                story.add(2, 3, .write(.absent, .unknown))
                story.read(1, 10, 11, .strong)
                story.read(nil, 20, 21, .strong)
            } == nil
        )
    }

    @Test func whatNobodySawMayExplainWhatWasFound() {
        #expect(
            violation { story in
                story.add(0, 1, .write(.version(1), .unknown))
                story.delete(2, 3, found: true)
                story.add(4, 5, .write(.absent, .unknown))
                story.enrol(2, 6, 7, found: false)
                story.enrol(3, 8, 9, found: false)
            } == nil
        )
    }

    @Test func aReadWithoutATokenMayBeTwoSecondsLate() {
        #expect(
            violation { story in
                story.enrol(1, 0, 1)
                story.enrol(2, 5, 6)
                story.read(1, 7.9, 8)
                story.read(2, 7.9, 8)
                // Back again, at another replica.
                story.read(1, 7.95, 8.1)
            } == nil
        )
    }

    @Test func aDeletionOfUnknownOutcomeIsNotFinal() {
        #expect(
            violation { story in
                story.enrol(1, 0, 1)
                story.add(2, 3, .write(.absent, .unknown))
                story.read(nil, 3.1, 3.2)
                story.read(1, 4, 4.1)
            } == nil
        )
    }

    /// Nobody was told that it is done, though somebody saw it.
    @Test func whatIsNotAcknowledgedMayBeMissed() {
        for outcome in [ClientOperation.Outcome.acknowledged(found: nil), .unknown] {
            #expect(
                violation { story in
                    story.enrol(1, 0, 1)
                    story.add(2, 30, .write(.version(2), outcome))
                    story.read(2, 4, 5)
                    story.read(1, 20, 21)
                } == nil
            )
        }
    }

    // MARK: What may not be

    @Test func whatNobodyWroteIsFound() {
        let found = violation { story in
            story.enrol(1, 0, 1)
            story.read(7, 2, 3)
        }
        #expect(found == .init(number: 1, reason: "it shows what nobody wrote"))
    }

    @Test func whatWasRefusedIsFound() {
        let found = violation { story in
            story.add(0, 1, .write(.version(1), .refused))
            story.read(1, 2, 3)
        }
        #expect(found == .init(number: 1, reason: "it shows what was refused with nothing done"))
    }

    @Test func aRefusedDeletionExplainsNothing() {
        let found = violation { story in
            story.enrol(1, 0, 1)
            story.add(2, 3, .write(.absent, .refused))
            story.read(nil, 4, 5)
        }
        #expect(found?.number == 2)
    }

    @Test func whatIsSeenBeforeItIsWrittenIsFound() {
        let found = violation { story in
            story.read(1, 0, 1)
            story.enrol(1, 2, 3)
        }
        #expect(found == .init(number: 0, reason: "it shows what was written later"))
    }

    @Test func aLostWriteIsFound() {
        let found = violation { story in
            story.enrol(1, 0, 1)
            story.enrol(2, 2, 3)
            story.read(1, 6, 7)
        }
        #expect(found == .init(number: 2, reason: "no order explains it"))
    }

    @Test func aStrongReadMissesNothing() {
        let found = violation { story in
            story.enrol(1, 0, 1)
            story.enrol(2, 2, 3)
            story.read(1, 3.1, 3.2, .strong)
        }
        #expect(found?.number == 2)
        let again = violation { story in
            story.enrol(1, 0, 1)
            story.enrol(2, 2, 10)
            story.read(2, 3, 4, .strong)
            story.read(1, 5, 6, .strong)
        }
        #expect(again?.number == 3)
    }

    @Test func aReadWithATokenMissesNotItsWrite() {
        func history(_ version: Int, of writes: [Int]) -> FaceHistoryChecker.Violation? {
            violation { story in
                story.enrol(1, 0, 1)
                story.enrol(2, 2, 3)
                story.enrol(3, 3.1, 3.2)
                story.read(version, 3.3, 3.4, .after(writes))
            }
        }
        #expect(history(1, of: [1])?.number == 3)
        #expect(history(1, of: [0, 2])?.number == 3)
        #expect(history(2, of: [2])?.number == 3)
        #expect(history(2, of: [1]) == nil)
        #expect(history(1, of: []) == nil)
        #expect(history(3, of: [0, 1]) == nil)
    }

    @Test func aDeletionIsFinalAtOnce() {
        func history(seenAt began: Double) -> FaceHistoryChecker.Violation? {
            violation { story in
                story.enrol(1, 0, 1)
                story.delete(2, 3)
                story.enrol(2, 3.1, 3.2)
                story.read(1, began, 3.4)
            }
        }
        #expect(history(seenAt: 3.3)?.number == 3)
        #expect(history(seenAt: 2.9) == nil)
    }

    @Test func aDeletedFaceThatComesBackIsFound() {
        let found = violation { story in
            story.enrol(1, 0, 1)
            story.delete(2, 3)
            story.read(nil, 10, 11)
            story.read(1, 20, 21)
        }
        #expect(found?.number == 3)
    }

    @Test func whatWasFoundMustHaveBeenThere() {
        #expect(violation { $0.delete(0, 1, found: true) } == .init(number: 0, reason: "no order has room for it"))
        let found = violation { story in
            story.enrol(1, 0, 1, found: false)
            story.enrol(2, 2, 3, found: false)
        }
        #expect(found?.number == 1)
        // One write of unknown outcome explains one of them.
        let second = violation { story in
            story.add(0, 1, .write(.version(1), .unknown))
            story.delete(2, 3, found: true)
            story.delete(4, 5, found: true)
        }
        #expect(second?.number == 2)
    }

    @Test func aWriteThatIsDoneTwiceIsFound() {
        let found = violation { story in
            story.enrol(1, 0, 1)
            story.add(2, 3, .write(.version(2), .unknown))
            story.read(2, 4, 5, .strong)
            story.enrol(3, 6, 7)
            story.read(2, 10, 11, .strong)
        }
        #expect(found?.number == 4)
    }

    /// Whoever sees the face afterwards proves nothing; that the time is over does.
    @Test func aDeletionThatIsSettledExcusesNoLaterLoss() {
        func history(settled: Double?) -> FaceHistoryChecker.Violation? {
            violation { story in
                story.enrol(1, 0, 1)
                story.attempt(.absent, 2, 3, settled: settled)
                story.read(1, 3.5, 4, .strong)
                story.enrol(2, 6, 7, found: true)
                story.read(nil, 10, 11, .strong)
            }
        }
        #expect(history(settled: nil) == nil)
        #expect(history(settled: 10.5) == nil)
        #expect(history(settled: 5) == .init(number: 4, reason: "no order explains it"))
    }

    @Test func whatIsSettledWasDoneBeforeOrNever() {
        for isDone in [true, false] {
            func history(_ after: (inout Story) -> Void) -> FaceHistoryChecker.Violation? {
                violation { story in
                    story.enrol(1, 0, 1)
                    story.attempt(.absent, 2, 3, settled: 5)
                    story.read(isDone ? nil : 1, 10, 11, .strong)
                    after(&story)
                }
            }
            let same = history { $0.read(isDone ? nil : 1, 12, 13, .strong) }
            #expect(same == nil)
            let other = history { $0.read(isDone ? 1 : nil, 12, 13, .strong) }
            #expect(other?.number == 3)
            let found = history { $0.enrol(2, 12, 13, found: isDone) }
            #expect(found?.number == 3)
        }
    }

    @Test func anEnrolmentThatIsSettledIsNotDoneLater() {
        func history(settled: Double?) -> FaceHistoryChecker.Violation? {
            violation { story in
                story.attempt(.version(1), 0, 1, settled: settled)
                story.enrol(2, 6, 7)
                story.read(1, 10, 11, .strong)
            }
        }
        #expect(history(settled: nil) == nil)
        #expect(history(settled: 5)?.number == 2)
        // Nobody saw it.
        func unseen(settled: Double) -> FaceHistoryChecker.Violation? {
            violation { story in
                story.delete(0, 1)
                story.attempt(.version(1), 2, 3, settled: settled)
                story.delete(6, 7, found: false)
                story.delete(8, 9, found: true)
            }
        }
        #expect(unseen(settled: 8) == nil)
        #expect(unseen(settled: 5)?.number == 3)
    }

    // MARK: All orders of few operations

    /// Whether some order explains a history, found by trying all of them.
    private static func isExplained(_ operations: [ClientOperation]) -> Bool {
        let acknowledged = operations.filter { if case .write(_, .acknowledged) = $0.action { true } else { false } }
        func continues(_ rest: [ClientOperation], at time: Duration, _ content: Content, _ done: Set<Int>) -> Bool {
            let mustBe = rest.filter {
                switch $0.action {
                case .write(_, .acknowledged), .read: true
                case .write: false
                }
            }
            if mustBe.isEmpty { return true }
            return rest.indices.contains { index in
                let operation = rest[index]
                var others = rest
                others.remove(at: index)
                var moment = max(time, operation.began)
                switch operation.action {
                case .write(_, .refused): return false
                case .write(let new, .unknown):
                    guard operation.settled.map({ moment <= $0 }) ?? true else { return false }
                    return continues(others, at: moment, new, done.union([operation.number]))
                case .write(let new, .acknowledged(let found)):
                    guard moment <= operation.ended, found.map({ $0 == (content != .absent) }) ?? true else {
                        return false
                    }
                    return continues(others, at: moment, new, done.union([operation.number]))
                case .read(let seen, let consistency):
                    var needed: [Int] = []
                    if consistency != .strong {
                        moment = time
                        needed = acknowledged.filter {
                            if case .write(.absent, _) = $0.action { return $0.ended < operation.began }
                            return $0.ended < operation.began - FaceHistoryChecker.staleness
                        }.map(\.number)
                    }
                    if case .after(let writes) = consistency { needed += writes }
                    guard moment <= operation.ended, seen == content, done.isSuperset(of: needed) else { return false }
                    return continues(others, at: moment, content, done)
                }
            }
        }
        return continues(operations, at: .seconds(-100), .absent, [])
    }

    /// Two to seven operations of whole seconds, in which anything may be wrong.
    private static func shortHistory(_ random: inout SeededRandom) -> [ClientOperation] {
        var story = Story()
        var written: [Content] = [.absent]
        for number in 0..<Int.random(in: 2...7, using: &random) {
            let began = Double.random(in: 0...10, using: &random).rounded()
            let ended = began + Double.random(in: 0...4, using: &random).rounded()
            switch Int.random(in: 0..<5, using: &random) {
            case 0...1:
                let content: Content = Int.random(in: 0..<3, using: &random) == 0 ? .absent : .version(number)
                written.append(content)
                let outcome: ClientOperation.Outcome =
                    switch Int.random(in: 0..<6, using: &random) {
                    case 0: .unknown
                    case 1: .refused
                    case 2: .acknowledged(found: Bool.random(using: &random))
                    default: .acknowledged(found: nil)
                    }
                let write = story.add(began, ended, .write(content, outcome))
                if outcome == .unknown, Bool.random(using: &random) {
                    story.operations[write].settled = .seconds(ended + Double(Int.random(in: 0...3, using: &random)))
                }
            default:
                let acknowledged = story.operations.filter {
                    guard case .write(_, .acknowledged) = $0.action else { return false }
                    return $0.ended < .seconds(began)
                }
                let consistency: ClientOperation.Consistency =
                    switch Int.random(in: 0..<4, using: &random) {
                    case 0: .strong
                    case 1: .after(acknowledged.randomElement(using: &random).map { [$0.number] } ?? [])
                    default: .recent
                    }
                story.add(began, ended, .read(written.randomElement(using: &random)!, consistency))
            }
        }
        return story.operations
    }

    @Test func itSaysOfFewOperationsWhatAllOrdersSay() {
        var random = SeededRandom(seed: 11)
        var explainedCount = 0
        let count = 6000
        for _ in 0..<count {
            let history = Self.shortHistory(&random)
            let isExplained = Self.isExplained(history)
            explainedCount += isExplained ? 1 : 0
            #expect(
                (FaceHistoryChecker.check(history) == nil) == isExplained,
                "\(isExplained): \(history.map { "\($0)" }.joined(separator: "\n"))"
            )
        }
        #expect((count / 5...count * 4 / 5).contains(explainedCount), "\(explainedCount) of \(count)")
    }

    // MARK: Long ones

    /// Writers at the same time, replicas up to 2 s late, outcomes that nobody knows: as a store does it that keeps its
    /// word.
    private static func longHistory(seed: UInt64, count: Int) -> [ClientOperation] {
        var random = SeededRandom(seed: seed)
        var operations: [ClientOperation] = []
        // What the face was, and since when; when each deletion was acknowledged.
        var states: [(since: Double, content: Content)] = [(-10, .absent)]
        var deletions: [(done: Double, end: Double)] = []
        var time = 0.0
        for number in 0..<count {
            time += Double.random(in: 0...0.06, using: &random)
            let began = time
            let moment = began + Double.random(in: 0...0.1, using: &random)
            let ended = moment + Double.random(in: 0.001...0.1, using: &random)
            var action: ClientOperation.Action
            if Int.random(in: 0..<10, using: &random) < 3 {
                let content: Content = Int.random(in: 0..<4, using: &random) == 0 ? .absent : .version(number)
                action = .write(content, .acknowledged(found: nil))
                switch Int.random(in: 0..<20, using: &random) {
                case 0: action = .write(content, .refused)
                case 1, 2: action = .write(content, .unknown)
                default: break
                }
                let isDone =
                    action != .write(content, .refused) && (number % 2 == 0 || action != .write(content, .unknown))
                if isDone {
                    states.append((moment, content))
                    states.sort { $0.since < $1.since }
                    if content == .absent, action != .write(content, .unknown) { deletions.append((moment, ended)) }
                }
            } else {
                // Placed below, when all that could be seen is known.
                action = .read(.absent, .recent)
            }
            operations.append(
                ClientOperation(
                    number: number,
                    client: number % 8,
                    began: .seconds(began),
                    ended: .seconds(ended),
                    action: action
                )
            )
        }
        for index in operations.indices where operations[index].isRead {
            let began = operations[index].began / .seconds(1)
            let final = deletions.filter { $0.end < began }.map(\.done).max() ?? -10
            let isStrong = Bool.random(using: &random)
            // Most replicas are not late.
            let lag = Int.random(in: 0..<8, using: &random) == 0 ? 2.0 : 0.05
            let start = isStrong ? began : max(began - lag, final)
            let moment = Double.random(in: start...(operations[index].ended / .seconds(1)), using: &random)
            let content = states.last { $0.since <= moment }!.content
            operations[index].action = .read(content, isStrong ? .strong : .recent)
        }
        return operations
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func longHistoriesOfATrueStoreAreExplained(seed: UInt64) {
        #expect(FaceHistoryChecker.check(Self.longHistory(seed: seed, count: 1500)) == nil)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func oneFalseAnswerAmongManyIsFoundAndCutOut(seed: UInt64) throws {
        var operations = Self.longHistory(seed: seed, count: 1500)
        // A strong read, late in the history, of what was overwritten long ago.
        let last = try #require(operations.lastIndex { if case .read(_, .strong) = $0.action { true } else { false } })
        let old = try #require(
            operations.first {
                if case .write(.version, .acknowledged) = $0.action { true } else { false }
            }
        )
        guard case .write(let content, _) = old.action else { return }
        operations[last].action = .read(content, .strong)
        #expect(FaceHistoryChecker.check(operations)?.number == operations[last].number)
        let excerpt = try #require(FaceHistoryChecker.excerpt(of: operations))
        // What brought it, what came after, who saw either, and the read.
        #expect((2...5).contains(excerpt.operations.count), "\(excerpt)")
        #expect("\(excerpt)".contains("sees \(content.words)"))
    }

    @Test func aHistoryOfManyThousandsIsQuick() {
        let history = Self.longHistory(seed: 7, count: 8000)
        let time = ContinuousClock().measure { #expect(FaceHistoryChecker.check(history) == nil) }
        #expect(time < .seconds(30), "8000 operations took \(time)")
    }
}
