package import ClusterModel
import Synchronization

/// Counts the entries that are on their way to other replicas: those that wait for a connection, that wait in one to be
/// written, and that were written and are not answered.
///
/// A replica that is sent more than it takes loses what is beyond a limit, as a network loses it: its primary sends it
/// again. So a worker that hangs costs those that send to it so much, and no more, for as long as it hangs.
package final class EntriesUnderWay: Sendable {
    /// Of one replica.
    fileprivate struct Way: Hashable {
        var shard: ShardID
        var worker: NodeID
    }

    /// Most bytes on their way to one replica, unless one message alone has more: what a primary sends before anything
    /// is answered, and some of it again.
    package static let byteLimit = 32 << 20

    private let byteCounts = Mutex<[Way: Int]>([:])

    package init() {}

    /// To all replicas.
    package var byteCount: Int { byteCounts.withLock { $0.values.reduce(0, +) } }

    /// Counts entries until nobody holds the share any more. What has none is never too much.
    ///
    /// - Returns: nil where they are too much beside those on their way.
    package func share(of byteCount: Int, to shard: ShardID, on worker: NodeID) -> Share? {
        let way = Way(shard: shard, worker: worker)
        let isTaken = byteCounts.withLock { byteCounts in
            guard byteCount > 0 else { return true }
            let present = byteCounts[way] ?? 0
            guard present == 0 || present + byteCount <= Self.byteLimit else { return false }
            byteCounts[way] = present + byteCount
            return true
        }
        return isTaken ? Share(byteCount, of: way, in: self) : nil
    }

    private func end(_ byteCount: Int, of way: Way) {
        guard byteCount > 0 else { return }
        byteCounts.withLock { byteCounts in
            let left = (byteCounts[way] ?? 0) - byteCount
            byteCounts[way] = left > 0 ? left : nil
        }
    }

    /// Of one message.
    package final class Share: Sendable {
        private let byteCount: Int
        private let way: Way
        private let whole: EntriesUnderWay

        fileprivate init(_ byteCount: Int, of way: Way, in whole: EntriesUnderWay) {
            self.byteCount = byteCount
            self.way = way
            self.whole = whole
        }

        deinit { whole.end(byteCount, of: way) }
    }
}
