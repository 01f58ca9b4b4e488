import Foundation
import LoadGenerator

/// What a part of a load has seen, a line of JSON for each second, for the parent to show.
struct LoadProgressFile {
    private let path: String
    /// Of the parent: what it has read.
    private var glimpses: [LoadRecorder.Glimpse] = []
    private var readByteCount = 0

    init(path: String) { self.path = path }

    // MARK: The part's side

    /// Writes until it is cancelled; a file that cannot be written is a view less, and no reason to end a load.
    func write(
        window: Duration,
        from start: ContinuousClock.Instant,
        _ glimpse: (Int) -> LoadRecorder.Glimpse
    ) async {
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let file = FileHandle(forWritingAtPath: path)
        else { return }
        defer { try? file.close() }
        let encoder = JSONEncoder()
        var index = 0
        while true {
            let end = start + window * (index + 1) + .milliseconds(150)
            guard (try? await Task.sleep(until: end, tolerance: .milliseconds(10))) != nil else { return }
            guard let line = try? encoder.encode(glimpse(index)),
                (try? file.write(contentsOf: line + Data("\n".utf8))) != nil
            else { return }
            index += 1
        }
    }

    // MARK: The parent's side

    /// What the part told of a window; nil when it has not yet.
    mutating func glimpse(ofWindow index: Int) -> LoadRecorder.Glimpse? {
        if index >= glimpses.count { read() }
        return index < glimpses.count ? glimpses[index] : nil
    }

    private mutating func read() {
        guard let file = FileHandle(forReadingAtPath: path) else { return }
        defer { try? file.close() }
        guard (try? file.seek(toOffset: UInt64(readByteCount))) != nil, let data = try? file.readToEnd(),
            let end = data.lastIndex(of: UInt8(ascii: "\n"))
        else { return }
        let decoder = JSONDecoder()
        for line in data[...end].split(separator: UInt8(ascii: "\n")) {
            guard let glimpse = try? decoder.decode(LoadRecorder.Glimpse.self, from: Data(line)) else { return }
            glimpses.append(glimpse)
            readByteCount += line.count + 1
        }
    }
}
