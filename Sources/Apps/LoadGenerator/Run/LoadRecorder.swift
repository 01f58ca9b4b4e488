import MienClient
import Synchronization
import VectorMath

/// What a load has seen so far: figures, truth, and the ledger of its writes; shared by all its calls.
package final class LoadRecorder: Sendable {
    struct State: Sendable {
        var ledger: WriteLedger
        /// Numbers of the faces for which a write was begun.
        var numbers: [Face.ID: Int] = [:]
        var figures: LoadFigures
        var truth = TruthReport()
        var samples: [SampledAnswer] = []
        /// Answers that might have become samples.
        var sampledFromCount = 0
        var random: SplitMix64
        var inFlight = 0
        /// Place in the base order of the next filled face to write.
        var nextPlace: Int
    }

    let plan: LoadPlan
    /// In which filled faces are written.
    private let order: BaseOrder
    let state: Mutex<State>

    package init(plan: LoadPlan, filledCount: Int) {
        self.plan = plan
        order = BaseOrder(count: filledCount)
        state = Mutex(
            State(
                ledger: WriteLedger(filledCount: filledCount),
                figures: LoadFigures(window: plan.window, warmUp: plan.warmUp),
                random: SplitMix64(seed: plan.seed ^ 0x5EED),
                nextPlace: plan.part
            )
        )
    }

    // MARK: Calls

    /// Notes that a call is to begin.
    ///
    /// - Returns: false when too many are under way; then it must not begin, and has been counted as not sent.
    func begin(_ operation: LoadOperation, at: Duration, late: Duration) -> Bool {
        state.withLock { state in
            state.figures.pacing.record(late)
            guard state.inFlight < plan.inFlightLimit else {
                record(operation, .notSent, at: at, .zero, &state)
                return false
            }
            state.inFlight += 1
            state.figures.series.noteInFlight(state.inFlight, at: at)
            return true
        }
    }

    /// Notes how a call that began ended.
    func end(_ operation: LoadOperation, _ status: CallFigures.Status, at: Duration, _ time: Duration) {
        state.withLock { state in
            state.inFlight -= 1
            record(operation, status, at: at, time, &state)
        }
    }

    private func record(
        _ operation: LoadOperation,
        _ status: CallFigures.Status,
        at: Duration,
        _ time: Duration,
        _ state: inout State
    ) {
        state.figures.series.record(operation, status, at: at, time)
        if at >= plan.warmUp { state.figures.totals[operation, default: CallFigures()].record(status, time) }
    }

    /// Notes what comparing a sampled answer with an exact search has shown.
    func noteCompared(required: Int, found: Int, at: Duration) {
        state.withLock { $0.figures.series.noteCompared(required: required, found: found, at: at) }
    }

    /// Whether only this part of the load may write a filled face: what its ledger does not tell of was then written by
    /// nobody.
    func isOwn(_ face: Int) -> Bool { order.place(of: face) % plan.partCount == plan.part }

    // MARK: For whoever watches

    package var figures: LoadFigures { state.withLock { $0.figures } }

    /// One window of the series, and what is under way.
    package struct Glimpse: Sendable, Equatable, Codable {
        package var window: LoadSeries.Window
        package var inFlight: Int
        package var findings: TruthFindings

        package init(window: LoadSeries.Window, inFlight: Int, findings: TruthFindings) {
            self.window = window
            self.inFlight = inFlight
            self.findings = findings
        }

        /// Of another part of the same load.
        package mutating func add(_ other: Glimpse) {
            window.add(other.window)
            inFlight += other.inFlight
            findings.add(other.findings)
        }
    }

    package func glimpse(ofWindow index: Int) -> Glimpse {
        state.withLock { state in
            Glimpse(
                window: index < state.figures.series.windows.count ? state.figures.series.windows[index] : .init(),
                inFlight: state.inFlight,
                findings: state.truth.findings
            )
        }
    }
}

/// An answer that is kept to be compared with an exact search at the end.
struct SampledAnswer: Sendable {
    struct Match: Sendable {
        var id: Face.ID
        var similarity: Float
    }

    var probe: Int
    /// When its call was to begin.
    var at: Duration
    var matches: [Match]
}
