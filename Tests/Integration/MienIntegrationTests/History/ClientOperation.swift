/// What one client asked of one face, and what came of it, as the client saw it.
///
/// A call for several faces is one operation of each.
struct ClientOperation: Hashable, Sendable {
    typealias Content = FaceLedger.Content

    enum Consistency: Hashable, Sendable {
        /// Without a token: it may miss what was acknowledged shortly before.
        case recent
        /// With tokens of these writes of the face, told by their numbers; none when the tokens are of others.
        case after([Int])
        /// It misses nothing that was acknowledged before it began.
        case strong
    }

    enum Outcome: Hashable, Sendable {
        /// - Parameter found: whether the face was there before, as far as the client was told.
        case acknowledged(found: Bool?)
        /// Nothing was done, nor will be.
        case refused
        /// It may have been done, or may still be, or never.
        case unknown
    }

    enum Action: Hashable, Sendable {
        /// An enrolment of a version that nothing else brings, or a deletion.
        case write(Content, Outcome)
        /// What was seen.
        case read(Content, Consistency)
    }

    /// Unique in a history.
    var number: Int
    var client: Int
    /// By one clock that never goes back, the same for all clients.
    var began: Duration
    /// Later than ``began``; of a write of unknown outcome when its client gave up.
    var ended: Duration
    var action: Action
    /// Of a write of unknown outcome: by when it was done, or never will be; nil when that may be any time.
    var settled: Duration?

    var isRead: Bool { if case .read = action { true } else { false } }
}

extension ClientOperation: CustomStringConvertible {
    var description: String {
        let bound = settled.map { ", done by \(Self.seconds($0)) s or never" } ?? ""
        let what =
            switch action {
            case .write(.absent, let outcome): "deletes it: \(outcome)\(bound)"
            case .write(.version(let version), let outcome): "enrols version \(version): \(outcome)\(bound)"
            case .read(let content, let consistency): "sees \(content.words)\(consistency)"
            }
        return "\(Self.seconds(began))–\(Self.seconds(ended)) s  client \(client)  #\(number) \(what)"
    }

    /// With six digits.
    private static func seconds(_ time: Duration) -> String {
        let (seconds, attoseconds) = time.components
        let digits = String(attoseconds / 1_000_000_000_000)
        return "\(seconds)." + String(repeating: "0", count: 6 - digits.count) + digits
    }
}

extension FaceLedger.Content {
    var words: String {
        switch self {
        case .absent: "no face"
        case .version(let version): "version \(version)"
        }
    }
}

extension ClientOperation.Outcome: CustomStringConvertible {
    var description: String {
        switch self {
        case .acknowledged(nil): "acknowledged"
        case .acknowledged(true): "acknowledged, it was there before"
        case .acknowledged(false): "acknowledged, it was not there before"
        case .refused: "refused, nothing done"
        case .unknown: "unknown"
        }
    }
}

extension ClientOperation.Consistency: CustomStringConvertible {
    var description: String {
        switch self {
        case .recent: ""
        case .after(let writes) where writes.isEmpty: ", with a token of other faces"
        case .after(let writes): ", after " + writes.map { "#\($0)" }.joined(separator: ", ")
        case .strong: ", strongly"
        }
    }
}
