internal import PartitionStore
internal import Synchronization

/// Which chunks were found sound since the partition was opened, so that each is checked on its first touch only.
///
/// Losing an answer costs one more check, so growing may drop marks that are set at the same moment.
final class VerifiedBlocks: Sendable {
    /// Marks for a fixed number of chunks; shared between threads.
    @safe
    final class Marks: @unchecked Sendable {
        // Sendable: the buffer is never replaced and its elements are atomic.
        let count: Int
        private let words: UnsafeMutablePointer<Atomic<UInt64>>

        init(count: Int, copying other: Marks?) {
            self.count = count
            let wordCount = (count + 63) / 64
            unsafe words = .allocate(capacity: max(1, wordCount))
            for word in 0..<wordCount {
                let known = other.map { word * 64 < $0.count ? $0.word(word) : 0 } ?? 0
                unsafe (words + word).initialize(to: Atomic(known))
            }
        }

        deinit {
            unsafe words.deinitialize(count: (count + 63) / 64)
            unsafe words.deallocate()
        }

        private func word(_ index: Int) -> UInt64 { unsafe words[index].load(ordering: .relaxed) }

        func isMarked(_ chunk: Int) -> Bool { word(chunk / 64) & 1 << UInt64(chunk % 64) != 0 }

        func mark(_ chunk: Int) {
            unsafe words[chunk / 64].bitwiseOr(1 << UInt64(chunk % 64), ordering: .relaxed)
        }
    }

    private let rowMarks = Mutex(Marks(count: 0, copying: nil))
    private let roundedRowMarks = Mutex(Marks(count: 0, copying: nil))
    private let runMarks = Mutex<[UInt32: Marks]>([:])

    /// Marks that cover at least `chunkCount` chunks of rows.
    func rows(chunkCount: Int) -> Marks {
        rowMarks.withLock { Self.marks(&$0, chunkCount: chunkCount) }
    }

    /// The same for chunks of rounded rows.
    func roundedRows(chunkCount: Int) -> Marks {
        roundedRowMarks.withLock { Self.marks(&$0, chunkCount: chunkCount) }
    }

    private static func marks(_ marks: inout Marks, chunkCount: Int) -> Marks {
        if marks.count < chunkCount { marks = Marks(count: max(chunkCount, 2 * marks.count), copying: marks) }
        return marks
    }

    /// Marks for the chunks of one run.
    func run(_ manifest: RunManifest) -> Marks {
        runMarks.withLock { marks in
            if let known = marks[manifest.run] { return known }
            let new = Marks(count: Int(manifest.chunkCount), copying: nil)
            marks[manifest.run] = new
            return new
        }
    }

    /// Forgets runs that are gone.
    func keepRuns(_ runs: Set<UInt32>) {
        runMarks.withLock { marks in marks = marks.filter { runs.contains($0.key) } }
    }
}
