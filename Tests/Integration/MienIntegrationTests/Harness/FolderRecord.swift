import Foundation

/// A folder that was empty, with all that processes have made in it, call by call, and as a power cut may leave it.
///
/// Files and folders are known from their making on: one whose inode is used again is another.
struct FolderRecord {
    /// Which names are there after a power cut, of those that no sync of their folder has made durable. A rename from
    /// one folder to another is done in both, or in neither.
    enum Names: CaseIterable {
        /// None, nor is any removal: only a sync of the folder counts.
        case synced
        /// Of each folder those before some moment.
        case ofEachFolder
        /// Those before one moment, as a journal keeps them.
        case ofOneJournal
        case all
    }

    /// A moment at which the power fails, and what becomes of names.
    struct Cut {
        /// The number of the first event that is not there.
        let event: Int
        let names: Names
        /// The length of the record at that moment.
        let recorded: Int
        /// For people.
        let remark: String
    }

    private struct NameChange {
        var event: Int
        var name: String
        /// What has the name from then on; nil for nothing.
        var object: Int?
    }

    private struct Object {
        let isFolder: Bool
        /// Of a folder.
        var changes: [NameChange] = []
        /// Of a folder its syncs, of a file all that was done to it.
        var events: [Int] = []
    }

    private struct Move {
        var event: Int
        var from: Int
        var to: Int
    }

    let record: StorageRecord
    /// The first is the folder itself.
    private var objects = [Object(isFolder: true)]
    private var moves: [Move] = []
    /// Numbers of the events that change a name.
    private(set) var nameEvents: [Int] = []

    /// - Parameter folder: nothing was in it when the record began.
    /// - Throws: for an event of something that nobody has made.
    init(_ record: StorageRecord, of folder: String) throws {
        self.record = record
        let attributes = try FileManager.default.attributesOfItem(atPath: folder)
        guard let root = attributes[.systemFileNumber] as? NSNumber else { throw StoryError("\(folder) has no inode") }
        var known = [root.uint64Value: 0]
        func object(_ inode: UInt64, _ event: Int) throws -> Int {
            guard let object = known[inode] else { throw StoryError("nobody has made what event \(event) is of") }
            return object
        }
        for (number, (event, inode, _)) in record.events.enumerated() {
            switch event {
            case .write, .sync, .length:
                objects[try object(inode, number)].events.append(number)
                continue
            case .made(let name, let folder, let isFolder):
                let place = try object(folder, number)
                known[inode] = objects.count
                objects[place].changes.append(NameChange(event: number, name: name, object: objects.count))
                objects.append(Object(isFolder: isFolder))
            case .removed(let name, let folder):
                objects[try object(folder, number)].changes.append(NameChange(event: number, name: name))
            case .renamed(let name, let folder, let newName, let newFolder):
                let move = Move(event: number, from: try object(folder, number), to: try object(newFolder, number))
                objects[move.from].changes.append(NameChange(event: number, name: name))
                let change = NameChange(event: number, name: newName, object: try object(inode, number))
                objects[move.to].changes.append(change)
                if move.from != move.to { moves.append(move) }
            }
            nameEvents.append(number)
        }
    }

    /// The power cut of that number of a story: at any moment, and as often right behind a name, while its folder is
    /// not synced, or behind the sync.
    func cut(_ number: Int, random: inout SeededRandom) -> Cut {
        let end = record.events.count
        var event = Int.random(in: 0...end, using: &random)
        if Bool.random(using: &random), let nameEvent = nameEvents.randomElement(using: &random) {
            event = min(nameEvent + Int.random(in: 1...3, using: &random), end)
        }
        let names = Names.allCases[number % Names.allCases.count]
        return Cut(
            event: event,
            names: names,
            recorded: event == 0 ? 0 : record.events[event - 1].end,
            remark: "cut \(number), \(names), at \(event) of \(end)"
        )
    }

    /// As whoever looked saw it in the end.
    var whole: FolderContent {
        content(of: 0, before: { _ in .max }, bytes: { written($0).whole })
    }

    /// As a power cut right before event `end` may leave it.
    ///
    /// - Parameter firstLie: number of the event from which on syncs of folders are said to be done, and are not.
    func content(
        cutAt end: Int,
        names: Names,
        firstLie: Int = .max,
        random: inout SeededRandom
    ) -> FolderContent {
        let bounds = bounds(cutAt: end, names, firstLie, random: &random)
        return content(
            of: 0,
            before: { bounds[$0] },
            bytes: { written($0.prefix { $0 < end }).afterPowerCut(random: &random) }
        )
    }

    private func written(_ events: some Sequence<Int>) -> WrittenFile {
        var file = WrittenFile()
        for event in events { file.take(record.events[event].event) }
        return file
    }

    /// Of each folder the number of the event before which its changes are on the disk.
    private func bounds(cutAt end: Int, _ names: Names, _ firstLie: Int, random: inout SeededRandom) -> [Int] {
        let honest = min(end, firstLie)
        // A sync comes after what it makes durable.
        var bounds = objects.map { object in
            object.isFolder ? object.events.last { $0 < honest } ?? 0 : 0
        }
        let moment = Int.random(in: (bounds.max() ?? 0)...end, using: &random)
        for folder in objects.indices where objects[folder].isFolder {
            switch names {
            case .synced: break
            case .ofEachFolder:
                let bound = bounds[folder]
                let later = objects[folder].changes.map { $0.event + 1 }.filter { $0 > bound && $0 <= end }
                bounds[folder] = ([bound] + later).randomElement(using: &random) ?? bound
            case .ofOneJournal: bounds[folder] = moment
            case .all: bounds[folder] = end
            }
        }
        var isSettled = false
        while !isSettled {
            isSettled = true
            for move in moves where (bounds[move.from] > move.event) != (bounds[move.to] > move.event) {
                bounds[move.from] = max(bounds[move.from], move.event + 1)
                bounds[move.to] = max(bounds[move.to], move.event + 1)
                isSettled = false
            }
        }
        return bounds
    }

    private func content(
        of number: Int,
        before bound: (Int) -> Int,
        bytes: ([Int]) -> Data
    ) -> FolderContent {
        let object = objects[number]
        guard object.isFolder else { return .file(bytes(object.events)) }
        var names: [String: Int] = [:]
        for change in object.changes where change.event < bound(number) { names[change.name] = change.object }
        return .folder(names.mapValues { content(of: $0, before: bound, bytes: bytes) })
    }
}
