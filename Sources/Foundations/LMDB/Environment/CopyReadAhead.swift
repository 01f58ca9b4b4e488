import Glibc
import Synchronization
import Threads

/// Reads ahead of a copy of an environment whose pages are read alone, which would wait for the disk at each of them.
///
/// A copy goes through the tables by their names, and through each in the order of its keys; a thread goes the same way
/// some megabytes before it. It hurries nothing but reading: whatever it fails at, the copy does by itself.
final class CopyReadAhead: Sendable {
    /// Bytes that are read, and not copied yet: two seconds of a disk of 16 MB/s, and little memory.
    private static let byteCountAhead = 32 << 20
    /// Entries between two questions whether the copy has ended, which waits for the thread.
    private static let entriesPerQuestion = 256
    /// The table of the names of all others.
    private static let mainTable: UInt32 = 1

    private let written = Atomic(0)
    private let isEnded = Atomic(false)
    private let environment: Environment

    private init(_ environment: Environment) {
        self.environment = environment
    }

    /// Begins to read ahead; the thread ends once `end` was called. Nil when there is no thread to be had: the copy is
    /// made all the same.
    static func begin(
        _ environment: Environment,
        priority: WorkerThread.Priority
    ) -> (reading: CopyReadAhead, thread: WorkerThread)? {
        let reading = CopyReadAhead(environment)
        let thread = try? WorkerThread(ifAllowed: "lmdb-ahead", priority: priority) { try? reading.run() }
        return thread.map { (reading, $0) }
    }

    /// The copy has come so far.
    func noteWritten(_ byteCount: Int) {
        written.store(byteCount, ordering: .relaxed)
    }

    func end() {
        isEnded.store(true, ordering: .relaxed)
    }

    private func run() throws(LMDBError) {
        let tables = try tables()
        let pageByteCount = Int(sysconf(Int32(_SC_PAGESIZE)))
        var (byteCount, entryCount) = (0, 0)
        var leaf: UInt = 0
        try environment.read { transaction throws(LMDBError) in
            for table in tables {
                try unsafe transaction.forEach(in: table) { entry throws(LMDBError) in
                    entryCount += 1
                    if entryCount % Self.entriesPerQuestion == 0, isEnded.load(ordering: .relaxed) { return .stop }
                    while byteCount - written.load(ordering: .relaxed) > Self.byteCountAhead {
                        if isEnded.load(ordering: .relaxed) { return .stop }
                        usleep(1000)
                    }
                    let valueByteCount = unsafe entry.value.count
                    let page = unsafe UInt(bitPattern: entry.value.baseAddress) / UInt(pageByteCount)
                    if valueByteCount > pageByteCount / 2 {
                        unsafe MappedPages.readAhead(entry.value)
                        byteCount += (valueByteCount + pageByteCount - 1) / pageByteCount * pageByteCount
                    } else if page != leaf {
                        // Leaves are copied as they are, with the room that is left in them.
                        leaf = page
                        byteCount += pageByteCount
                    }
                    return .next
                }
                if isEnded.load(ordering: .relaxed) { return }
            }
        }
    }

    /// In the order of their names.
    private func tables() throws(LMDBError) -> [Table] {
        let main = Table(handle: Self.mainTable, environmentNumber: environment.number, usesIntegerKeys: false)
        var names: [String] = []
        try environment.read { transaction throws(LMDBError) in
            try unsafe transaction.forEach(in: main) { entry throws(LMDBError) in
                names.append(unsafe String(decoding: entry.key, as: UTF8.self))
                return .next
            }
        }
        var tables: [Table] = []
        for name in names {
            do throws(LMDBError) {
                try tables.append(environment.openTable(named: name))
            } catch .wrongTableKind {
                try tables.append(environment.openTable(named: name, integerKeys: true))
            }
        }
        return tables
    }
}
