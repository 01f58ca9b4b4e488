/// What the cluster may hold, by what it acknowledged: the truth that answers are held against.
///
/// Faces are known by number (see ``LoadPopulation``); those below `filledCount` hold their own image until they are
/// written. A face has at most one write under way, and none after one of which nobody knows what became: it may take
/// effect late. Times are from the start of the load, by one clock. Memory follows the number of faces written.
package struct WriteLedger: Sendable {
    package enum Content: Sendable, Hashable {
        case absent
        case image(Int)
    }

    /// How a write ended.
    package enum Ending: Sendable {
        case acknowledged
        /// Refused before it could have any effect.
        case rejected
        /// Neither: it may have been done, or be done yet.
        case unknown
    }

    private struct Entry: Sendable {
        /// What the face may hold while no write is under way; one content unless a write ended unknown.
        var settled: [Content]
        var pending: Content?
        /// What it could hold until a moment, newest last.
        var history: [(content: Content, until: Duration)] = []
        var isUncertain: Bool { settled.count > 1 }
    }

    private static let historyLimit = 8

    private let filledCount: Int
    private var entries: [Int: Entry] = [:]
    /// Faces of the run that are there for certain and have no write under way, in no order.
    private var idle: [Int] = []
    private var bounds: Bounds

    /// Counts that rise and fall with the writes: what a search must cover at least, and can cover at most.
    package struct Bounds: Sendable, Equatable {
        /// Faces that are there for certain, with no deletion under way.
        package fileprivate(set) var certainCount: Int
        /// Faces that may be there.
        package fileprivate(set) var possibleCount: Int
        fileprivate var deletionsBegun = 0
        fileprivate var deletionsAcknowledged = 0

        /// What an answer may have covered in full that began at the one and was there at the other.
        package static func faceCount(from start: Bounds, to end: Bounds) -> ClosedRange<Int> {
            let least = start.certainCount - (end.deletionsBegun - start.deletionsBegun)
            let most = end.possibleCount + (end.deletionsAcknowledged - start.deletionsAcknowledged)
            return least...max(least, most)
        }
    }

    package init(filledCount: Int) {
        self.filledCount = filledCount
        bounds = Bounds(certainCount: filledCount, possibleCount: filledCount)
    }

    package var currentBounds: Bounds { bounds }

    // MARK: Writes

    /// Notes that a write goes out.
    ///
    /// - Returns: false, with nothing noted, when the face has a write under way or is uncertain.
    package mutating func begin(_ face: Int, _ content: Content) -> Bool {
        var entry = entries[face] ?? Entry(settled: [untouched(face)])
        guard entry.pending == nil, !entry.isUncertain else { return false }
        if content == .absent {
            guard entry.settled != [.absent] else { return false }
            bounds.certainCount -= 1
            bounds.deletionsBegun += 1
        } else if entry.settled == [.absent] {
            bounds.possibleCount += 1
        }
        entry.pending = content
        entries[face] = entry
        return true
    }

    /// Notes how the write under way ended.
    package mutating func end(_ face: Int, _ ending: Ending, at time: Duration) {
        guard var entry = entries[face], let content = entry.pending else {
            preconditionFailure("no write is under way for the face")
        }
        entry.pending = nil
        let wasPresent = entry.settled != [.absent]
        switch ending {
        case .acknowledged:
            for old in entry.settled where old != content { entry.history.append((old, time)) }
            if entry.history.count > Self.historyLimit { entry.history.removeFirst() }
            entry.settled = [content]
            if content == .absent {
                bounds.possibleCount -= 1
                bounds.deletionsAcknowledged += 1
            } else if !wasPresent {
                bounds.certainCount += 1
            }
        case .rejected:
            if content == .absent {
                bounds.certainCount += 1
            } else if !wasPresent {
                bounds.possibleCount -= 1
            }
        case .unknown:
            if !entry.settled.contains(content) { entry.settled.append(content) }
        }
        entries[face] = entry
        if face >= filledCount, entry.settled.count == 1, entry.settled != [.absent] { idle.append(face) }
    }

    /// Takes a face of the run that is there for certain, for a write or as a probe; nil when there is none.
    ///
    /// It comes back when a write of it ends with the face there.
    package mutating func takeIdle(at uniform: Double) -> Int? {
        guard !idle.isEmpty else { return nil }
        let place = min(idle.count - 1, Int(uniform * Double(idle.count)))
        idle.swapAt(place, idle.count - 1)
        return idle.removeLast()
    }

    // MARK: Questions

    /// Whether no write was ever begun for the face.
    package func isUntouched(_ face: Int) -> Bool { entries[face] == nil }

    /// Whether the face may have been seen with this content by a read that began at `start` and has just ended.
    package func allows(_ content: Content, of face: Int, since start: Duration) -> Bool {
        guard let entry = entries[face] else { return content == untouched(face) }
        return entry.settled.contains(content) || entry.pending == content
            || entry.history.contains { $0.content == content && $0.until >= start }
    }

    /// Contents that the face may have when no write is under way any more.
    package func contents(of face: Int) -> [Content] { entries[face]?.settled ?? [untouched(face)] }

    /// The image that the face held last before what it holds now; nil when it never held any other.
    package func lastImage(of face: Int) -> Int? {
        guard let entry = entries[face] else { return nil }
        for old in entry.history.reversed() { if case .image(let image) = old.content { return image } }
        return nil
    }

    /// Faces for which a write was begun, ascending.
    package var writtenFaces: [Int] { entries.keys.sorted() }

    package var uncertainCount: Int { entries.values.count { $0.isUncertain } }

    private func untouched(_ face: Int) -> Content { face < filledCount ? .image(face) : .absent }
}
