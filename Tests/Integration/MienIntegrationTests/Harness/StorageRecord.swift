import Foundation

/// What files were made to be, call by call; of a folder that is watched as a whole, what became of names, too.
struct StorageRecord {
    enum Event {
        case write(offset: Int, bytes: Data, isDurable: Bool)
        case sync
        case length(Int)
        /// A file or a folder; folders that names are in go by their inodes.
        case made(name: String, folder: UInt64, isFolder: Bool)
        case removed(name: String, folder: UInt64)
        case renamed(name: String, folder: UInt64, newName: String, newFolder: UInt64)
    }

    /// Each with the inode of its file, or of what the name is of, and with the number of bytes of the record up to its
    /// end.
    private(set) var events: [(event: Event, inode: UInt64, end: Int)] = []

    /// How long the record is by now.
    static func byteCount(at path: String) throws -> Int {
        try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }

    /// Does something while no process is in the midst of a call: of a whole folder, what is done is recorded then, and
    /// what is recorded is done.
    static func betweenCalls(at path: String, _ body: () throws -> Void) throws {
        let file = open(path, O_WRONLY)
        defer { close(file) }
        guard flock(file, LOCK_EX) == 0 else { throw StoryError("\(path) cannot be locked: error \(errno)") }
        try body()
    }

    /// - Throws: when the record is not whole.
    init(path: String) throws {
        let data = try Data(contentsOf: URL(filePath: path))
        var place = 0
        func number(_ offset: Int) -> Int {
            Int(data[place + offset..<place + offset + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        while place + 24 <= data.count {
            let (kind, offset, count) = (data[place], number(8), number(16))
            let inode = UInt64(number(0)) >> 8
            guard place + 24 + count <= data.count else { break }
            let bytes = data[place + 24..<place + 24 + count]
            place += 24 + count
            switch kind {
            case 1, 2: events.append((.write(offset: offset, bytes: bytes, isDurable: kind == 2), inode, place))
            case 3: events.append((.sync, inode, place))
            case 4: events.append((.length(offset), inode, place))
            case 5...8:
                events.append((try Self.name(kind, folder: UInt64(offset), bytes), inode, place))
            default: throw StoryError("the record has a kind \(kind)")
            }
        }
    }

    private static func name(_ kind: UInt8, folder: UInt64, _ bytes: Data) throws -> Event {
        guard kind == 8 else {
            let name = String(decoding: bytes, as: UTF8.self)
            return kind == 7
                ? .removed(name: name, folder: folder) : .made(name: name, folder: folder, isFolder: kind == 6)
        }
        let names = bytes.dropFirst(8).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard bytes.count > 8, names.count == 2 else { throw StoryError("the record has a broken name") }
        let newFolder = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return .renamed(name: names[0], folder: folder, newName: names[1], newFolder: newFolder)
    }

    /// The number of the first event that was not recorded yet when the record was so long.
    func firstEvent(after byteCount: Int) -> Int {
        events.firstIndex { $0.end > byteCount } ?? events.count
    }

    /// Numbers of the writes of nothing but zeros: free pages that are overwritten. LMDB itself writes no such page.
    var erasures: [Int] {
        events.indices.filter { index in
            if case .write(_, let bytes, _) = events[index].event { bytes.allSatisfy { $0 == 0 } } else { false }
        }
    }

    /// A file as a power cut may leave it: what was synced before event `end` is there, and of what was written since
    /// any sectors of 512 bytes, in any order.
    ///
    /// - Parameter inode: of the file; nil when there is one only.
    func file(
        after base: Data,
        cutAt end: Int,
        inode: UInt64? = nil,
        random: inout SeededRandom
    ) -> Data {
        var file = WrittenFile(base)
        for (event, owner, _) in events[..<end] where inode == nil || owner == inode {
            file.take(event)
        }
        return file.afterPowerCut(random: &random)
    }
}

/// The files of a node of which power cuts may lose what was not synced: what they were when its process began, and
/// what has been done to them since.
///
/// Files that the process made itself, and small ones that it replaces whole, are left as a kill leaves them.
struct WatchedDisk {
    private static let file = "/data.mdb"

    /// What power cuts struck.
    struct Loss {
        /// Recorded calls.
        var calls = 0
        /// Writes that were not synced.
        var unsynced = 0
        /// Writes of zeros over free pages.
        var erasures = 0

        static func += (one: inout Loss, other: Loss) {
            one.calls += other.calls
            one.unsynced += other.unsynced
            one.erasures += other.erasures
        }
    }

    let recordPath: String
    private let folder: String
    private let bases: [UInt64: Data]

    /// - Parameters:
    ///   - folder: of a node that does not run.
    ///   - record: where its process is going to record its calls; nothing is there yet.
    init(folder: String, record: String) throws {
        self.folder = folder
        recordPath = record
        bases = try Self.files(in: folder).mapValues { try Data(contentsOf: $0) }
    }

    /// For the node's process.
    ///
    /// - Parameter delay: a file that may hold milliseconds, by which every sync is late.
    func environment(delay: String) throws -> [String: String] {
        try StorageFaults.environment(record: recordPath, file: Self.file)
            .merging(StorageFaults.changing(delay: delay)) { old, _ in old }
    }

    private static func files(in folder: String) throws -> [UInt64: URL] {
        var files: [UInt64: URL] = [:]
        let names = FileManager.default.enumerator(at: URL(filePath: folder), includingPropertiesForKeys: nil)
        while let url = names?.nextObject() as? URL {
            guard url.path.hasSuffix(file) else { continue }
            let number = try FileManager.default.attributesOfItem(atPath: url.path)[.systemFileNumber]
            guard let inode = number as? NSNumber else { throw StoryError("\(url.path) has no inode") }
            files[inode.uint64Value] = url
        }
        return files
    }

    /// Makes the files of a node that was killed what they may be after a power cut in that moment.
    ///
    /// - Parameter isTruthful: false for a disk that says that it has synced, and has kept nothing since the start.
    func cutPower(isTruthful: Bool = true, random: inout SeededRandom) throws -> Loss {
        let record = try StorageRecord(path: recordPath)
        var loss = Loss(erasures: record.erasures.count)
        for (inode, url) in try Self.files(in: folder).sorted(by: { $0.value.path < $1.value.path }) {
            let events = record.events.filter { $0.inode == inode }
            guard let base = bases[inode], !events.isEmpty else { continue }
            loss.calls += events.count
            let lastSync = events.lastIndex { if case .sync = $0.event { true } else { false } } ?? -1
            loss.unsynced += events.dropFirst(lastSync + 1).count {
                if case .write(_, _, isDurable: false) = $0.event { true } else { false }
            }
            let file =
                isTruthful
                ? record.file(after: base, cutAt: record.events.count, inode: inode, random: &random) : base
            try file.write(to: url)
            try? FileManager.default.removeItem(at: url.deletingLastPathComponent().appending(path: "lock.mdb"))
        }
        return loss
    }
}
