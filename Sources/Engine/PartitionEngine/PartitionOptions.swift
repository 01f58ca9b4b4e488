package import FaceModel
internal import Glibc
internal import PartitionStore

/// How a partition is run. The defaults suit a worker; tests make them small.
package struct PartitionOptions: Sendable {
    /// Rows outside any run from which a fold begins while writes go on, once a codebook is installed. A search
    /// compares them in full.
    package var foldRowCount = 2048
    /// The same when nothing waits to be written.
    package var idleFoldRowCount = 128
    /// Most rows of one fold. Coding takes some 50 to 100 µs a row, and nothing is written meanwhile.
    package var foldRowLimit = 2048
    /// Runs from which on they are merged before more rows are folded.
    package var foldRunLimit = 64
    /// Most rows of one step of coding rows of an older codebook again.
    package var recodeRowLimit = 16_384
    /// Most rows of one step of a merge, and slots of codes that it writes: some 3 MiB.
    package var mergeRowLimit = 32_768
    /// Most chunks of codes that are removed in one step.
    package var chunkRemovalLimit = 1024
    /// A run is merged with the younger ones when it has at most this many times their rows together; 0 merges nothing.
    package var mergeRatio = 8.0
    /// Share of dead rows from which a run is rewritten without them.
    package var compactionDeadShare = 0.2
    /// Share of dead rows from which a chunk of stored rows is emptied: its live rows move to new ones.
    package var evacuationDeadShare = 0.5
    /// Rows moved in one step: what the write lane does in tens of milliseconds.
    package var evacuationRowLimit = 512
    /// Row ids from which on no more faces are ordered and no rows moved; see ``Partition/checkRowIDs()``. Those behind
    /// it, a million of 2^32, are for what was ordered before.
    package var rowIDLimit = UInt32.max - (1 << 20)
    /// Candidates of the whole collection per probe that are kept to have their stored embeddings compared: this many,
    /// and a multiple of k. That is for `recall`; other efforts keep eight times as many, `lists` four times up to a
    /// quarter of the lists.
    package var candidateFloor = 24
    package var candidatesPerMatch = 3
    /// Rows of the whole collection from which on they grow, as the root of the rows; half as much where the target
    /// leaves codes something to lose.
    package var candidateRowCount: Double = 250_000.0
    /// What comparing a row somewhere in memory takes, in codes scanned (measured: 10 to 25). Rows that pass a filter
    /// are compared one by one instead of a scan when that is less work.
    package var scatteredRowCost = 20.0
    /// Work that is worth another thread, in codes scanned: a millisecond for one probe, a quarter of that in a photo,
    /// where a wake-up takes 50 µs. A search is divided into parts of at least that much.
    package var leastPartWork = 200_000.0
    /// Rows that probes whose matches may lack equal ones have room for together when they are searched for again: what
    /// is kept of each takes 24 bytes, until that search ends. One probe has the room that it takes.
    package var roomForEquals = 1 << 20
    /// Bytes of the shortlists of one search, of all its threads together: probes whose candidates would take more are
    /// searched for some at a time. A photo of a thousand faces takes it with some hundred matches wanted of each.
    package var shortlistByteLimit = 64 << 20
    /// Records from which on the rows that pass a filter are kept for later searches: looking at so many takes about a
    /// millisecond.
    package var keptFilterRecordCount = 4096
    /// The newest receipts, of which those of entries of the log count where the next is applied. All replicas of a
    /// shard have to keep the same number, or one would take a repeated write for a new one.
    package var receiptLimit = 65_536
    /// What else is remembered of writes that may be sent again.
    package var earlierReceipts = EarlierReceipts()
    /// Writes are refused while less than this is free on the disk.
    package var minimumFreeByteCount: UInt64 = 64 << 20
    /// Once they are refused they are taken again when this is free: a quarter more, so that they are not taken and
    /// refused in turn.
    package var renewedFreeByteCount: UInt64 {
        minimumFreeByteCount + min(minimumFreeByteCount / 4, .max - minimumFreeByteCount)
    }
    /// Whether codes that lie in memory in small pages are read back into large ones when nothing else is to be done.
    package var settlesCodes = true
    /// How long deletions are remembered: as long as the oldest backup is kept, and longer.
    package var erasureRetention = Duration.seconds(400 * 86_400)
    /// How long after a deletion the face's bytes may still be in the partition's file: above zero. See
    /// ``ErasureSchedule``.
    package var erasurePeriod = Duration.seconds(86_400)
    /// Pages of the file looked at in one step of overwriting free ones: 8 MiB.
    package var freePageLimit = 2048
    /// When deletions happen.
    package var wallClock: @Sendable () -> Timestamp = { .wallClock }
    /// What spans of time are measured with.
    package var steadyClock: @Sendable () -> ContinuousClock.Instant = { .now }
    /// Address space of the environment when it is opened: the partition's largest size, unless
    /// ``Partition/growMap(to:waitingAtMost:)`` gives it more.
    package var mapByteCount = 1 << 40

    package init() {}

    /// Receipts from one note of the time to the next.
    var receiptSpacing: UInt64 {
        max(1, UInt64(max(receiptLimit, earlierReceipts.leastCount)) / ReceiptTimesRecord.sampleCount)
    }

    /// Receipts that are none of the newest: each replica's own memory.
    package struct EarlierReceipts: Sendable {
        /// Receipts, with the newest, that are kept however old they are.
        package var leastCount = 1 << 20
        /// Those beyond that are kept as long as they are younger.
        package var age = Duration.seconds(86_400)
        /// Most that all of them take of the disk, by pages of their tables. One of a single face takes some 130.
        package var byteLimit = 256 << 20

        package init() {}

        /// Only the newest are kept.
        package static var none: EarlierReceipts {
            var none = EarlierReceipts()
            (none.leastCount, none.age, none.byteLimit) = (0, .zero, 0)
            return none
        }
    }
}
