import MienClient
import Synchronization

extension LoadRecorder {
    /// A face that is to be written.
    struct Target: Sendable {
        var face: Int
        var id: Face.ID
        /// Whether it was there for certain when the write began.
        var isPresent: Bool
    }

    /// Begins to enrol new faces, each with the number of its image.
    func beginEnrolment(of images: [ImageStock.Image], _ population: LoadPopulation) -> [Target] {
        let targets = images.map { Target(face: $0.number, id: population.faceID($0.number), isPresent: false) }
        state.withLock { state in
            for target in targets {
                let isNew = state.ledger.begin(target.face, .image(target.face))
                precondition(isNew, "an image was given out twice")
                state.numbers[target.id] = target.face
            }
        }
        return targets
    }

    /// Chooses faces that are there for certain, and begins to write them: filled ones and those of the load in turn.
    ///
    /// - Parameter content: of each face in turn.
    /// - Returns: fewer than asked for when there are no more.
    func beginWrite(
        of count: Int,
        _ order: BaseOrder,
        _ population: LoadPopulation,
        random: inout some RandomNumberGenerator,
        content: (Int) -> WriteLedger.Content
    ) -> [Target] {
        state.withLock { state in
            var targets: [Target] = []
            for number in 0..<count {
                let isOfLoad = Bool.random(using: &random)
                let uniform = Double.random(in: 0..<1, using: &random)
                var face = isOfLoad ? state.ledger.takeIdle(at: uniform) : nil
                if face == nil, state.nextPlace < order.count {
                    face = order.face(at: state.nextPlace)
                    state.nextPlace += plan.partCount
                }
                guard let face = face ?? state.ledger.takeIdle(at: uniform) else { break }
                let isBegun = state.ledger.begin(face, content(number))
                precondition(isBegun, "a face was chosen that cannot be written")
                let id = population.faceID(face)
                state.numbers[id] = face
                targets.append(Target(face: face, id: id, isPresent: true))
            }
            return targets
        }
    }

    /// Notes how an enrolment ended, row by row.
    func endEnrolment(_ targets: [Target], _ receipt: EnrolmentReceipt, at: Duration) {
        state.withLock { state in
            for (target, outcome) in zip(targets, receipt.outcomes) {
                if case .rejected = outcome {
                    state.ledger.end(target.face, .rejected, at: at)
                    continue
                }
                if target.isPresent, outcome == .accepted {
                    state.truth.findings.add(.lost, "\(target.id) was taken as new and had been acknowledged")
                }
                state.ledger.end(target.face, .acknowledged, at: at)
            }
        }
    }

    func endDeletion(_ targets: [Target], _ receipt: DeletionReceipt, at: Duration) {
        state.withLock { state in
            for (target, wasPresent) in zip(targets, receipt.wasPresent) {
                if !wasPresent {
                    state.truth.findings.add(
                        .lost,
                        "\(target.id) was not there to be deleted and had been acknowledged"
                    )
                }
                state.ledger.end(target.face, .acknowledged, at: at)
            }
        }
    }

    /// Notes that a write failed as a whole.
    func endWrite(_ targets: [Target], _ error: MienClientError, at: Duration) {
        // What is refused for its form is refused before anything is stored; of anything else some shards may have done
        // their part.
        let refusals: [MienClientError.Code] = [
            .invalidRequest, .notFound, .unauthenticated, .incompatibleVersion, .limitExceeded, .modelMismatch,
            .dimensionMismatch,
        ]
        let ending: WriteLedger.Ending = refusals.contains(error.code) ? .rejected : .unknown
        state.withLock { state in
            for target in targets { state.ledger.end(target.face, ending, at: at) }
        }
    }

    /// A filled face that nobody has written, as a probe; nil when none of a few was.
    func untouchedFace(_ order: BaseOrder, random: inout some RandomNumberGenerator) -> Int? {
        state.withLock { state in
            for _ in 0..<8 {
                let place = Int.random(in: 0..<order.count, using: &random)
                let own = place - place % plan.partCount + plan.part
                if own < order.count, state.ledger.isUntouched(order.face(at: own)) { return order.face(at: own) }
            }
            return nil
        }
    }
}
