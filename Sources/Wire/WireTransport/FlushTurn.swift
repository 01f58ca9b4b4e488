/// Has the frames that a connection is given in one turn of its event loop go out together, but for the first of them,
/// which goes at once: one that is alone waits for nothing, and several shards of a worker are asked by two system
/// calls instead of one for each.
///
/// Knows no channel: its driver flushes when told, and says when the turn ends.
package struct FlushTurn: Sendable {
    private var isUnderWay = false
    private var hasUnflushed = false

    package init() {}

    /// A frame was written.
    ///
    /// - Returns: whether to flush now. Then a turn has begun: ``end()`` is to be called once the loop has done what it
    ///   has to do already.
    package mutating func written() -> Bool {
        if isUnderWay {
            hasUnflushed = true
            return false
        }
        isUnderWay = true
        return true
    }

    /// - Returns: whether to flush now.
    package mutating func end() -> Bool {
        defer { (isUnderWay, hasUnflushed) = (false, false) }
        return hasUnflushed
    }
}
