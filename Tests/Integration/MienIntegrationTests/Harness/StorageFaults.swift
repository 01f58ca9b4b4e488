import Foundation

/// A library that stands between a node and its partition's file; built from C when a story first needs it.
enum StorageFaults {
    private static let built = Result<String, any Error> {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let source = folder.appending(path: "StorageFaults/storage_faults.c").path
        let library = FileManager.default.temporaryDirectory.appending(path: "mien-storage-faults-\(getpid()).so").path
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/env")
        compiler.arguments = ["clang", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl", "-lpthread"]
        try compiler.run()
        compiler.waitUntilExit()
        guard compiler.terminationStatus == 0 else { throw StoryError("clang cannot build \(source)") }
        return library
    }

    /// Which call fails, counted from the start of the process.
    struct Fault: CustomStringConvertible {
        enum Kind: String { case write, sync }

        var kind: Kind
        var number: Int
        /// Error number; 0 for a write that ends halfway.
        var error: Int32

        var description: String { "\(kind.rawValue):\(number):\(error)" }
    }

    /// Variables for a node whose syncs, and whose wall clock, a story changes while it runs.
    ///
    /// - Parameters:
    ///   - delay: a file that may hold milliseconds, by which every sync is late.
    ///   - clock: a file that may hold seconds, by which the clock is ahead.
    static func changing(delay: String? = nil, clock: String? = nil) throws -> [String: String] {
        var variables = try environment(fault: nil)
        variables["STORAGE_FAULTS_DELAY"] = delay
        variables["STORAGE_FAULTS_CLOCK"] = clock
        return variables
    }

    /// Variables for a node whose partition's file is to be watched.
    static func environment(
        fault: Fault? = nil,
        report: String? = nil,
        record: String? = nil
    ) throws -> [String: String] {
        var variables = ["LD_PRELOAD": try built.get(), "STORAGE_FAULTS_FILE": "/partition/data.mdb"]
        variables["STORAGE_FAULTS_FAULT"] = fault.map { "\($0)" }
        variables["STORAGE_FAULTS_REPORT"] = report
        variables["STORAGE_FAULTS_RECORD"] = record
        return variables
    }
}

/// What a file was made to be, call by call.
struct StorageRecord {
    enum Event {
        case write(offset: Int, bytes: Data, isDurable: Bool)
        case sync
        case length(Int)
    }

    /// With the number of bytes of the record up to the end of each.
    private(set) var events: [(event: Event, end: Int)] = []

    /// - Throws: when the record is not whole.
    init(path: String) throws {
        let data = try Data(contentsOf: URL(filePath: path))
        var place = 0
        func number(_ offset: Int) -> Int {
            Int(data[place + offset..<place + offset + 8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        }
        while place + 24 <= data.count {
            let (kind, offset, count) = (data[place], number(8), number(16))
            guard place + 24 + count <= data.count else { break }
            let bytes = data[place + 24..<place + 24 + count]
            place += 24 + count
            switch kind {
            case 1, 2: events.append((.write(offset: offset, bytes: bytes, isDurable: kind == 2), place))
            case 3: events.append((.sync, place))
            case 4: events.append((.length(offset), place))
            default: throw StoryError("the record has a kind \(kind)")
            }
        }
    }

    /// A file as a power cut may leave it: what was synced before event `end` is there, and of what was written since
    /// any sectors of 512 bytes, in any order.
    ///
    /// - Parameter doesSync: false for a disk that says that it has synced and has not.
    func file(after base: Data, cutAt end: Int, doesSync: Bool = true, random: inout SeededRandom) -> Data {
        var file = base
        var unsynced: [(offset: Int, bytes: Data)] = []
        func put(_ bytes: Data, at offset: Int) {
            if file.count < offset + bytes.count {
                file.append(Data(count: offset + bytes.count - file.count))
            }
            file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        }
        for (event, _) in events[..<end] {
            switch event {
            case .write(let offset, let bytes, true): put(bytes, at: offset)
            case .write(let offset, let bytes, false): unsynced.append((offset, bytes))
            case .sync:
                guard doesSync else { continue }
                for write in unsynced { put(write.bytes, at: write.offset) }
                unsynced.removeAll()
            case .length(let length):
                if length < file.count {
                    file = file.prefix(length)
                } else {
                    file.append(Data(count: length - file.count))
                }
            }
        }
        let share = Double.random(in: 0...1, using: &random)
        for write in unsynced.shuffled(using: &random) {
            let isTorn = Bool.random(using: &random)
            for first in stride(from: 0, to: write.bytes.count, by: isTorn ? 512 : write.bytes.count) {
                guard Double.random(in: 0..<1, using: &random) < share else { continue }
                let start = write.bytes.startIndex + first
                let stop = isTorn ? min(start + 512, write.bytes.endIndex) : write.bytes.endIndex
                put(write.bytes[start..<stop], at: write.offset + first)
            }
        }
        return file
    }
}
